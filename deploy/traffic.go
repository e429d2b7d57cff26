package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// Percents is how much traffic revisions are to get.
type Percents map[platform.RevisionID]int

// TrafficPlan is what is to change of the traffic of a function.
type TrafficPlan struct {
	Percents Percents // nil: as they are
	Tags     map[string]platform.RevisionID
	Untag    []string
	Stick    bool // Sticky replaces what clients stick by
	Sticky   *platform.Sticky
}

// ChangeTraffic gives the traffic of the function to revisions that it has. Those that get some, or a tag, must answer first;
// if they don't, nothing changes for a request, and all that was started is stopped.
func (f *Function) ChangeTraffic(ctx context.Context, plan TrafficPlan) error {
	before, err := f.trafficBefore()
	if err != nil {
		return err
	}
	return f.changeTraffic(ctx, before, plan)
}

// Rollback gives all traffic back to the last revision before the newest with traffic that had traffic itself.
func (f *Function) Rollback(ctx context.Context) error {
	before, err := f.trafficBefore()
	if err != nil {
		return err
	}
	id, err := f.earlier(before)
	if err != nil {
		return err
	}
	return f.changeTraffic(ctx, before, TrafficPlan{Percents: Percents{id: 100}})
}

// trafficBefore is the route that there is. One that cannot be read is empty, and a new one makes it good.
func (f *Function) trafficBefore() (platform.Route, error) {
	before, err := f.Store.Route(f.Name)
	if errors.Is(err, platform.ErrNoFunction) {
		return before, platform.NoFunction(f.Name)
	}
	if err != nil {
		f.Progress.Warn(err)
		return platform.Route{Function: f.Name}, nil
	}
	return before, nil
}

func (f *Function) changeTraffic(ctx context.Context, before platform.Route, plan TrafficPlan) error {
	t := trafficChange{Function: f, before: before}
	if err := t.run(ctx, plan); err != nil {
		return err
	}
	f.prune(ctx)
	return nil
}

// trafficChange is a change of the traffic under way.
type trafficChange struct {
	*Function
	before  platform.Route // empty if it cannot be read
	started []platform.InstanceID
}

func (t *trafficChange) run(ctx context.Context, plan TrafficPlan) error {
	route, needed, err := t.planned(plan)
	if err != nil {
		return err
	}
	if sameTraffic(route, t.before) {
		t.Progress.Note("nothing to change: the traffic of %s is split like that", t.Name)
		return nil
	}
	tagged, err := t.tagHosts(slices.Collect(maps.Keys(plan.Tags)))
	if err != nil {
		return err
	}
	if err := t.checkHosts(slices.Concat(route.AllHosts(), tagged)); err != nil {
		return err
	}
	return t.apply(ctx, needed, route, "switched the route of "+t.Name)
}

func sameTraffic(a, b platform.Route) bool {
	return slices.EqualFunc(a.Traffic, b.Traffic, samePercent) && maps.Equal(a.Tags, b.Tags) && a.Sticky.String() == b.Sticky.String()
}

func samePercent(a, b platform.TrafficShare) bool {
	return a.Revision == b.Revision && a.Percent == b.Percent
}

// planned returns the route after the plan, with the revisions that must answer before it takes effect:
// those with traffic, if the split is changed, and those that get a tag and were not reached before.
func (t *trafficChange) planned(plan TrafficPlan) (route platform.Route, needed []platform.Revision, err error) {
	route = t.before
	switch {
	case plan.Percents != nil:
		splits, err := t.splits(plan.Percents)
		if err != nil {
			return route, nil, err
		}
		for _, split := range splits {
			needed = append(needed, split.Revision)
		}
		route = platform.RouteOver(splits).After(t.before)
	case len(route.Traffic) == 0:
		return route, nil, platform.WithHint(fmt.Errorf("which revision of %s has traffic is not known", t.Name), "say it: fnctl traffic %s REVISION=100", t.Name)
	}
	for _, tag := range slices.Sorted(maps.Keys(plan.Tags)) {
		rev, err := t.revision(plan.Tags[tag])
		if err != nil {
			return route, nil, err
		}
		if !route.Reaches(rev.ID) && !t.before.Reaches(rev.ID) {
			needed = append(needed, rev)
		}
		route = route.WithTag(tag, rev)
	}
	for _, tag := range plan.Untag {
		if _, has := route.Tags[tag]; !has {
			return route, nil, platform.WithHint(fmt.Errorf("%s has no tag %s", t.Name, tag), "\"fnctl traffic %s\" shows those that it has", t.Name)
		}
		route = route.WithoutTag(tag)
	}
	if plan.Stick {
		route.Sticky = plan.Sticky
	}
	return route, needed, nil
}

