package deploy

import (
	"context"
	"fmt"

	"github.com/fnctl/fnctl/platform"
)

// Pause lets no new request in; those that run are finished, and then nothing of the function runs.
func (f *Function) Pause(ctx context.Context) error {
	return f.withRoute(ctx, func(route platform.Route) error {
		if route.Paused {
			f.Progress.Note("nothing to change: %s is paused", f.Name)
			unlinkOthers(f.Store, route) // a command that was killed may have left some
			return nil
		}
		route.Paused = true
		// The activator drains what has no request to expect any more.
		err := f.Progress.Step("switching the route", func() (string, error) {
			return fmt.Sprintf("paused %s: new requests are refused, those that run are finished", f.Name), switchRoute(f.Store, route)
		})
		if err == nil {
			f.checkServed(ctx)
		}
		return err
	})
}

// Resume makes the revisions ready to serve, then lets requests in again.
func (f *Function) Resume(ctx context.Context) error {
	return f.withRoute(ctx, func(route platform.Route) error {
		if !route.Paused {
			f.Progress.Note("nothing to change: %s is not paused", f.Name)
			return nil
		}
		return f.openRoute(ctx, route, "resumed "+f.Name)
	})
}

// withRoute changes something of a function that has a route, and prunes it.
func (f *Function) withRoute(ctx context.Context, change func(platform.Route) error) error {
	route, err := f.route()
	if err != nil {
		return err
	}
	if err := change(route); err != nil {
		return err
	}
	f.prune(ctx)
	return nil
}

// openRoute makes the revisions of a paused route ready to serve, then lets it take requests.
func (f *Function) openRoute(ctx context.Context, route platform.Route, done string) error {
	t := trafficChange{Function: f, before: route}
	splits, err := t.splits(percentsOf(route))
	if err != nil {
		return err
	}
	var needed []platform.Revision
	for _, split := range splits {
		needed = append(needed, split.Revision)
	}
	route.Paused = false
	return t.apply(ctx, needed, route, done)
}

// percentsOf is how the traffic is split.
func percentsOf(route platform.Route) Percents {
	split := Percents{}
	for _, share := range route.Traffic {
		if share.Percent > 0 {
			split[share.Revision] = share.Percent
		}
	}
	return split
}

// PausedError is the error for what a paused function cannot do.
func PausedError(function string) error {
	return platform.WithHint(fmt.Errorf("%s is paused", function), "fnctl resume %s", function)
}
