package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// putUnits writes the units of a revision, with what they start, and returns how many there are.
func putUnits(store platform.Store, rev platform.Revision) (int, error) {
	var err error
	if rev.Poised, err = platform.InstallPoise(store.Paths); err != nil {
		return 0, err
	}
	files, err := units.Files(store.Paths, rev)
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if err := platform.WriteFile(filepath.Join(store.Paths.Units(), file.Name), []byte(file.Text), 0o644); err != nil {
			return 0, err
		}
	}
	return len(files), nil
}

// switchRoute lets a route take effect, after a reboot too. Its revisions must be ready to serve.
func switchRoute(store platform.Store, route platform.Route) error {
	for _, share := range route.Traffic {
		if route.Paused {
			continue
		}
		if err := armAtBoot(store, share.Revision); err != nil {
			return fmt.Errorf("arm %s at boot: %w", share.Revision, err)
		}
	}
	if err := store.PutRoute(route); err != nil {
		return err
	}
	for _, share := range route.Traffic {
		_ = store.RemoveFailedDeploy(share.Revision) // it serves, whatever the file says
	}
	unlinkOthers(store, route)
	return nil
}

// armAtBoot lets systemd make the socket of a revision's first instance at boot.
func armAtBoot(store platform.Store, id platform.RevisionID) error {
	link, target := units.BootLink(store.Paths, id)
	if !platform.Exists(store.Paths.Wants()) {
		if err := platform.MakeDir(store.Paths.Wants(), 0o755); err != nil {
			return err
		}
		if err := platform.SyncDir(filepath.Dir(store.Paths.Wants())); err != nil {
			return err
		}
	}
	if err := os.Symlink(target, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return platform.SyncDir(filepath.Dir(link))
}

// unlinkOthers removes the boot links of the revisions to which a route sends no request. One that stays arms a socket
// for nothing.
func unlinkOthers(store platform.Store, route platform.Route) {
	revisions, _ := store.Revisions(route.Function)
	for _, id := range revisions {
		if !route.Serves(id) {
			link, _ := units.BootLink(store.Paths, id)
			os.Remove(link)
		}
	}
}
