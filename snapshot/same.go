package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Same reports whether a snapshot of an app's directory, without some paths, would have the paths, modes and contents of one that there
// is. Times don't count. Contents are read only if everything else is the same, and nothing is trusted but them: a build
// may give each file one time.
func Same(ctx context.Context, dir, snapshot string, without ...string) (bool, error) {
	now, err := readTree(ctx, dir, withoutIgnored, without...)
	if err != nil {
		return false, fmt.Errorf("compare the app: %w", err)
	}
	defer now.close()
	// What it has and an ignore file names, it has from a deploy that copied it.
	before, err := readTree(ctx, snapshot, withoutCaches)
	if err != nil {
		return false, fmt.Errorf("compare the app: %w", err)
	}
	defer before.close()
	if len(now.nodes) != len(before.nodes) {
		return false, nil
	}
	for i, n := range now.nodes {
		if !n.looksLike(before.nodes[i]) {
			return false, nil
		}
	}
	for i, n := range now.nodes {
		if same, err := sameNodes(ctx, now, n, before, before.nodes[i]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// looksLike reports whether a copy of a node would be the same as another, but for its content.
func (n node) looksLike(other node) bool {
	mode := n.info.Mode()
	switch {
	case n.name != other.name:
		return false
	case n.name == ".":
		return true // only PID 1 may enter a snapshot
	case mode&fs.ModeSymlink != 0:
		return other.info.Mode()&fs.ModeSymlink != 0 && n.link == other.link
	}
	return copiedMode(n.info) == copiedMode(other.info) && (mode.IsDir() || n.info.Size() == other.info.Size())
}

func sameNodes(ctx context.Context, now *tree, n node, before *tree, other node) (bool, error) {
	if !n.info.Mode().IsRegular() {
		return true, nil
	}
	a, err := now.open(n)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := before.open(other)
	if err != nil {
		return false, err
	}
	defer b.Close()
	return sameContent(ctx, a, b, n.info.Size())
}

// comparedAtOnce is in bytes.
const comparedAtOnce = 128 << 10

// sameContent compares two files, of which at least one has that size.
func sameContent(ctx context.Context, a, b *os.File, size int64) (bool, error) {
	atOnce := min(size+1, comparedAtOnce)
	left, right := make([]byte, atOnce), make([]byte, atOnce)
	for {
		n, errA := io.ReadFull(a, left)
		m, errB := io.ReadFull(b, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		endA, endB := ended(errA), ended(errB)
		switch {
		case endA && endB:
			return true, nil
		case errA != nil && !endA || errB != nil && !endB:
			return false, errors.Join(errA, errB)
		case endA || endB:
			return false, nil
		}
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
