package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/workspace"
)

// defaultDrain bounds the drain of a function whose route cannot be read.
const defaultDrain = 120 * time.Second

// Removable reports whether there is anything of a function that Remove could remove.
func (e *Engine) Removable(name string, purge bool) bool {
	return platform.Exists(e.Store.Paths.Function(name)) || purge && platform.Exists(e.Store.Paths.Workspace(name))
}

// RemovePatience is how long Remove usually waits for requests: a request may take as long as its function's timeout, which may be
// hours.
const RemovePatience = 10 * time.Minute

// Remove ends the function: new requests are refused, those that run are finished, but not for longer than patience, and its revisions,
// units and, with purge, its data go. The error wraps platform.ErrNoFunction if there is nothing to remove.
func (f *Function) Remove(ctx context.Context, purge bool, patience time.Duration) error {
	if !f.Removable(f.Name, purge) { // another command was faster
		return platform.NoFunction(f.Name)
	}
	timeout := defaultDrain
	if route, err := f.Store.Route(f.Name); err == nil {
		timeout = longestTimeout(route)
	}
	// Without a route no new request reaches the function; those that it has are finished. What they need stays till then.
	if err := f.Store.RemoveRoute(f.Name); err != nil {
		return err
	}
	err := f.Progress.Step("finishing the requests of "+f.Name, func() (string, error) {
		return "finished the requests of " + f.Name, f.drain(ctx, min(timeout, patience))
	})
	if err != nil && ctx.Err() != nil {
		return platform.WithHint(fmt.Errorf("remove %s: interrupted", f.Name), "it takes no requests any more; \"fnctl remove %s\" removes the rest", f.Name)
	}
	if err := (teardown{Engine: f.Engine}).all(ctx, f.Name); err != nil {
		return err
	}
	return f.disposeData(purge)
}

func longestTimeout(route platform.Route) time.Duration {
	var longest time.Duration
	for _, share := range route.Traffic {
		longest = max(longest, time.Duration(share.Timeout))
	}
	return longest
}

// drainPoll is how often the gateway is asked whether a function still has requests.
const drainPoll = 100 * time.Millisecond

// drain takes all instances of the function out of use and waits until their requests are finished, at most for timeout.
func (f *Function) drain(ctx context.Context, timeout time.Duration) error {
	instances, err := teardown{Engine: f.Engine}.instances(ctx, f.Name)
	if err != nil {
		return err
	}
	for id := range instances {
		if err := f.Units.Stop(ctx, id.Socket()); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("requests still ran after %s", timeout))
	defer cancel()
	for told := 0; ; {
		page, err := readGateway(ctx, f.Store.Paths.GatewaySocket())
		running := 0
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED):
			return nil // a gateway that is not there has no requests
		case err == nil:
			if running = int(page.inFlight(f.Name)); running == 0 {
				return nil
			}
		}
		if running != told {
			told = running
			f.Progress.Detail(fmt.Sprintf("%s, for %s at most", platform.Plural(running, "request"), timeout))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(drainPoll):
		}
	}
}

// disposeData removes the function's persistent data, or says where it is.
func (f *Function) disposeData(purge bool) error {
	data := f.Store.Paths.Workspace(f.Name)
	if !platform.Exists(data) {
		return nil
	}
	if !purge {
		f.Progress.Note("its data stays in %s; --purge removes it", data)
		return nil
	}
	if err := workspace.Remove(f.Store.Paths, f.Name, platform.RemoveTree); err != nil {
		return fmt.Errorf("remove the data of %s: %w", f.Name, err)
	}
	return nil
}
