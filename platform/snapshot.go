package platform

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrSnapshot is wrapped by errors about a file that cannot be part of a snapshot.
var ErrSnapshot = errors.New("not part of an app")

// noAppNeeds are the names of files and directories that no app needs at run time.
var noAppNeeds = map[string]bool{
	".git": true, ".hg": true, ".svn": true, "__pycache__": true, ".venv": true, ".tox": true, ".mypy_cache": true,
	".pytest_cache": true, ".ruff_cache": true, ".DS_Store": true,
}

// SnapshotOptions are what a snapshot can be told.
type SnapshotOptions struct {
	// Before, if not empty, is another snapshot, whose files are shared where they are the same.
	Before string
	// Report, if not nil, is told now and then how much is done, by the goroutine that does it.
	Report func(done, total Amount)
}

// Snapshotted is what came of a snapshot.
type Snapshotted struct {
	Amount
	// Shared is how many of the files are those of another snapshot.
	Shared int
	// LeftOut is what of the app stayed behind.
	LeftOut []LeftOut
}

// Amount is how much there is of an app's files.
type Amount struct {
	Files int
	Bytes int64
}

// LeftOut is a file, or a directory with all that is in it, that is not part of a snapshot.
type LeftOut struct {
	// Name is its path in the app's directory.
	Name string
	// Rule is where an ignore file says so, and what: ".gitignore:3: *.log". It is empty for what no app needs.
	Rule string
}

// Snapshot copies the files of an app, with modes and times, into a new directory. Version control, caches, virtual
// environments, and what ignore files name, stay behind. Links that lead out of the app, and anything that is neither file,
// directory nor link, are refused with an error that wraps ErrSnapshot. If anything changed meanwhile, the error is a
// ChangedError.
func Snapshot(ctx context.Context, from, to string, options SnapshotOptions) (Snapshotted, error) {
	done, err := snapshot(ctx, from, to, options)
	if err != nil {
		return Snapshotted{}, fmt.Errorf("copy the app: %w", err)
	}
	return done, nil
}

func snapshot(ctx context.Context, from, to string, options SnapshotOptions) (Snapshotted, error) {
	tree, err := readTree(ctx, from, withoutIgnored)
	if err != nil {
		return Snapshotted{}, err
	}
	defer tree.close()
	if err := tree.settle(ctx); err != nil {
		return Snapshotted{}, err
	}
	w := snapshotWriter{tree: tree, to: to, before: options.Before, report: options.Report}
	if err := w.write(ctx); err != nil {
		return Snapshotted{}, err
	}
	if err := tree.checkUnchanged(ctx); err != nil {
		return Snapshotted{}, err
	}
	return Snapshotted{Amount: w.done, Shared: w.shared, LeftOut: tree.leftOut}, SyncFileSystem(to)
}

// ShareSnapshot makes a snapshot that has its files in common with another: nothing ever writes to them. Where the file
// system cannot share them, they are copied.
func ShareSnapshot(ctx context.Context, from, to string) (Snapshotted, error) {
	tree, err := readTree(ctx, from, everything)
	if err != nil {
		return Snapshotted{}, fmt.Errorf("share the app: %w", err)
	}
	defer tree.close()
	w := snapshotWriter{tree: tree, to: to, shareAll: true}
	if err := w.write(ctx); err != nil {
		return Snapshotted{}, fmt.Errorf("share the app: %w", err)
	}
	return Snapshotted{Amount: w.done, Shared: w.shared}, SyncFileSystem(to)
}

// SyncFileSystem makes everything written to a directory's file system durable: cheaper than one fsync per file.
func SyncFileSystem(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
