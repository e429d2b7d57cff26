package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ShareSnapshot makes a snapshot that has its files in common with another: nothing ever writes to them. Where the file
// system cannot share them, they are copied. It returns how many files there are and their size in bytes.
func ShareSnapshot(ctx context.Context, from, to string) (files int, bytes int64, err error) {
	var dirs []func() error
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case entry.IsDir():
			dirs = append(dirs, func() error { return imitate(target, info) })
			return os.Mkdir(target, 0o700)
		case entry.Type()&fs.ModeSymlink != 0:
			return copyLink(from, path, target)
		}
		files, bytes = files+1, bytes+info.Size()
		return shareFile(path, target, info)
	})
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		err = dirs[i]()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("share the app: %w", err)
	}
	return files, bytes, syncFileSystem(to)
}

func shareFile(path, target string, info fs.FileInfo) error {
	err := os.Link(path, target)
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
		return copyFile(path, target, info)
	}
	return err
}
