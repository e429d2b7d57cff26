package activator

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// unitPatterns match the units of all instances.
var unitPatterns = []string{"fn-*@*.socket", "fn-*@*.service"}

// watchUnits keeps the loop informed of all units. Now and then, and whenever changes may have been missed, it lists
// them all.
func (a *Activator) watchUnits(ctx context.Context) error {
	for ctx.Err() == nil {
		watch, cancel := context.WithCancel(ctx)
		err := a.units.Watch(watch, a.changes, func() {
			a.running.Go(func() { a.listUnits(watch) })
		})
		cancel()
		if ctx.Err() == nil {
			a.log.Warn("watch the units again", "err", err)
			pause(ctx, time.Second)
		}
	}
	return nil
}

func (a *Activator) listUnits(ctx context.Context) {
	for ctx.Err() == nil {
		list, err := a.units.List(ctx, unitPatterns...)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				a.log.Error("list the units", "err", err)
			}
			pause(ctx, time.Second)
			continue
		}
		send(ctx, a.relisted, list)
		pause(ctx, resync)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// relist takes over the list of all units, and looks whether the sockets that listen can be found.
func (a *Activator) relist(list []platform.UnitStatus) {
	defer a.findLost()
	seen := make(map[string]bool, len(list))
	for _, unit := range list {
		seen[unit.Name] = true
		a.unitChanged(unit)
	}
	for _, fleet := range a.fleets {
		for _, i := range fleet {
			if !seen[i.id.Socket()] && i.socket.Name != "" {
				a.unitChanged(platform.UnitStatus{Name: i.id.Socket(), Active: "inactive"})
			}
			if !seen[i.id.Service()] && i.service.Name != "" {
				a.unitChanged(platform.UnitStatus{Name: i.id.Service(), Active: "inactive"})
			}
		}
	}
}

// follow looks at once at an instance that has changed: one that has just started is proved before it serves, so that it
// can be told from one that cannot start.
func (a *Activator) follow(ctx context.Context, unit platform.UnitStatus) {
	id, _, ok := platform.ParseUnit(unit.Name)
	if !ok || a.revisions[id.Revision] == nil {
		return
	}
	if i := a.fleets[id.Revision][id.Index]; i != nil {
		a.proveStarted(ctx, i, time.Now())
	}
	a.judge(ctx, id.Revision)
}

// findLost finds the instances that listen where nobody can connect: somebody has removed the socket's file.
func (a *Activator) findLost() {
	for id, fleet := range a.fleets {
		if a.findLostOf(fleet) {
			a.awake[id] = true
		}
	}
}

func (a *Activator) findLostOf(instances fleet) (found bool) {
	for _, i := range instances {
		if i.socket.Active != "active" || a.busy[i.id] {
			continue
		}
		if _, err := os.Lstat(a.paths.InstanceSocket(i.id)); os.IsNotExist(err) {
			i.lost = true
			found = true
		}
	}
	return found
}

// unitChanged takes over the state of one unit and wakes its revision.
func (a *Activator) unitChanged(unit platform.UnitStatus) {
	id, kind, ok := platform.ParseUnit(unit.Name)
	if !ok {
		return
	}
	instances := a.fleets[id.Revision]
	i := instances[id.Index]
	if i == nil {
		if unit.Gone() && unit.Active != "failed" {
			return // systemd has not unloaded it yet
		}
		i = &instance{id: id}
		if instances == nil {
			instances = fleet{}
			a.fleets[id.Revision] = instances
		}
		instances[id.Index] = i
	}
	before, now := i.state(), time.Now()
	if i.update(kind, unit, now) {
		a.awake[id.Revision] = true
	}
	if before == platform.Armed && i.state() == platform.Starting && !a.busy[id] {
		a.poke() // a request has started it, and perhaps many more wait with it
	}
	if i.over(now) && !a.busy[id] {
		delete(instances, id.Index)
	}
}

// functionChange names functions whose files may have changed.
type functionChange struct {
	names []string
	all   bool
}

// functionsChanged reads the routes again and wakes the revisions that are concerned.
func (a *Activator) functionsChanged(change functionChange) {
	names := make(map[string]bool, len(change.names))
	for _, name := range change.names {
		names[name] = true
	}
	if change.all {
		for name := range a.routes {
			names[name] = true
		}
	}
	for name := range names {
		a.functionChanged(name)
	}
}

func (a *Activator) functionChanged(name string) {
	before, had := a.routes[name]
	route, err := a.store.Route(name)
	if a.damaged[name] {
		a.wakeFunction(name) // they were kept all, and perhaps it is known again which are reached
	}
	delete(a.damaged, name)
	switch {
	case err == nil:
		a.routes[name] = route
	case errors.Is(err, platform.ErrNoFunction):
		delete(a.routes, name)
	default:
		a.damaged[name] = true
		// What was reachable stays so: a file that is damaged or lost must not end a function.
		a.log.Error("read the route: the last good one stays", "function", name, "err", err)
	}
	for _, share := range slices.Concat(route.Traffic, before.Traffic) {
		a.awake[share.Revision] = true
	}
	scale, err := a.store.Scale(name)
	if err != nil {
		a.log.Error("read the scale: the last one stays", "function", name, "err", err)
		return
	}
	if had {
		good := a.routes[name]
		for _, share := range good.Traffic {
			if rev := a.revisions[share.Revision]; rev != nil {
				rev.rescale(scale, good)
			}
		}
	}
}

func (a *Activator) wakeFunction(function string) {
	for id := range a.fleets {
		if id.Function == function {
			a.awake[id] = true
		}
	}
}

// routed tells whether a route can reach a revision.
// While the route cannot be read, it may reach all of them.
func (a *Activator) routed(id platform.RevisionID) bool {
	return a.damaged[id.Function] || a.inRoute(id)
}

// inRoute tells whether the last good route sends requests to a revision.
func (a *Activator) inRoute(id platform.RevisionID) bool {
	return a.routes[id.Function].Serves(id)
}
