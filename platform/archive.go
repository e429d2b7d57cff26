package platform

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Archive writes trees of files into a tar, with modes, times, links, and names of one file as such. Owners are left out:
// those of files that dynamic users have made mean nothing on another machine.
type Archive struct {
	tar *tar.Writer
	// written are the names of the files that have several.
	written map[[2]uint64]string
}

// NewArchive begins an archive. Close ends it.
func NewArchive(w io.Writer) *Archive {
	return &Archive{tar: tar.NewWriter(w), written: map[[2]uint64]string{}}
}

// Close writes the end of the archive.
func (a *Archive) Close() error { return a.tar.Close() }

// AddFile adds one file that need not be on the disk.
func (a *Archive) AddFile(name string, data []byte) error {
	if err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	_, err := a.tar.Write(data)
	return err
}

// AddTree adds a directory as name, but for what skip chooses by its path in the archive. Sockets, pipes and devices stay
// behind. The error tells of a file that became shorter meanwhile.
func (a *Archive) AddTree(ctx context.Context, dir, name string, skip func(name string) bool) error {
	return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		member := path.Join(name, filepath.ToSlash(inside))
		if skip(member) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if err := a.add(file, member, info); err != nil {
			return fmt.Errorf("archive %s: %w", file, err)
		}
		return nil
	})
}

func (a *Archive) add(file, name string, info fs.FileInfo) error {
	header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	switch {
	case info.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
	case info.Mode()&fs.ModeSymlink != 0:
		link, err := os.Readlink(file)
		if err != nil {
			return err
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, link
	case info.Mode().IsRegular():
		if first, again := a.firstName(name, info); again {
			header.Typeflag, header.Linkname = tar.TypeLink, first
			break
		}
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
		return a.addContent(file, header)
	default:
		return nil
	}
	return a.tar.WriteHeader(header)
}

// firstName is the name under which a file with several of them is in the archive already.
func (a *Archive) firstName(name string, info fs.FileInfo) (first string, again bool) {
	stat := info.Sys().(*syscall.Stat_t)
	if stat.Nlink < 2 {
		return "", false
	}
	file := [2]uint64{stat.Dev, stat.Ino}
	if first, again = a.written[file]; !again {
		a.written[file] = name
	}
	return first, again
}

func (a *Archive) addContent(file string, header *tar.Header) error {
	in, err := openRegular(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	// What was appended since is left out.
	_, err = io.CopyN(a.tar, in, header.Size)
	if errors.Is(err, io.EOF) {
		return errors.New("it became shorter while it was read")
	}
	return err
}

// openRegular opens what was a file when it was listed: a pipe by now would block, a link would lead elsewhere.
func openRegular(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if now, err := file.Stat(); err != nil || !now.Mode().IsRegular() {
		file.Close()
		return nil, errors.New("it is not a file any more")
	}
	return file, nil
}
