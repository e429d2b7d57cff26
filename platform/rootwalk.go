package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// found is something that a walk has come upon.
type found struct {
	dir  *os.Root // the directory that it is in, until visit returns
	base string   // its name there
	name string   // its name from where the walk began, which itself is "."
	info fs.FileInfo
}

// walkRoot visits a directory and all that is in it, by name, a directory before what is in it; fs.SkipDir leaves it out. It is
// for directories that others write to meanwhile: whatever takes the place of a directory, the walk stays in the one that
// it was, and what has vanished is passed over.
func walkRoot(ctx context.Context, root *os.Root, visit func(found) error) error {
	return found{dir: root, base: ".", name: "."}.walk(ctx, visit)
}

func (f found) walk(ctx context.Context, visit func(found) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var err error
	if f.info, err = f.dir.Lstat(f.base); err != nil {
		return ignoreGone(err)
	}
	if err := visit(f); err != nil || !f.info.IsDir() {
		if errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	list, err := openDir(f.dir, f.base)
	if err != nil {
		return f.unlessReplaced(err)
	}
	defer list.Close()
	entries, err := readDir(list)
	if err != nil {
		return err
	}
	// By its descriptor, because Root.OpenRoot waits for the writer of a pipe.
	dir, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", list.Fd()))
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, entry := range entries {
		below := found{dir: dir, base: entry.Name(), name: path.Join(f.name, entry.Name())}
		if err := below.walk(ctx, visit); err != nil {
			return err
		}
	}
	return nil
}

// open opens a file, and returns nil if there is none, or something else, by now: a pipe would block.
func (f found) open() (*os.File, fs.FileInfo, error) {
	file, err := f.dir.OpenFile(f.base, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, f.unlessReplaced(err)
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// unlessReplaced returns an error, if what it is about is still there and of the same kind.
func (f found) unlessReplaced(err error) error {
	now, gone := f.dir.Lstat(f.base)
	if gone != nil {
		return ignoreGone(gone)
	}
	if now.Mode().Type() != f.info.Mode().Type() {
		return nil
	}
	return err
}

// openDir opens a directory. A pipe in its place does not block.
func openDir(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
}

// readDir lists a directory by name. Names need not be UTF-8, as they need be for an fs.FS.
func readDir(dir *os.File) ([]fs.DirEntry, error) {
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// ignoreGone takes for no error that something is not there any more.
func ignoreGone(err error) error {
	if notThere(err) {
		return nil
	}
	return err
}

// notThere tells whether an error says that something is not there any more, or that something above it is no directory any more.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) }
