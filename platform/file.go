package platform

import (
	"errors"
	"io/fs"
	"os"
)

// SystemPath is where a program that is given by its name is looked for, and the PATH of instances: systemd knows these directories, too,
// and what else the user who deploys has in PATH may lie where no function can read it.
var SystemPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"}

// Exists reports whether there is something at a path, as far as that can be seen.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// MakeDir makes a directory, with its parents, that has this mode whatever the umask is. One that is there gets the mode.
func MakeDir(path string, mode os.FileMode) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() == mode {
		return err
	}
	return os.Chmod(path, mode)
}

// Remove removes a file or an empty directory. That there is none is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
