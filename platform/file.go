package platform

import (
	"errors"
	"io/fs"
	"os"
)

// Exists reports whether there is something at a path, as far as that can be seen.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Remove removes a file or an empty directory. That there is none is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
