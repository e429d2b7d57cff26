// Package activator is the control loop: it reads what load there is, decides how many instances each revision should
// have, and starts and stops them. It is never in the path of a request.
package activator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// Units is what the activator asks of systemd.
type Units interface {
	// List returns the loaded units whose names match one of the shell patterns.
	List(ctx context.Context, patterns ...string) ([]platform.UnitStatus, error)
	// Start and Stop return when systemd has started or stopped the unit.
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	ResetFailed(ctx context.Context, unit string) error
	// InactiveSince is when a unit last became inactive.
	InactiveSince(ctx context.Context, unit string) (time.Time, error)
}

// Tick is how often the activator looks and decides: what a step in load waits for before instances start.
const Tick = 200 * time.Millisecond

// settle is how soon it looks again after something that it started has ended.
const settle = 50 * time.Millisecond

// drainGrace is how much longer than its timeout a draining instance may keep a request before it is stopped.
const drainGrace = 5 * time.Second

// Activator is the control loop. Make one with New.
type Activator struct {
	paths  platform.Paths
	store  platform.Store
	units  Units
	source Source
	log    *slog.Logger

	// Owned by the loop.
	revisions map[platform.RevisionID]*revision
	busy      map[platform.InstanceID]bool
	proving   map[platform.InstanceID]bool
	blind     bool

	actions sync.WaitGroup
	done    chan action
	status  atomic.Pointer[[]RevisionStatus]
	metrics *metrics
}

// New returns an activator; Run starts it.
func New(paths platform.Paths, units Units, source Source, log *slog.Logger) *Activator {
	a := &Activator{
		paths:     paths,
		store:     platform.Store{Paths: paths},
		units:     units,
		source:    source,
		log:       log,
		revisions: map[platform.RevisionID]*revision{},
		busy:      map[platform.InstanceID]bool{},
		proving:   map[platform.InstanceID]bool{},
		done:      make(chan action),
		metrics:   newMetrics(),
	}
	a.metrics.registry.MustRegister(statusCollector{a})
	return a
}

// Run decides and acts until the context ends, and returns when everything that it started has ended. Instances go on:
// they are systemd's.
func (a *Activator) Run(ctx context.Context) error {
	defer a.actions.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case done := <-a.done:
			a.finished(done)
			timer.Reset(min(settle, time.Until(next)))
		case <-timer.C:
			started := time.Now()
			a.tick(ctx, started)
			a.metrics.tick(time.Since(started))
			next = started.Add(Tick)
			timer.Reset(time.Until(next))
		}
	}
}

// finished takes note of an action that has ended.
func (a *Activator) finished(done action) {
	log := a.log.With("function", done.id.Revision.Function, "revision", done.id.Revision.String(), "instance", done.id.String())
	if done.verb == "prove" {
		delete(a.proving, done.id)
	} else {
		delete(a.busy, done.id)
	}
	rev := a.revisions[done.id.Revision]
	if rev == nil {
		return
	}
	if i := rev.fleet[done.id.Index]; i != nil {
		i.finished(done, time.Now())
	}
	a.metrics.action(done)
	switch {
	case done.err == nil:
		log.Info("instance changed", "action", done.verb)
	case errors.Is(done.err, context.Canceled):
	default:
		log.Warn("instance change failed", "action", done.verb, "err", done.err)
	}
}

// tick looks once and acts on what it sees.
func (a *Activator) tick(ctx context.Context, now time.Time) {
	// The units are listed before the gateway is asked: what it reports of an instance is then newer than its socket's
	// state, as "seen the socket go" must be.
	fleets, err := a.observe(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.log.Error("look at the instances", "err", err)
		}
		return
	}
	loads, err := a.source.Load(ctx)
	a.sight(err)
	a.sync(fleets, now)
	status := make([]RevisionStatus, 0, len(a.revisions))
	for _, rev := range a.revisions {
		rev.measure(a.paths, loads[rev.id], err == nil, now)
		a.steer(ctx, rev, now)
		status = append(status, rev.status)
	}
	a.publish(status)
}

