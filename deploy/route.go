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

// putUnits writes the units of a revision, and returns how many there are.
func (f *Function) putUnits(rev platform.Revision) (int, error) {
	files, err := units.Files(f.Store.Paths, rev)
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if err := platform.WriteFile(filepath.Join(f.Store.Paths.Units(), file.Name), []byte(file.Text), 0o644); err != nil {
			return 0, err
		}
	}
	return len(files), nil
}

// switchRoute lets a route take effect, after a reboot too. Its revisions must be ready to serve.
func (f *Function) switchRoute(route platform.Route) error {
	for _, share := range route.Traffic {
		if route.Paused {
			continue
		}
		if err := f.link(share.Revision); err != nil {
			return fmt.Errorf("arm %s at boot: %w", share.Revision, err)
		}
	}
	if err := f.Store.PutRoute(route); err != nil {
		return err
	}
	for _, share := range route.Traffic {
		_ = f.Store.RemoveFailedDeploy(share.Revision) // it serves, whatever the file says
	}
	f.unlinkOthers(route)
	return nil
}

// link arms a revision at boot.
func (f *Function) link(id platform.RevisionID) error {
	link, target := units.BootLink(f.Store.Paths, id)
	if !platform.Exists(f.Store.Paths.Wants()) {
		if err := platform.MakeDir(f.Store.Paths.Wants(), 0o755); err != nil {
			return err
		}
		if err := platform.SyncDir(filepath.Dir(f.Store.Paths.Wants())); err != nil {
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
func (f *Function) unlinkOthers(route platform.Route) {
	revisions, _ := f.Store.Revisions(route.Function)
	for _, id := range revisions {
		if !route.Serves(id) {
			link, _ := units.BootLink(f.Store.Paths, id)
			os.Remove(link)
		}
	}
}
