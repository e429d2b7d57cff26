package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrSnapshot is wrapped by errors about a file that cannot be part of a snapshot.
var ErrSnapshot = errors.New("not part of an app")

// skipped are the names of files and directories that no app needs at run time.
var skipped = map[string]bool{
	".git": true, ".hg": true, ".svn": true, "__pycache__": true, ".venv": true, ".tox": true, ".mypy_cache": true,
	".pytest_cache": true, ".ruff_cache": true, ".DS_Store": true,
}

// Snapshot copies the files of an app, with modes and times, into a new directory. Version control, caches and virtual
// environments stay behind. Links that lead out of the app, and anything that is neither file, directory nor link, are
// refused with an error that wraps ErrSnapshot. It returns how many files it copied and their size in bytes.
func Snapshot(ctx context.Context, from, to string) (files int, bytes int64, err error) {
	root, err := filepath.EvalSymlinks(from)
	if err != nil {
		return 0, 0, fmt.Errorf("copy the app: %w", err)
	}
	var dirs []func() error
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if name != "." && isSkipped(path, entry) {
			return skip(entry)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case entry.IsDir():
			// Times and modes of directories are set at last: copying into them changes the first and may need the second.
			dirs = append(dirs, func() error { return imitate(target, info) })
			return os.Mkdir(target, 0o700)
		case entry.Type()&fs.ModeSymlink != 0:
			return copyLink(root, path, target)
		case entry.Type().IsRegular():
			files, bytes = files+1, bytes+info.Size()
			return copyFile(path, target, info)
		}
		return fmt.Errorf("%w: %s is a %s", ErrSnapshot, path, kindOf(entry.Type()))
	})
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		err = dirs[i]()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("copy the app: %w", err)
	}
	return files, bytes, syncFileSystem(to)
}

// isSkipped tells whether a file or directory stays behind.
func isSkipped(path string, entry fs.DirEntry) bool {
	return skipped[entry.Name()] || isVenv(path, entry)
}

func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func isVenv(path string, entry fs.DirEntry) bool {
	if !entry.IsDir() {
		return false
	}
	_, err := os.Stat(filepath.Join(path, "pyvenv.cfg"))
	return err == nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	}
	return "device"
}

func copyLink(root, path, target string) error {
	link, err := os.Readlink(path)
	if err != nil {
		return err
	}
	end := link
	if !filepath.IsAbs(link) {
		end = filepath.Join(filepath.Dir(path), link)
	}
	inside, err := filepath.Rel(root, end)
	if err != nil || filepath.IsAbs(link) || inside == ".." || strings.HasPrefix(inside, "../") {
		return fmt.Errorf("%w: the link %s leads to %s, outside of the app's directory", ErrSnapshot, path, link)
	}
	return os.Symlink(link, target)
}

func copyFile(path, target string, info fs.FileInfo) error {
	// The file may have become something else since it was listed: a pipe would block, a link would lead elsewhere.
	in, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if now, err := in.Stat(); err != nil || !now.Mode().IsRegular() {
		return fmt.Errorf("%s changed while it was copied", path)
	}
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return imitate(target, info)
}

// imitate gives a copy the mode and the times of its original, without set-user-id bits. The owner may always read and
// write it: that is who runs the app.
func imitate(target string, info fs.FileInfo) error {
	if err := os.Chmod(target, copiedMode(info)); err != nil {
		return err
	}
	return os.Chtimes(target, info.ModTime(), info.ModTime())
}

func copiedMode(info fs.FileInfo) fs.FileMode {
	if info.IsDir() {
		return info.Mode().Perm() | 0o700
	}
	return info.Mode().Perm() | 0o600
}

// syncFileSystem makes everything written to a directory's file system durable: cheaper than one fsync per file.
func syncFileSystem(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
