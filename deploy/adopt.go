package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/secrets"
	"github.com/fnctl/fnctl/workspace"
)

// Staged is a function as a backup has it, unpacked on the file system of the registry.
type Staged struct {
	// Store is the registry that it is in. What is adopted of it is moved.
	Store platform.Store
	// Secrets returns those of a revision.
	Secrets func(platform.RevisionID) (map[string]string, error)
	// Data is its persistent data, if there is some.
	Data string
}

// Adopt takes over a function that the machine doesn't have. It must answer before it takes a request, as after a deploy; if
// it doesn't, nothing of it stays but its data.
func (f *Function) Adopt(ctx context.Context, staged Staged) error {
	if platform.Exists(f.Store.Paths.Function(f.Name)) {
		return platform.WithHint(errors.New("this machine has a function of that name"), "fnctl remove %s; if fnctl list doesn't show it: fnctl gc", f.Name)
	}
	if err := checkUser(f.Store.Paths, f.Name); err != nil {
		return err
	}
	route, err := staged.Store.Route(f.Name)
	if err != nil {
		return err
	}
	if err := f.checkHosts(route.AllHosts()); err != nil {
		return err
	}
	return f.change(ctx, platform.Route{}, func(c *change) error {
		anyRoute := func(route platform.Route) bool { return len(route.Traffic) > 0 }
		c.onFailure(anyRoute, func(ctx context.Context) error { return teardown{Engine: f.Engine, kill: true}.all(ctx, f.Name) })
		return adoption{Function: f, staged: staged}.run(ctx, route)
	})
}

// adoption is the taking over of a function under way.
type adoption struct {
	*Function
	staged Staged
}

func (a adoption) run(ctx context.Context, route platform.Route) error {
	if err := a.move(ctx); err != nil {
		return err
	}
	if err := a.rewriteUnits(); err != nil {
		return err
	}
	if err := a.moveData(ctx); err != nil {
		return err
	}
	newest, err := a.Store.Revision(route.Newest())
	if err != nil {
		return fmt.Errorf("revision %s: %w", route.Newest(), err)
	}
	if err := a.limitDisk(newest, false); err != nil {
		return err
	}
	if route.Paused {
		return switchRoute(a.Store, route)
	}
	route.Paused = true
	return a.openRoute(ctx, route, "restored "+a.Name)
}

// move brings the directory of the function into the registry, without its route.
func (a adoption) move(ctx context.Context) error {
	revisions, err := a.staged.Store.ReadRevisions(a.Name)
	if err != nil {
		return err
	}
	for _, rev := range revisions {
		if err := a.writeSecrets(ctx, rev); err != nil {
			return err
		}
	}
	if err := a.staged.Store.RemoveRoute(a.Name); err != nil {
		return err
	}
	if err := platform.MakeDir(a.Store.Paths.Functions(), 0o755); err != nil {
		return err
	}
	if err := moveTree(ctx, a.staged.Store.Paths.Function(a.Name), a.Store.Paths.Function(a.Name)); err != nil {
		return err
	}
	if err := a.Store.MakeFunction(a.Name); err != nil { // the backup has the modes of where it was made
		return err
	}
	if err := a.openToGateway(revisions); err != nil {
		return err
	}
	return platform.SyncDir(a.Store.Paths.Functions())
}

// openToGateway opens to the gateway what says who may come in.
func (a adoption) openToGateway(revisions []platform.Revision) error {
	files := []string{a.Store.Paths.Tokens(a.Name)}
	for _, rev := range revisions {
		files = append(files, a.Store.Paths.Users(rev.ID))
	}
	for _, file := range files {
		if err := platform.OpenToGateway(file); err != nil {
			return err
		}
	}
	return nil
}

// writeSecrets encrypts the secrets of a revision with the key of this machine, if it can.
func (a adoption) writeSecrets(ctx context.Context, rev platform.Revision) error {
	values, err := a.staged.Secrets(rev.ID)
	if err != nil {
		return err
	}
	rev.Secrets = nil
	if len(values) > 0 {
		rev.Secrets = &platform.Secrets{Names: slices.Sorted(maps.Keys(values)), Encrypted: secrets.CanEncrypt(ctx) == nil}
		if err := secrets.Write(ctx, a.staged.Store.Paths.Credentials(rev.ID), values, rev.Secrets.Encrypted); err != nil {
			return err
		}
	}
	return a.staged.Store.PutRevision(a.staged.Store.Paths.Revision(rev.ID), rev)
}

// rewriteUnits makes the units of all revisions anew: they follow from their descriptions, and from this version of fnctl.
func (a adoption) rewriteUnits() error {
	revisions, err := a.Store.ReadRevisions(a.Name)
	if err != nil {
		return err
	}
	for _, rev := range revisions {
		if _, err := putUnits(a.Store, rev); err != nil {
			return err
		}
	}
	return nil
}

// moveData brings the persistent data of the function where systemd makes it. Its owner is set when an instance starts.
func (a adoption) moveData(ctx context.Context) error {
	from := a.staged.Data
	to := a.Store.Paths.Workspace(a.Name)
	if !platform.Exists(from) {
		return nil
	}
	if left, err := os.ReadDir(to); err == nil && len(left) > 0 {
		a.Progress.Note("%s keeps the data that is there already: %s", a.Name, to)
		return nil
	}
	if err := workspace.MakeParent(a.Store.Paths, a.Name); err != nil {
		return err
	}
	if err := platform.Remove(to); err != nil { // it is empty, or not there
		return err
	}
	return moveTree(ctx, from, to)
}
