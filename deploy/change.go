package deploy

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// undoTimeout bounds the way back from a change that failed or was interrupted.
const undoTimeout = 60 * time.Second

// change is a change of a function that takes effect at one moment: when its route is written. What is done before is taken
// back if anything fails, the latest first, so that requests go where they went before.
//
// A failure after the route was written, such as one to make it durable, takes nothing back that the route needs.
type change struct {
	function *Function
	// before is the route that is taken to be there if none can be read.
	before platform.Route
	undos  []undo
}

// undo takes back one thing that was done.
type undo struct {
	// needed reports whether a route needs what was done; nil means that none does.
	needed func(platform.Route) bool
	run    func(context.Context) error
}

// change runs the steps of a change. If they fail, what they have registered with onFailure is taken back, also if the
// context has ended.
func (f *Function) change(ctx context.Context, before platform.Route, steps func(*change) error) error {
	c := &change{function: f, before: before}
	if err := steps(c); err != nil {
		return errors.Join(err, c.undo(ctx))
	}
	return nil
}

// onFailure registers how to take back what is done next. It is not run if needed says that the route that is there by then
// needs what was done.
func (c *change) onFailure(needed func(platform.Route) bool, run func(context.Context) error) {
	c.undos = append(c.undos, undo{needed, run})
}

func (c *change) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	var errs []error
	for _, u := range slices.Backward(c.undos) {
		if u.needed == nil || !u.needed(c.routeNow()) {
			errs = append(errs, u.run(ctx))
		}
	}
	return errors.Join(errs...)
}

// routeNow is the route that is there. It may have been written, though its durability could not be confirmed.
func (c *change) routeNow() platform.Route {
	route, err := c.function.Store.Route(c.function.Name)
	if err != nil {
		return c.before
	}
	return route
}

// reaches is the need of a route that leads to a revision, paused or not.
func reaches(id platform.RevisionID) func(platform.Route) bool {
	return func(route platform.Route) bool { return route.Reaches(id) }
}

// serves is the need of a route that sends requests to a revision.
func serves(id platform.RevisionID) func(platform.Route) bool {
	return func(route platform.Route) bool { return route.Serves(id) }
}
