package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// roomMargin is how much longer than its requests and its end may take an instance is waited for.
	roomMargin = 30 * time.Second
	roomPoll   = 200 * time.Millisecond
)

// room is the place of a function whose new revision must not run beside the old ones: what they hold, such as a port or a lock, it
// could not have. Nothing of the function runs from when it is made until the new revision does, and requests are refused.
type room struct {
	*Function
	before platform.Route
	made   bool
}

// make takes no new requests, and waits until the instances of the other revisions have ended.
func (r *room) make(ctx context.Context, newer platform.RevisionID) (string, error) {
	running, err := teardown{Engine: r.Engine}.instances(ctx, r.Name)
	if err != nil {
		return "", err
	}
	if !r.before.Paused {
		paused := r.before
		paused.Paused, r.made = true, true
		if err := r.switchRoute(paused); err != nil {
			return "", err
		}
		r.checkServed(ctx)
	}
	// The activator drains nothing of a function that a command changes.
	for id, runs := range running {
		if id.Revision == newer {
			continue
		}
		if err := r.release(ctx, id, runs); err != nil {
			return "", err
		}
	}
	if err := r.wait(ctx, newer); err != nil {
		return "", err
	}
	return fmt.Sprintf("nothing of %s runs: requests are refused until %s does", r.Name, newer), nil
}

// release ends an instance that is only armed. One that runs finishes its requests, and is stopped by the activator.
func (r *room) release(ctx context.Context, id platform.InstanceID, runs bool) error {
	if !runs {
		return teardown{Engine: r.Engine}.stop(ctx, id)
	}
	if err := r.Units.Stop(ctx, id.Socket()); err != nil {
		return err
	}
	return r.Units.ResetFailed(ctx, id.Socket())
}

// wait returns when no instance of another revision runs.
func (r *room) wait(ctx context.Context, newer platform.RevisionID) error {
	limit := r.limit()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it has not ended within %s", limit))
	defer cancel()
	var left []string
	for {
		running, err := teardown{Engine: r.Engine}.instances(ctx, r.Name)
		switch {
		case err == nil:
			left = left[:0]
			for id, runs := range running {
				if runs && id.Revision != newer {
					left = append(left, id.String())
				}
			}
			if len(left) == 0 {
				return nil
			}
		case ctx.Err() == nil:
			return err
		}
		if ctx.Err() != nil {
			slices.Sort(left)
			return platform.WithHint(fmt.Errorf("%s must end first: %w", strings.Join(left, ", "), context.Cause(ctx)), "systemctl status fnctl-activator, which ends what has no request left")
		}
		platform.Sleep(ctx, roomPoll)
	}
}

// limit is how long the instances of the revisions with traffic may take to finish their requests and to end.
func (r *room) limit() time.Duration {
	limit := roomMargin
	for _, share := range r.before.Traffic {
		rev, err := r.Store.Revision(share.Revision)
		if err == nil {
			limit = max(limit, roomMargin+time.Duration(rev.Config.Timeout)+time.Duration(rev.Config.StopTimeout))
		}
	}
	return limit
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
