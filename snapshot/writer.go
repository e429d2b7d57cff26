package snapshot

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// writer makes a snapshot of a tree.
type writer struct {
	tree     *tree
	to       string
	before   string // a snapshot whose files are shared if they are the same
	shareAll bool   // the tree is a snapshot itself, whose files are shared
	report   func(done, total Amount)

	done, total Amount
	shared      int
}

func (w *writer) write(ctx context.Context) error {
	w.total = w.tree.amount()
	for _, n := range w.tree.nodes {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := w.writeNode(ctx, n); err != nil {
			return err
		}
	}
	// Times and modes of directories are set at last: copying into them changes the first and may need the second.
	for _, n := range slices.Backward(w.tree.nodes) {
		if n.info.IsDir() {
			if err := imitate(w.target(n), n.info); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) target(n node) string { return filepath.Join(w.to, n.name) }

func (w *writer) writeNode(ctx context.Context, n node) error {
	switch mode := n.info.Mode(); {
	case mode.IsDir():
		return os.Mkdir(w.target(n), 0o700)
	case mode&fs.ModeSymlink != 0:
		return os.Symlink(n.link, w.target(n))
	}
	shared, err := w.share(ctx, n)
	if err != nil {
		return err
	}
	if shared {
		w.shared++
		w.done.Bytes += n.info.Size()
	} else if err := w.copy(ctx, n); err != nil {
		return err
	}
	w.done.Files++
	w.tell()
	return nil
}

func (w *writer) tell() {
	if w.report != nil {
		w.report(w.done, w.total)
	}
}

// share gives a file of another snapshot a name in this one, if it is the same and the file system can. Its time does not
// count, and stays: a checkout gives each file a new one.
func (w *writer) share(ctx context.Context, n node) (bool, error) {
	path := w.tree.path(n.name)
	if !w.shareAll {
		path = filepath.Join(w.before, n.name)
		if same, err := w.sameAsBefore(ctx, n, path); !same || err != nil {
			return false, err
		}
	}
	err := os.Link(path, w.target(n))
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil
	}
	return err == nil, err
}

func (w *writer) sameAsBefore(ctx context.Context, n node, path string) (bool, error) {
	if w.before == "" {
		return false, nil
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != copiedMode(n.info) || info.Size() != n.info.Size() {
		return false, nil
	}
	in, err := w.tree.open(n)
	if err != nil {
		return false, err
	}
	defer in.Close()
	other, err := os.Open(path)
	if err != nil {
		return false, nil // then it is copied
	}
	defer other.Close()
	return sameContent(ctx, in, other, info.Size())
}

// copiedAtOnce is how much is copied between two looks at the context, in bytes.
const copiedAtOnce = 16 << 20

// copy copies a file. The kernel does it (copy_file_range), and shares the blocks where the file system can.
func (w *writer) copy(ctx context.Context, n node) error {
	in, err := w.tree.open(n)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(w.target(n), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	// No more than there was: a file that grows all the time has no end.
	for left := n.info.Size(); left > 0; {
		written, err := io.CopyN(out, in, min(left, copiedAtOnce))
		if errors.Is(err, io.EOF) {
			return &ChangedError{n.name}
		}
		if err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		left -= written
		w.done.Bytes += written
		w.tell()
	}
	if err := out.Close(); err != nil {
		return err
	}
	return imitate(w.target(n), n.info)
}

// imitate gives a copy the mode and the times of its original, without set-user-id bits. The owner may always read and
// write it: that is who runs the app.
func imitate(target string, info fs.FileInfo) error {
	if err := os.Chmod(target, copiedMode(info).Perm()); err != nil {
		return err
	}
	return os.Chtimes(target, info.ModTime(), info.ModTime())
}

// copiedMode is the mode that a copy of a file or directory has.
func copiedMode(info fs.FileInfo) fs.FileMode {
	if info.IsDir() {
		return fs.ModeDir | info.Mode().Perm() | 0o700
	}
	return info.Mode().Type() | info.Mode().Perm() | 0o600
}
