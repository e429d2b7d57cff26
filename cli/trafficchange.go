package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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

// trafficPlan is what is to change of the traffic of a function.
type trafficPlan struct {
	percents percents // nil: as they are
	tags     map[string]platform.RevisionID
	untag    []string
	stick    bool // sticky is what the clients are to stick by
	sticky   *platform.Sticky
}

// changeTraffic does what choose wants, which knows the route as it is, under the function's lock.
func changeTraffic(c *cli.Context, function string, choose func(platform.Store, platform.Route) (trafficPlan, error)) error {
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
	plan, err := choose(t.store, t.before)
	if err != nil {
		return err
	}
	if err := t.run(c.Context, plan); err != nil {
		return err
	}
	t.prune(c.Context, function)
	return showTraffic(c, function)
}

func (t *trafficChange) run(ctx context.Context, plan trafficPlan) error {
	route, needed, err := t.route(plan)
	if err != nil {
		return err
	}
	if sameTraffic(route, t.before) {
		t.progress.note("nothing to change: the traffic of %s is split like that", t.function)
		return nil
	}
	tagged, err := t.tagHosts(t.function, slices.Collect(maps.Keys(plan.tags)))
	if err != nil {
		return err
	}
	if err := t.checkHosts(t.function, slices.Concat(route.Hosts, tagged)); err != nil {
		return err
	}
	return t.apply(ctx, needed, route, "switched the route of "+t.function)
}

func sameTraffic(a, b platform.Route) bool {
	return slices.EqualFunc(a.Traffic, b.Traffic, samePercent) && maps.Equal(a.Tags, b.Tags) && a.Sticky.String() == b.Sticky.String()
}

func samePercent(a, b platform.TrafficShare) bool {
	return a.Revision == b.Revision && a.Percent == b.Percent
}

// route is what the plan makes of the route that there is, with the revisions that must answer before it takes effect:
// those with traffic, if the split is changed, and those that get a tag and were not reached before.
func (t *trafficChange) route(plan trafficPlan) (route platform.Route, needed []platform.Revision, err error) {
	route = t.before
	switch {
	case plan.percents != nil:
		splits, err := t.splits(plan.percents)
		if err != nil {
			return route, nil, err
		}
		for _, split := range splits {
			needed = append(needed, split.Revision)
		}
		route = platform.RouteOver(splits).After(t.before)
	case len(route.Traffic) == 0:
		return route, nil, platform.WithHint(fmt.Errorf("which revision of %s has traffic is not known", t.function), "say it: fnctl traffic %s REVISION=100", t.function)
	}
	for _, tag := range slices.Sorted(maps.Keys(plan.tags)) {
		rev, err := t.revision(plan.tags[tag])
		if err != nil {
			return route, nil, err
		}
		if !route.Reaches(rev.ID) && !t.before.Reaches(rev.ID) {
			needed = append(needed, rev)
		}
		route = route.WithTag(tag, rev)
	}
	for _, tag := range plan.untag {
		if _, has := route.Tags[tag]; !has {
			return route, nil, platform.WithHint(fmt.Errorf("%s has no tag %s", t.function, tag), "\"fnctl traffic %s\" shows those that it has", t.function)
		}
		route = route.WithoutTag(tag)
	}
	if plan.stick {
		route.Sticky = plan.sticky
	}
	return route, needed, nil
}

// apply makes revisions ready to serve, then lets a route take effect.
func (t *trafficChange) apply(ctx context.Context, needed []platform.Revision, route platform.Route, done string) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, t.undo(ctx))
		}
	}()
	for _, rev := range needed {
		err := t.progress.run("starting "+rev.ID.String(), func() (string, error) { return t.start(ctx, rev, route.PercentOf(rev.ID)) })
		if err != nil {
			return err
		}
	}
	if err := t.arm(ctx, route); err != nil {
		return err
	}
	return t.progress.run("switching the route", func() (string, error) { return done, t.switchRoute(route) })
}

// splits reads the revisions that are to get traffic.
func (t *trafficChange) splits(wanted percents) ([]platform.Split, error) {
	var splits []platform.Split
	for id, percent := range wanted {
		if percent == 0 {
			if _, err := t.read(id); err != nil {
				return nil, err
			}
			continue
		}
		rev, err := t.revision(id)
		if err != nil {
			return nil, err
		}
		splits = append(splits, platform.Split{Revision: rev, Percent: percent})
	}
	slices.SortFunc(splits, func(a, b platform.Split) int { return a.Revision.ID.Number - b.Revision.ID.Number })
	return splits, nil
}

// revision reads a revision that is to be reached, and makes sure that what it needs is there.
func (t *trafficChange) revision(id platform.RevisionID) (platform.Revision, error) {
	rev, err := t.read(id)
	if err != nil {
		return rev, err
	}
	for _, path := range append(units.RevisionFiles(t.paths, id), t.paths.Snapshot(id)) {
		if !exists(path) {
			return rev, platform.WithHint(fmt.Errorf("revision %s is not whole: there is no %s", id, path), "deploy %s again", id.Function)
		}
	}
	return rev, nil
}

func (t *trafficChange) read(id platform.RevisionID) (platform.Revision, error) {
	rev, err := t.store.Revision(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return rev, noRevision(id)
	case err != nil:
		return rev, fmt.Errorf("revision %s: %w", id, err)
	}
	return rev, nil
}

func noRevision(id platform.RevisionID) error {
	return platform.WithHint(fmt.Errorf("%s has no revision %05d", id.Function, id.Number), "\"fnctl revisions %s\" shows those that are kept", id.Function)
}

// start makes a revision ready to serve. Its percent says whether it needs all of its instances.
func (t *trafficChange) start(ctx context.Context, rev platform.Revision, percent int) (string, error) {
	started := time.Now()
	if t.before.Serves(rev.ID) && t.before.PercentOf(rev.ID) > 0 {
		if err := t.proveServing(ctx, rev); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s answers", rev.ID), nil
	}
	launch := t.launch
	if percent == 0 {
		launch = t.launchOne
	}
	ids, err := launch(ctx, rev)
	t.started = append(t.started, ids...)
	if err != nil {
		return "", err
	}
	return answered(rev.ID, started), nil
}

// arm lets those revisions of a route listen of which nothing was started: what only a tag leads to after a pause.
func (t *trafficChange) arm(ctx context.Context, route platform.Route) error {
	for _, share := range route.Traffic {
		id := share.Revision
		isOf := func(instance platform.InstanceID) bool { return instance.Revision == id }
		if route.Paused || t.before.Serves(id) || slices.ContainsFunc(t.started, isOf) {
			continue
		}
		unused, err := t.unusedInstances(ctx, id, 1)
		if err != nil {
			return err
		}
		t.started = append(t.started, unused...)
		if err := t.units.Start(ctx, unused[0].Socket()); err != nil {
			return platform.WithHint(err, "journalctl -u %s", unused[0].Socket())
		}
	}
	return nil
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
