package platform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// treeDepth is how deep RemoveTree goes down, and with it how many descriptors it has open; maxTreeDepth where directories cannot be
	// moved, as between those of two projects with quotas.
	treeDepth, maxTreeDepth = 64, 1024
	// maxStale is how often it looks again where all names are gone: one who removes them, too, may make it miss others, and some file
	// systems go on listing what was in a directory that is gone.
	maxStale = 10
	// treeBatch is how many names of a directory it reads at a time.
	treeBatch = 1024
)

// RemoveTree removes a file or a directory with all that is in it, as os.RemoveAll does. It takes few descriptors however deep the tree is,
// and its errors don't have the whole path: apps have made what is in it, and perhaps so that it stays. Nothing may write to it any more,
// but others may remove it, too. What isn't there is no error.
func RemoveTree(path string) error {
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	top, openErr := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(openErr, fs.ErrNotExist) {
		return nil
	}
	if openErr != nil {
		return err // which says why it cannot be removed, if it is no directory
	}
	defer top.Close()
	r := treeRemover{top: top}
	if err := r.empty(top, 0); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// treeRemover removes what is in a directory.
type treeRemover struct {
	top    *os.File
	lifted int // how many directories have moved to the top
}

// empty removes what is in a directory at a depth below the top. The error is that of the first thing that stays.
func (r *treeRemover) empty(dir *os.File, depth int) error {
	for stale := 0; ; {
		// Names are read anew each time, since what is removed meanwhile may make a directory skip others.
		if _, err := dir.Seek(0, io.SeekStart); err != nil {
			return err
		}
		names, err := dir.Readdirnames(treeBatch)
		if len(names) == 0 {
			if errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) { // it is empty, or gone
				return nil
			}
			return fmt.Errorf("read %s: %w", filepath.Base(dir.Name()), err)
		}
		var first error
		progress := false
		for _, name := range names {
			switch err := r.remove(dir, name, depth); {
			case err == nil:
				progress = true
			case !errors.Is(err, unix.ENOENT) && first == nil:
				first = err
			}
		}
		switch {
		case progress:
			stale = 0
		case first != nil || stale == maxStale:
			return first
		default:
			stale++
		}
	}
}

// remove removes one entry. The error wraps unix.ENOENT if it was gone before.
func (r *treeRemover) remove(dir *os.File, name string, depth int) error {
	at := int(dir.Fd())
	err := unix.Unlinkat(at, name, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
	}
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST):
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	if depth >= treeDepth {
		if err := r.lift(at, name); err == nil || depth == maxTreeDepth {
			return err
		}
	}
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: err}
	}
	child := os.NewFile(uintptr(fd), name)
	err = r.empty(child, depth+1)
	child.Close()
	if err != nil {
		return err
	}
	if err := unix.Unlinkat(at, name, unix.AT_REMOVEDIR); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// lift moves a directory to the top, where it is removed later.
func (r *treeRemover) lift(at int, name string) error {
	for {
		r.lifted++
		err := unix.Renameat2(at, name, int(r.top.Fd()), fmt.Sprintf(".lifted-%d", r.lifted), unix.RENAME_NOREPLACE)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return &fs.PathError{Op: "rename", Path: name, Err: err}
		}
	}
}