// sight logs once when the gateway is lost from sight and once when it is back.
func (a *Activator) sight(err error) {
	switch {
	case err != nil && !a.blind:
		a.log.Warn("no metrics: nothing is scaled down until they are back", "err", err)
	case err == nil && a.blind:
		a.log.Info("metrics are back")
	}
	a.blind = err != nil
	a.metrics.scrape(err)
}

// observe lists the instances that systemd knows, by revision.
func (a *Activator) observe(ctx context.Context) (map[platform.RevisionID]fleet, error) {
	units, err := a.units.List(ctx, "fn-*@*.socket", "fn-*@*.service")
	if err != nil {
		return nil, err
	}
	fleets := map[platform.RevisionID]fleet{}
	for _, unit := range units {
		id, kind, ok := platform.ParseUnit(unit.Name)
		if !ok {
			continue
		}
		if fleets[id.Revision] == nil {
			fleets[id.Revision] = fleet{}
		}
		i := fleets[id.Revision][id.Index]
		if i == nil {
			i = &instance{id: id}
			fleets[id.Revision][id.Index] = i
		}
		if kind == "socket" {
			i.socket = unit
		} else {
			i.service = unit
		}
	}
	return fleets, nil
}

// sync brings the revisions in line with what systemd runs and what the routes say.
func (a *Activator) sync(fleets map[platform.RevisionID]fleet, now time.Time) {
	wanted := a.reachable()
	for id := range wanted {
		if fleets[id] == nil {
			fleets[id] = fleet{}
		}
	}
	for id, rev := range a.revisions {
		if fleets[id] == nil {
			a.forget(rev)
		}
	}
	for id, seen := range fleets {
		rev := a.revisions[id]
		// What a deploy is making is its own until it has a route: its instances are about to be started.
		if rev == nil && (wanted[id] || !a.locked(id.Function)) {
			rev = a.adopt(id, seen, now)
		}
		if rev != nil {
			rev.routed = wanted[id]
			rev.see(seen)
		}
	}
}

// reachable lists the revisions that a route can reach.
func (a *Activator) reachable() map[platform.RevisionID]bool {
	wanted := map[platform.RevisionID]bool{}
	names, err := a.store.Functions()
	if err != nil {
		a.log.Error("list the functions", "err", err)
	}
	for _, name := range names {
		route, err := a.store.Route(name)
		if err != nil {
			a.log.Error("read the route", "function", name, "err", err)
			// What was reachable stays so: a damaged file must not end a function.
			for id, rev := range a.revisions {
				if id.Function == name && rev.routed {
					wanted[id] = true
				}
			}
			continue
		}
		for _, share := range route.Traffic {
			wanted[share.Revision] = true
		}
	}
	return wanted
}

// adopt takes over a revision that it meets for the first time, with the instances that it already has.
func (a *Activator) adopt(id platform.RevisionID, seen fleet, now time.Time) *revision {
	described, err := a.store.Revision(id)
	if err != nil {
		a.log.Error("read the revision", "function", id.Function, "revision", id.String(), "err", err)
		return nil
	}
	running := len(seen.in(platform.Starting, platform.Ready))
	rev := newRevision(described, running, now)
	a.revisions[id] = rev
	a.log.Info("revision taken over", "function", id.Function, "revision", id.String(), "instances", running)
	return rev
}

func (a *Activator) forget(rev *revision) {
	delete(a.revisions, rev.id)
	a.log.Info("revision gone", "function", rev.id.Function, "revision", rev.id.String())
}

// locked tells whether a command is changing the function right now, so that instances without a route may be its new
// revision.
func (a *Activator) locked(function string) bool {
	unlock, err := a.store.TryLock(function)
	if err != nil {
		return true
	}
	unlock()
	return false
}

func (a *Activator) publish(status []RevisionStatus) {
	sortStatus(status)
	a.status.Store(&status)
}
