package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RemoveWork removes a stopped instance's copy of the app, with the link that systemd made to it.
func (p Paths) RemoveWork(id InstanceID) error {
	if err := os.RemoveAll(p.Work(id)); err != nil {
		return fmt.Errorf("remove the directory of %s: %w", id, err)
	}
	link := filepath.Join(p.Root, "var/cache", WorkName(id.String()))
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the directory of %s: %w", id, err)
	}
	return nil
}
