package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// Restart replaces all running instances of the function, one after the other, without a failed request. A single one ends first, and
// requests wait.
func (f *Function) Restart(ctx context.Context) error {
	return f.withRoute(ctx, func(route platform.Route) error {
		if route.Paused {
			return PausedError(f.Name)
		}
		running, err := f.runningInstances(ctx, route)
		if err != nil {
			return err
		}
		if running, err = f.dismissPoised(running); err != nil {
			return err
		}
		if len(running) == 0 {
			f.Progress.Note("nothing to restart: no instance of %s runs", f.Name)
			return nil
		}
		if rev, err := f.Store.Revision(running[0].Revision); err == nil && rev.Config.Autoscale.Single {
			return f.restartSingle(ctx, rev)
		}
		for _, id := range running {
			err := f.Progress.Step("replacing "+id.String(), func() (string, error) { return f.replaceInstance(ctx, route, id) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// restartSingle ends the only instance of the function, and starts another one.
func (f *Function) restartSingle(ctx context.Context, rev platform.Revision) error {
	err := f.Progress.Step("ending what runs", func() (string, error) { return f.makeRoom(ctx, platform.RevisionID{}) })
	if err == nil {
		err = f.Progress.Step("starting "+rev.ID.String(), func() (string, error) {
			started := time.Now()
			launched, err := starter{f.Engine}.launchOne(ctx, rev)
			return launched.answered(rev.ID, started), err
		})
	}
	return errors.Join(err, f.Store.Release(f.Name))
}

// runningInstances lists the instances that run and take requests.
func (f *Function) runningInstances(ctx context.Context, route platform.Route) ([]platform.InstanceID, error) {
	list, err := f.Units.List(ctx, "fn-"+f.Name+"-*@*")
	if err != nil {
		return nil, err
	}
	listens := map[platform.InstanceID]bool{}
	var runs, both []platform.InstanceID
	for _, unit := range list {
		id, kind, ok := platform.ParseUnit(unit.Name)
		switch {
		case !ok || unit.Gone() || !route.Serves(id.Revision):
		case kind == "socket":
			listens[id] = true
		default:
			runs = append(runs, id)
		}
	}
	for _, id := range runs {
		if listens[id] {
			both = append(both, id)
		}
	}
	slices.SortFunc(both, func(a, b platform.InstanceID) int { return platform.CompareNatural(a.String(), b.String()) })
	return both, nil
}

// dismissPoised ends what waits in the sandboxes of instances, which is not the app yet, and lists the others. The activator makes the
// sandboxes anew.
func (f *Function) dismissPoised(running []platform.InstanceID) (others []platform.InstanceID, err error) {
	for _, id := range running {
		group := platform.InstanceCgroup(f.Store.Paths, platform.SliceName(f.Name), id)
		if group.Waiting(f.Store.Paths) == 0 {
			others = append(others, id)
			continue
		}
		if err := group.Dismiss(f.Store.Paths); err != nil {
			return nil, fmt.Errorf("end what waits for %s: %w", id, err)
		}
	}
	return others, nil
}

// replaceInstance starts an instance in the place of another, which is drained once the new one answers. The activator
// stops it when it has nothing left to do.
func (f *Function) replaceInstance(ctx context.Context, route platform.Route, old platform.InstanceID) (string, error) {
	started := time.Now()
	rev, err := f.Store.Revision(old.Revision)
	if err != nil {
		return "", err
	}
	s := starter{f.Engine}
	unused, err := s.unusedInstances(ctx, rev.ID, 1)
	if err != nil {
		return "", err
	}
	err = f.change(ctx, route, func(c *change) error {
		c.onFailure(nil, func(ctx context.Context) error { return teardown{Engine: f.Engine, kill: true}.stop(ctx, unused[0]) })
		_, err := s.startInstance(ctx, rev, unused[0])
		return err
	})
	if err != nil {
		return "", err
	}
	if err := f.Units.Stop(ctx, old.Socket()); err != nil {
		return "", err
	}
	if err := f.Units.ResetFailed(ctx, old.Socket()); err != nil {
		return "", err
	}
	return fmt.Sprintf("replaced %s by %s, which answered after %d ms", old, unused[0], time.Since(started).Milliseconds()), nil
}