// apply makes revisions ready to serve, then lets a route take effect.
func (t *trafficChange) apply(ctx context.Context, needed []platform.Revision, route platform.Route, done string) error {
	starts := slices.ContainsFunc(needed, func(rev platform.Revision) bool { return !t.before.Serves(rev.ID) })
	alone, err := t.checkSingle(route, false, needed...)
	if err != nil {
		return err
	}
	err = t.change(ctx, t.before, func(c *change) error {
		if alone && starts {
			if err := t.Progress.Step("ending what runs", func() (string, error) { return t.makeRoom(ctx, platform.RevisionID{}) }); err != nil {
				return err
			}
		}
		for _, rev := range needed {
			err := t.Progress.Step("starting "+rev.ID.String(), func() (string, error) { return t.start(ctx, c, rev, route.PercentOf(rev.ID)) })
			if err != nil {
				return err
			}
		}
		if err := t.arm(ctx, c, route); err != nil {
			return err
		}
		return t.Progress.Step("switching the route", func() (string, error) { return done, switchRoute(t.Store, route) })
	})
	err = errors.Join(err, t.Store.Release(t.Name))
	if err == nil {
		t.checkServed(ctx)
	}
	return err
}

// splits reads the revisions that are to get traffic.
func (t *trafficChange) splits(desired Percents) ([]platform.Split, error) {
	var splits []platform.Split
	for id, percent := range desired {
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
	for _, path := range append(units.RevisionFiles(t.Store.Paths, id), t.Store.Paths.Snapshot(id)) {
		if !platform.Exists(path) {
			return rev, platform.WithHint(fmt.Errorf("revision %s is not whole: there is no %s", id, path), "deploy %s again", id.Function)
		}
	}
	return rev, nil
}

func (t *trafficChange) read(id platform.RevisionID) (platform.Revision, error) {
	rev, err := t.Store.Revision(id)
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

// start makes a revision ready to serve: with all instances that it must have, or with one if its percent is 0.
func (t *trafficChange) start(ctx context.Context, c *change, rev platform.Revision, percent int) (string, error) {
	started := time.Now()
	s := starter{t.Engine}
	if t.before.Serves(rev.ID) && t.before.PercentOf(rev.ID) > 0 {
		if err := s.proveServing(ctx, rev); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s answers", rev.ID), nil
	}
	launch := s.launch
	if percent == 0 {
		launch = s.launchOne
	}
	launched, err := launch(ctx, rev)
	t.took(c, launched.instances)
	if err != nil {
		return "", err
	}
	return launched.answered(rev.ID, started), nil
}

// arm lets those revisions of a route listen of which nothing was started: what only a tag leads to after a pause.
func (t *trafficChange) arm(ctx context.Context, c *change, route platform.Route) error {
	for _, share := range route.Traffic {
		id := share.Revision
		isOf := func(instance platform.InstanceID) bool { return instance.Revision == id }
		if route.Paused || t.before.Serves(id) || slices.ContainsFunc(t.started, isOf) {
			continue
		}
		unused, err := starter{t.Engine}.unusedInstances(ctx, id, 1)
		if err != nil {
			return err
		}
		t.took(c, unused)
		if err := t.Units.Start(ctx, unused[0].Socket()); err != nil {
			return platform.WithHint(err, "journalctl -u %s", unused[0].Socket())
		}
	}
	return nil
}

// took registers instances that are started for the change.
func (t *trafficChange) took(c *change, ids []platform.InstanceID) {
	t.started = append(t.started, ids...)
	for _, id := range ids {
		c.onFailure(serves(id.Revision), func(ctx context.Context) error {
			link, _ := units.BootLink(t.Store.Paths, id.Revision)
			os.Remove(link)
			if err := (teardown{Engine: t.Engine, kill: true}).stop(ctx, id); err != nil {
				return fmt.Errorf("stop what was started: %w", err)
			}
			return nil
		})
	}
}

// earlier is the last revision before the newest with traffic that had traffic itself.
func (f *Function) earlier(before platform.Route) (platform.RevisionID, error) {
	hint := fmt.Sprintf("\"fnctl revisions %s\" shows those that are kept", before.Function)
	if len(before.Traffic) == 0 {
		return platform.RevisionID{}, platform.WithHint(fmt.Errorf("which revision of %s has traffic is not known", before.Function),
			"name the one to go back to; %s", hint)
	}
	ids, err := f.Store.Revisions(before.Function)
	if err != nil {
		return platform.RevisionID{}, err
	}
	var found platform.RevisionID
	for _, id := range ids {
		_, failed := f.Store.FailedDeploy(id)
		if id.Number < before.Newest().Number && f.Store.Served(id) && !failed {
			found = id
		}
	}
	if found.Number == 0 {
		return found, platform.WithHint(fmt.Errorf("%s has no revision before %05d to go back to", before.Function, before.Newest().Number), "%s", hint)
	}
	return found, nil
}
