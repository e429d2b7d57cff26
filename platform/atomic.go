package platform

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// WriteFile replaces a file as a whole: every reader sees the old content or the new, also if the machine or the process dies
// meanwhile. The data is on the disk when it returns.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	return ReplaceFile(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// ReplaceFile does what WriteFile does, with content that write writes piece by piece. It writes a temporary file, and uses
// fsync, rename, and fsync of the directory.
func ReplaceFile(path string, mode os.FileMode, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err = write(tmp); err != nil {
		return err
	}
	if err = tmp.Chmod(mode); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func writeJSON(path string, v any, mode os.FileMode) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return WriteFile(path, append(data, '\n'), mode)
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// SyncFileSystem makes everything written to a directory's file system durable: cheaper than one fsync per file.
func SyncFileSystem(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

// GatewayGroup is the group of the gateway, which reads what not everybody may.
const GatewayGroup = "fnctl-gateway"

// forGateway is the mode of a file that only root and the gateway may read.
const forGateway = 0o640

// WriteForGateway does what WriteFile does with a file that only root and the gateway may read.
func WriteForGateway(path string, data []byte) error {
	return ReplaceFile(path, forGateway, func(w io.Writer) error {
		if file, is := w.(*os.File); is {
			if err := giveToGateway(file); err != nil {
				return err
			}
		}
		_, err := w.Write(data)
		return err
	})
}

// OpenToGateway makes a file that is there one that only root and the gateway may read.
func OpenToGateway(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return errors.Join(giveToGateway(file), file.Chmod(forGateway))
}

// giveToGateway gives a file the group of the gateway. Where there is none, as where functions are not deployed, it stays root's.
func giveToGateway(file *os.File) error {
	group, err := user.LookupGroup(GatewayGroup)
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	id, err := strconv.Atoi(group.Gid)
	if err != nil {
		return err
	}
	return file.Chown(-1, id)
}
