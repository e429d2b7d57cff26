package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// snapshotFile is what tells two files of one name apart before their contents are read.
type snapshotFile struct {
	mode fs.FileMode
	size int64
	link string
}

// SameSnapshot tells whether a snapshot of an app's directory would have the paths, modes and contents of one that there
// is. Times don't count. Contents are read only if everything else is the same, and nothing is trusted but them: a build
// may give each file one time.
func SameSnapshot(ctx context.Context, dir, snapshot string) (bool, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, fmt.Errorf("compare the app: %w", err)
	}
	now, err := snapshotFiles(ctx, root)
	if err != nil {
		return false, fmt.Errorf("compare the app: %w", err)
	}
	before, err := snapshotFiles(ctx, snapshot)
	if err != nil || len(now) != len(before) {
		return false, err
	}
	for name, file := range now {
		if other, there := before[name]; !there || other != file {
			return false, nil
		}
	}
	for name, file := range now {
		if !file.mode.IsRegular() {
			continue
		}
		same, err := sameContent(ctx, filepath.Join(root, name), filepath.Join(snapshot, name))
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// snapshotFiles lists what a snapshot of a directory has, with the modes that it would have there.
func snapshotFiles(ctx context.Context, root string) (map[string]snapshotFile, error) {
	files := map[string]snapshotFile{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == root {
			return nil // only PID 1 may enter a snapshot
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if isSkipped(path, entry) {
			return skip(entry)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files[name], err = describeFile(path, info)
		return err
	})
	return files, err
}

func describeFile(path string, info fs.FileInfo) (file snapshotFile, err error) {
	switch {
	case info.IsDir():
		file.mode = fs.ModeDir | copiedMode(info)
	case info.Mode()&fs.ModeSymlink != 0:
		file.mode = fs.ModeSymlink
		file.link, err = os.Readlink(path)
	default:
		file.mode, file.size = info.Mode().Type()|copiedMode(info), info.Size()
	}
	return file, err
}

const comparedAtOnce = 128 << 10

func sameContent(ctx context.Context, one, other string) (bool, error) {
	a, err := os.Open(one)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := os.Open(other)
	if err != nil {
		return false, err
	}
	defer b.Close()
	left, right := make([]byte, comparedAtOnce), make([]byte, comparedAtOnce)
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
