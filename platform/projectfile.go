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

// ReadBeneath reads a file of a project, at most limit bytes of it. A project is not trusted, and root reads it: a link that
// leads out of root is an error, and so is what is no regular file, such as a pipe, which is not waited for.
func ReadBeneath(root *os.Root, name string, limit int64) ([]byte, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, explainEscape(root, name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	switch path := filepath.Join(root.Name(), name); {
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: path, Err: unix.EISDIR}
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	return io.ReadAll(io.LimitReader(file, limit))
}

// explainEscape says it if a file cannot be opened because it is a link that leads out of root. Package os has no error of its own
// for that.
func explainEscape(root *os.Root, name string, err error) error {
	path := filepath.Join(root.Name(), name)
	if _, there := os.Stat(path); there == nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		if target, _ := filepath.EvalSymlinks(path); target != "" && target != filepath.Clean(path) {
			return WithHint(fmt.Errorf("%s is a link that leads out of %s", path, root.Name()), "put the file itself there")
		}
	}
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return &fs.PathError{Op: "open", Path: path, Err: failed.Err} // with its directory
	}
	return err
}
