package snapshot

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
)

// Archive writes trees of files into a tar, with modes, times, links, and names of one file as such. Owners are left out:
// those of files that dynamic users have made mean nothing on another machine.
type Archive struct {
	tar *tar.Writer
	// written are the names of the files that have several.
	written map[[2]uint64]string
	// Truncated are files that became shorter while they were read. The rest of them is zeros, as with tar.
	Truncated []string
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
// behind. Others may write to the directory meanwhile: nothing from outside of it gets into the archive, and what vanishes is
// left out.
func (a *Archive) AddTree(ctx context.Context, dir, name string, skip func(name string) bool) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return Walk(ctx, root, func(e Entry) error {
		member := path.Join(name, e.Name)
		if skip(member) {
			if e.Info.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err := a.add(e, member); err != nil {
			return fmt.Errorf("archive %s: %w", filepath.Join(dir, e.Name), err)
		}
		return nil
	})
}

func (a *Archive) add(e Entry, member string) error {
	switch mode := e.Info.Mode(); {
	case mode.IsDir():
		return a.tar.WriteHeader(headerOf(tar.TypeDir, member+"/", e.Info))
	case mode&fs.ModeSymlink != 0:
		link, err := e.Dir.Readlink(e.Base)
		if err != nil {
			return e.unlessReplaced(err)
		}
		header := headerOf(tar.TypeSymlink, member, e.Info)
		header.Linkname = link
		return a.tar.WriteHeader(header)
	case mode.IsRegular():
		return a.addRegular(e, member)
	}
	return nil
}

func headerOf(kind byte, name string, info fs.FileInfo) *tar.Header {
	return &tar.Header{Typeflag: kind, Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
}

// addRegular adds a file, whichever has the name by now.
func (a *Archive) addRegular(e Entry, member string) error {
	in, info, err := e.open()
	if in == nil {
		return err
	}
	defer in.Close()
	if first, again := a.firstName(member, info); again {
		header := headerOf(tar.TypeLink, member, info)
		header.Linkname = first
		return a.tar.WriteHeader(header)
	}
	header := headerOf(tar.TypeReg, member, info)
	header.Size = info.Size()
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	// What was appended since is left out.
	copied, err := io.CopyN(a.tar, in, header.Size)
	if errors.Is(err, io.EOF) {
		a.Truncated = append(a.Truncated, member)
		_, err = io.CopyN(a.tar, zeros{}, header.Size-copied)
	}
	return err
}

// zeros is as many zeros as are read.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
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
