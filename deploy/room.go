package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/platform"
)

const (
	// roomMargin is how much longer than its requests may take an instance is waited for.
	roomMargin = 5 * time.Second
	roomPoll   = 200 * time.Millisecond
	// roomLooks is how many looks in a row must find nothing. The activator may have been about to arm an instance when the function
	// was held.
	roomLooks = 2
)

// makeRoom ends the instances of all other revisions, and returns when none runs: what they hold, such as a port or a lock, the next one
// could not have. From then on nothing of the function runs but what this command starts, and requests wait at the gateway. It lasts until
// Store.Release, or until the lock of the function is free.
func (f *Function) makeRoom(ctx context.Context, newer platform.RevisionID) (string, error) {
	if err := f.Store.Hold(f.Name); err != nil {
		return "", err
	}
	if err := (&room{Function: f, newer: newer}).empty(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("nothing of %s runs: its requests wait", f.Name), nil
}

// checkSingle reports whether there is never more than one instance of the function: before a change, or after it, when it has a route and
// some revisions. Then it refuses what needs two: a route to several revisions, or a revision that starts aside of the one that serves.
func (f *Function) checkSingle(after platform.Route, aside bool, others ...platform.Revision) (bool, error) {
	single := false
	for _, rev := range others {
		single = single || rev.Config.Autoscale.Single
	}
	before, err := f.Store.Route(f.Name)
	if err != nil {
		before = platform.Route{} // there is none, or none that runs
	}
	for _, share := range before.Traffic {
		rev, err := f.Store.Revision(share.Revision)
		single = single || err == nil && rev.Config.Autoscale.Single
	}
	if !single {
		return false, nil
	}
	several := fmt.Errorf("%s has one instance at most, of one revision: overlap: false in jcloud.yml", f.Name)
	switch {
	case aside && len(before.Traffic) > 0:
		return true, platform.WithHint(several, "without --no-traffic, --rollout and --tag the new revision takes the place of the old one")
	case len(after.Traffic) > 1:
		return true, platform.WithHint(several, "all traffic goes to one, and no tag leads to another: fnctl traffic %s --untag TAG takes one away", f.Name)
	}
	return true, nil
}

// room is the place of a function whose instances must not overlap.
type room struct {
	*Function
	newer platform.RevisionID // whose instances stay; zero: none
}

// empty returns when no instance of another revision runs. They have the time of a request to finish what they work on, with a request or
// without, and are stopped by the activator if they are done before.
func (r *room) empty(ctx context.Context) error {
	seen := map[platform.InstanceID]platform.Config{}
	for began, nothing := time.Now(), 0; ; platform.Sleep(ctx, roomPoll) {
		running, err := r.closeSockets(ctx, seen)
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case err != nil:
			return err
		case len(running) > 0:
			nothing = 0
		case nothing+1 < roomLooks:
			nothing++
			continue
		default:
			return r.stop(ctx, slices.Collect(maps.Keys(seen))) // nothing of them stays
		}
		overdue := slices.DeleteFunc(running, func(id platform.InstanceID) bool {
			return time.Since(began) < roomMargin+time.Duration(seen[id].Timeout)
		})
		if err := r.stop(ctx, overdue); err != nil {
			return err
		}
	}
}

// stop stops instances, and returns when they have ended.
func (r *room) stop(ctx context.Context, ids []platform.InstanceID) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range ids {
		group.Go(func() error { return teardown{Engine: r.Engine}.stop(ctx, id) })
	}
	return group.Wait()
}

// closeSockets lets no instance of another revision be woken any more, and lists those that run. The activator may have armed one just
// before. seen gets the limits of each.
func (r *room) closeSockets(ctx context.Context, seen map[platform.InstanceID]platform.Config) (running []platform.InstanceID, err error) {
	list, err := r.Units.List(ctx, "fn-"+r.Name+"-*@*")
	if err != nil {
		return nil, err
	}
	for _, unit := range list {
		id, kind, ok := platform.ParseUnit(unit.Name)
		if !ok || id.Revision.Function != r.Name || id.Revision == r.newer || unit.Gone() && unit.Active != "failed" {
			continue
		}
		if _, known := seen[id]; !known {
			rev, _ := r.Store.Revision(id.Revision) // of one that cannot be read nothing is known
			seen[id] = rev.Config
		}
		if kind == "socket" {
			if err := r.Units.Stop(ctx, unit.Name); err != nil {
				return nil, err
			}
		}
		if unit.Active == "failed" { // it would be made to listen again
			if err := r.Units.ResetFailed(ctx, unit.Name); err != nil {
				return nil, err
			}
			continue
		}
		if !slices.Contains(running, id) {
			running = append(running, id) // a request may have started what was only armed: the next look tells
		}
	}
	return running, nil
}
