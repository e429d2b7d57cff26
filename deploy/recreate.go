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
)

// room is the place of a function whose new revision must not run beside the old ones: what they hold, such as a port or a lock, it
// could not have. Nothing of the function runs from when it is made until the new revision does, and requests are refused.
type room struct {
	*Function
	before platform.Route
	made   bool
}

// make takes no new requests, and ends the instances of the other revisions.
func (r *room) make(ctx context.Context, newer platform.RevisionID) (string, error) {
	if !r.before.Paused {
		paused := r.before
		paused.Paused, r.made = true, true
		if err := r.switchRoute(paused); err != nil {
			return "", err
		}
		if !r.checkServed(ctx) {
			return "", fmt.Errorf("the gateway still sends requests to %s: nothing was ended", r.Name)
		}
	}
	if err := r.empty(ctx, newer); err != nil {
		return "", err
	}
	return fmt.Sprintf("nothing of %s runs: requests are refused until %s does", r.Name, newer), nil
}

// empty returns when no instance of another revision runs. They have the time of a request to finish what they work on, with a request or
// without, and are stopped by the activator if they are done before.
func (r *room) empty(ctx context.Context, newer platform.RevisionID) error {
	seen := map[platform.InstanceID]platform.Config{}
	for began := time.Now(); ; platform.Sleep(ctx, roomPoll) {
		running, err := r.closeSockets(ctx, newer, seen)
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case err != nil:
			return err
		case len(running) == 0:
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
func (r *room) closeSockets(ctx context.Context, newer platform.RevisionID, seen map[platform.InstanceID]platform.Config) (running []platform.InstanceID, err error) {
	list, err := r.Units.List(ctx, "fn-"+r.Name+"-*@*")
	if err != nil {
		return nil, err
	}
	for _, unit := range list {
		id, kind, ok := platform.ParseUnit(unit.Name)
		if !ok || id.Revision.Function != r.Name || id.Revision == newer || unit.Gone() {
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
		if !slices.Contains(running, id) {
			running = append(running, id) // a request may have started what was only armed: the next look tells
		}
	}
	return running, nil
}

// giveBack lets requests go where they went before. What serves them is armed by the activator.
func (r *room) giveBack(context.Context) error {
	if !r.made {
		return nil
	}
	if err := r.switchRoute(r.before); err != nil {
		return platform.WithHint(fmt.Errorf("%s is paused: %w", r.Name, err), "fnctl resume %s", r.Name)
	}
	r.Progress.Note("requests to %s go where they went before", r.Name)
	return nil
}
