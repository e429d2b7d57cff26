package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
	"github.com/fnctl/fnctl/units/systemd"
)

// trafficChange gives the traffic of a function to revisions that it has. Until the route is switched, which is the last
// thing that can fail, nothing changes for a request; if anything fails before, all that was started is stopped.
type trafficChange struct {
	launcher
	function string
	before   platform.Route // empty if it cannot be read
	started  []platform.InstanceID
}

// percents is how much traffic revisions are to get.
type percents map[platform.RevisionID]int

// changeTraffic does what choose wants, which knows the route as it is, under the function's lock.
func changeTraffic(c *cli.Context, function string, choose func(platform.Store, platform.Route) (percents, error)) error {
	if err := checkDeployed(function); err != nil {
		return err
	}
	if err := requireRoot(c.Command.Name); err != nil {
		return err
	}
	manager := &systemd.Manager{}
	defer manager.Close()
	t := trafficChange{launcher: newLauncher(c, manager), function: function}
	unlock, err := t.lock(c.Context, function)
	if err != nil {
		return err
	}
	defer unlock()
	if t.before, err = t.store.Route(function); errors.Is(err, platform.ErrNoFunction) {
		return noFunction(function)
	} else if err != nil {
		printWarning(c.App.ErrWriter, err) // a new route makes it good
		t.before = platform.Route{Function: function}
	}
	wanted, err := choose(t.store, t.before)
	if err != nil {
		return err
	}
	if err := t.run(c.Context, wanted); err != nil {
		return err
	}
	return showTraffic(c, function)
}

func (t *trafficChange) run(ctx context.Context, wanted percents) (err error) {
	splits, err := t.splits(wanted)
	if err != nil {
		return err
	}
	route := platform.RouteOver(splits)
	route.Paused = t.before.Paused
	if slices.EqualFunc(route.Traffic, t.before.Traffic, samePercent) {
		t.progress.note("nothing to change: the traffic of %s is split like that", t.function)
		return nil
	}
	if err := t.checkHosts(t.function, route.Hosts); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.undo(ctx))
		}
	}()
	for _, split := range splits {
		rev := split.Revision
		if err := t.progress.run("starting "+rev.ID.String(), func() (string, error) { return t.start(ctx, rev) }); err != nil {
			return err
		}
	}
	return t.progress.run("switching the route", func() (string, error) {
		return "switched the route of " + t.function, t.switchRoute(route)
	})
}

func samePercent(a, b platform.TrafficShare) bool {
	return a.Revision == b.Revision && a.Percent == b.Percent
}

// splits reads the revisions that are to get traffic, and makes sure that what they need is there.
func (t *trafficChange) splits(wanted percents) ([]platform.Split, error) {
	var splits []platform.Split
	for id, percent := range wanted {
		rev, err := t.store.Revision(id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, noRevision(id)
		case err != nil:
			return nil, fmt.Errorf("revision %s: %w", id, err)
		case percent == 0:
			continue
		}
		for _, path := range append(units.RevisionFiles(t.paths, id), t.paths.Snapshot(id)) {
			if !exists(path) {
				return nil, withHint(fmt.Errorf("revision %s is not whole: there is no %s", id, path), "deploy %s again", id.Function)
			}
		}
		splits = append(splits, platform.Split{Revision: rev, Percent: percent})
	}
	slices.SortFunc(splits, func(a, b platform.Split) int { return a.Revision.ID.Number - b.Revision.ID.Number })
	return splits, nil
}

func noRevision(id platform.RevisionID) error {
	return withHint(fmt.Errorf("%s has no revision %05d", id.Function, id.Number), "\"fnctl revisions %s\" shows those that are kept", id.Function)
}

// start makes a revision ready to serve.
func (t *trafficChange) start(ctx context.Context, rev platform.Revision) (string, error) {
	started := time.Now()
	if t.before.Serves(rev.ID) {
		if err := t.proveServing(ctx, rev); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s answers", rev.ID), nil
	}
	ids, err := t.launch(ctx, rev)
	t.started = append(t.started, ids...)
	if err != nil {
		return "", err
	}
	return answered(rev.ID, started), nil
}

// undo stops what was started, also when the command was interrupted.
func (t *trafficChange) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	r := remover{paths: t.paths, store: t.store, units: t.units, kill: true}
	now, err := t.store.Route(t.function)
	if err != nil {
		now = t.before
	}
	var errs []error
	for _, id := range t.started {
		if now.Serves(id.Revision) {
			continue // the route was switched, though its durability could not be confirmed
		}
		link, _ := units.BootLink(t.paths, id.Revision)
		os.Remove(link)
		errs = append(errs, r.stop(ctx, id))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop what was started: %w", err)
	}
	return nil
}
