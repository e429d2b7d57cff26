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
	"time"

	"github.com/fnctl/fnctl/platform"
)

// ErrArchive is wrapped by errors about an archive that is damaged or not what it should be.
var ErrArchive = errors.New("not an archive of functions")

// Extract writes what is in an archive below a directory. No member gets out of it, whatever its name is and whatever links
// there are. All is durable when it returns. take is asked about each file first, and may take it for itself.
func Extract(ctx context.Context, archive io.Reader, to *os.Root, take func(name string, content io.Reader) (taken bool, err error)) error {
	if err := extractAll(ctx, tar.NewReader(archive), to, take); err != nil {
		return err
	}
	return platform.SyncFileSystem(to.Name())
}

func extractAll(ctx context.Context, reader *tar.Reader, to *os.Root, take func(string, io.Reader) (bool, error)) error {
	var dirs []*tar.Header
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if !filepath.IsLocal(header.Name) {
			return fmt.Errorf("%w: it has the name %q", ErrArchive, platform.Clip(header.Name))
		}
		if header.Typeflag == tar.TypeReg {
			if taken, err := take(path.Clean(header.Name), reader); err != nil {
				return err
			} else if taken {
				continue
			}
		}
		if err := extract(to, header, reader); err != nil {
			return fmt.Errorf("extract %s: %w", platform.Clip(header.Name), err)
		}
		if header.Typeflag == tar.TypeDir {
			dirs = append(dirs, header)
		}
	}
	// At last: extracting into a directory changes its time, and may need a mode that it has not.
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := dress(to, dirs[i]); err != nil {
			return fmt.Errorf("extract %s: %w", platform.Clip(dirs[i].Name), err)
		}
	}
	return nil
}

func extract(to *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.Clean(header.Name)
	if parent := filepath.Dir(name); parent != "." {
		if err := to.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return to.MkdirAll(name, 0o700)
	case tar.TypeSymlink:
		return to.Symlink(header.Linkname, name)
	case tar.TypeLink:
		return to.Link(filepath.Clean(header.Linkname), name)
	case tar.TypeReg:
		return extractFile(to, name, header, content)
	}
	return fmt.Errorf("%w: a member of type %q", ErrArchive, header.Typeflag)
}

func extractFile(to *os.Root, name string, header *tar.Header, content io.Reader) error {
	file, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, content); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return dress(to, header)
}

// dress gives a file or directory its mode and time.
func dress(to *os.Root, header *tar.Header) error {
	if err := to.Chmod(header.Name, fs.FileMode(header.Mode).Perm()); err != nil {
		return err
	}
	return to.Chtimes(header.Name, time.Time{}, header.ModTime)
}
