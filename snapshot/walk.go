package snapshot

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

// Entry is a file, a directory or anything else that a walk visits.
type Entry struct {
	Dir  *os.Root // the directory that it is in, until visit returns
	Base string   // its name there
	Name string   // its name from where the walk began, which itself is "."
	Info fs.FileInfo
}

// Walk visits a directory and all that is in it, by name, a directory before what is in it; fs.SkipDir leaves it out. It is
// for directories that others write to meanwhile: whatever takes the place of a directory, the walk stays in the one that
// it was, and what has vanished is passed over.
func Walk(ctx context.Context, root *os.Root, visit func(Entry) error) error {
	return Entry{Dir: root, Base: ".", Name: "."}.walk(ctx, visit)
}

func (e Entry) walk(ctx context.Context, visit func(Entry) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var err error
	if e.Info, err = e.Dir.Lstat(e.Base); err != nil {
		return ignoreGone(err)
	}
	if err := visit(e); err != nil || !e.Info.IsDir() {
		if errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	list, err := openDir(e.Dir, e.Base)
	if err != nil {
		return e.unlessReplaced(err)
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
		below := Entry{Dir: dir, Base: entry.Name(), Name: path.Join(e.Name, entry.Name())}
		if err := below.walk(ctx, visit); err != nil {
			return err
		}
	}
	return nil
}

// open opens the file, and returns nil if there is none, or something else, by now: a pipe would block.
func (e Entry) open() (*os.File, fs.FileInfo, error) {
	file, err := e.Dir.OpenFile(e.Base, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, e.unlessReplaced(err)
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// unlessReplaced returns an error, if what it is about is still there and of the same kind.
func (e Entry) unlessReplaced(err error) error {
	now, gone := e.Dir.Lstat(e.Base)
	if gone != nil {
		return ignoreGone(gone)
	}
	if now.Mode().Type() != e.Info.Mode().Type() {
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

// notThere reports whether an error says that something is not there any more, or that something above it is no directory any more.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) }
