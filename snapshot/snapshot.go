// Package snapshot copies the files of an app: which of a directory are deployed, and how the copies share what did not change. It
// has all that walks through directories to which others write meanwhile, for disk use, archives and backups, too.
package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/fnctl/fnctl/platform"
)

// ErrUnsupported is wrapped by errors about a file that cannot be part of a snapshot.
var ErrUnsupported = errors.New("not part of an app")

// noAppNeeds are the names of files and directories that no app needs at run time.
var noAppNeeds = map[string]bool{
	".git": true, ".hg": true, ".svn": true, "__pycache__": true, ".venv": true, ".tox": true, ".mypy_cache": true,
	".pytest_cache": true, ".ruff_cache": true, ".DS_Store": true,
}

// Options are what a snapshot can be told.
type Options struct {
	// Without are paths in the app's directory that stay behind, too.
	Without []string
	// Before, if not empty, is another snapshot, whose files are shared where they are the same.
	Before string
	// Report, if not nil, is told now and then how much is done, by the goroutine that does it.
	Report func(done, total Amount)
}

// Result is what came of a snapshot.
type Result struct {
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

// Take copies the files of an app, with modes and times, into a new directory. Version control, caches, virtual
// environments, and what ignore files name, stay behind. Links that lead out of the app, and anything that is neither file,
// directory nor link, are refused with an error that wraps ErrUnsupported. If anything changed meanwhile, the error is a
// ChangedError.
func Take(ctx context.Context, from, to string, options Options) (Result, error) {
	done, err := take(ctx, from, to, options)
	if err != nil {
		return Result{}, fmt.Errorf("copy the app: %w", err)
	}
	return done, nil
}

func take(ctx context.Context, from, to string, options Options) (Result, error) {
	t, err := readTree(ctx, from, withoutIgnored, options.Without...)
	if err != nil {
		return Result{}, err
	}
	defer t.close()
	if err := t.settle(ctx); err != nil {
		return Result{}, err
	}
	w := writer{tree: t, to: to, before: options.Before, report: options.Report}
	if err := w.write(ctx); err != nil {
		return Result{}, err
	}
	if err := t.checkUnchanged(ctx); err != nil {
		return Result{}, err
	}
	return Result{Amount: w.done, Shared: w.shared, LeftOut: t.leftOut}, platform.SyncFileSystem(to)
}

// Share makes a snapshot that has its files in common with another: nothing ever writes to them. Where the file
// system cannot share them, they are copied.
func Share(ctx context.Context, from, to string) (Result, error) {
	t, err := readTree(ctx, from, everything)
	if err != nil {
		return Result{}, fmt.Errorf("share the app: %w", err)
	}
	defer t.close()
	w := writer{tree: t, to: to, shareAll: true}
	if err := w.write(ctx); err != nil {
		return Result{}, fmt.Errorf("share the app: %w", err)
	}
	return Result{Amount: w.done, Shared: w.shared}, platform.SyncFileSystem(to)
}
