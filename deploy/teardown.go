package deploy

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// teardown takes away what deploys have made. What is not there is no error, so that it can finish what was cut short.
type teardown struct {
	*Engine
	// kill gives processes no time to end, because nothing that they do is wanted.
	kill bool
}

// instances lists the instances of a function that systemd knows, each with whether its service runs.
func (r teardown) instances(ctx context.Context, function string) (map[platform.InstanceID]bool, error) {
	list, err := r.Units.List(ctx, "fn-"+function+"-*")
	if err != nil {
		return nil, err
	}
	found := map[platform.InstanceID]bool{}
	for _, unit := range list {
		id, kind, ok := platform.ParseUnit(unit.Name)
		if ok && id.Revision.Function == function {
			found[id] = found[id] || kind == "service" && !unit.Gone()
		}
	}
	return found, nil
}

// revision stops all instances of a revision and removes its units and files.
func (r teardown) revision(ctx context.Context, id platform.RevisionID) error {
	if err := r.halt(ctx, id); err != nil {
		return err
	}
	for _, path := range units.RevisionFiles(r.Store.Paths, id) {
		if err := platform.Remove(path); err != nil {
			return err
		}
	}
	return platform.RemoveTree(r.Store.Paths.Revision(id))
}

// halt stops all instances of a revision, after a reboot too.
func (r teardown) halt(ctx context.Context, id platform.RevisionID) error {
	link, _ := units.BootLink(r.Store.Paths, id)
	if err := platform.Remove(link); err != nil {
		return err
	}
	instances, err := r.instances(ctx, id.Function)
	if err != nil {
		return err
	}
	var group errgroup.Group
	for instance := range instances {
		if instance.Revision == id {
			group.Go(func() error { return r.stop(ctx, instance) })
		}
	}
	return group.Wait()
}

// stop stops one instance for good.
func (r teardown) stop(ctx context.Context, id platform.InstanceID) error {
	if r.kill {
		if err := r.Units.Kill(ctx, id.Service()); err != nil {
			return err
		}
	}
	// The socket first: a request that waits there would start the service again.
	for _, unit := range []string{id.Socket(), id.Service()} {
		if err := r.Units.Stop(ctx, unit); err != nil {
			return err
		}
		if err := r.Units.ResetFailed(ctx, unit); err != nil {
			return err
		}
	}
	return r.Store.RemoveWorkdir(id)
}

// registry removes a function that has no revision any more from the registry.
func (r teardown) registry(ctx context.Context, function string) error {
	if err := r.Units.Stop(ctx, platform.SliceName(function)); err != nil {
		return err
	}
	if err := r.Store.RemoveWorkdirs(function); err != nil {
		return err
	}
	if err := platform.Remove(units.SliceFile(r.Store.Paths, function)); err != nil {
		return err
	}
	return platform.RemoveTree(r.Store.Paths.Function(function))
}

// all stops and removes everything of a function but its data.
func (r teardown) all(ctx context.Context, name string) error {
	ids, err := r.Store.Revisions(name)
	if err != nil {
		return err
	}
	instances, err := r.instances(ctx, name)
	if err != nil {
		return err
	}
	for id := range instances {
		ids = append(ids, id.Revision)
	}
	for _, id := range ids {
		if err := r.revision(ctx, id); err != nil {
			return err
		}
	}
	return r.registry(ctx, name)
}
