// Package activator is the control loop: it reads what load there is, decides how many instances each revision should
// have, and starts and stops them. It is never in the path of a request.
package activator

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/platform"
)

// Units is what the activator asks of systemd.
type Units interface {
	// List returns the loaded units whose names match one of the shell patterns.
	List(ctx context.Context, patterns ...string) ([]platform.UnitStatus, error)
	// Watch sends the state of every unit that changes, until the context ends, or with an error when it may have missed
	// some. It calls watching when none can be missed any more.
	Watch(ctx context.Context, changes chan<- platform.UnitStatus, watching func()) error
	// Start and Stop return when systemd has started or stopped the unit.
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	ResetFailed(ctx context.Context, unit string) error
	// Kill ends all processes of a unit at once.
	Kill(ctx context.Context, unit string) error
	// Service says how a service is, and how its last run ended.
	Service(ctx context.Context, unit string) (platform.ServiceStatus, error)
	// SocketResult is success, or how a socket unit has failed.
	SocketResult(ctx context.Context, unit string) (string, error)
	// InactiveSince is when a unit last became inactive.
	InactiveSince(ctx context.Context, unit string) (time.Time, error)
}

const (
	// Tick is how often the activator looks and decides: what a step in load waits for before instances start.
	Tick = 200 * time.Millisecond
	// resync is how often all units are listed, in case that a change was missed.
	resync = 30 * time.Second
	// drainGrace is how much longer than its timeout a draining instance may keep a request before it is stopped.
	drainGrace = 5 * time.Second
)

// Config is what an activator is made of.
type Config struct {
	Paths  platform.Paths
	Units  Units
	Source Source
	// Querier answers the queries of metric: prometheus. It may be nil if there is no Prometheus.
	Querier Querier
	Log     *slog.Logger
}

// Querier evaluates a PromQL expression that yields one number.
type Querier interface {
	Query(ctx context.Context, query string) (float64, error)
}

// Activator is the control loop. Make one with New.
type Activator struct {
	paths   platform.Paths
	store   platform.Store
	units   Units
	source  Source
	querier Querier
	log     *slog.Logger
	host    *host
	metrics *metrics

	// Owned by the loop. What systemd says of units is kept for all instances, what routes say for all functions; only
	// revisions that are awake are looked at in every tick.
	fleets    map[platform.RevisionID]fleet
	routes    map[string]platform.Route
	loads     map[platform.RevisionID]*Load // the last of each that was told
	damaged   map[string]bool               // functions whose route cannot be read
	revisions map[platform.RevisionID]*revision
	awake     map[platform.RevisionID]bool
	busy      map[platform.InstanceID]bool
	proving   map[platform.InstanceID]bool
	blind     bool

	running      sync.WaitGroup
	done         chan action
	changes      chan platform.UnitStatus
	relisted     chan []platform.UnitStatus
	explanations chan explanation
	functions    chan functionChange
	pokes        chan struct{}
	reports      chan report
	answers      chan answer
	board        board
	apps         *AppMetrics
}

// New returns an activator; Run starts it.
func New(config Config) *Activator {
	a := &Activator{
		paths:        config.Paths,
		store:        platform.Store{Paths: config.Paths},
		units:        config.Units,
		source:       config.Source,
		querier:      config.Querier,
		log:          config.Log,
		host:         newHost(config.Paths),
		metrics:      newMetrics(),
		fleets:       map[platform.RevisionID]fleet{},
		routes:       map[string]platform.Route{},
		loads:        map[platform.RevisionID]*Load{},
		damaged:      map[string]bool{},
		revisions:    map[platform.RevisionID]*revision{},
		awake:        map[platform.RevisionID]bool{},
		busy:         map[platform.InstanceID]bool{},
		proving:      map[platform.InstanceID]bool{},
		done:         make(chan action),
		changes:      make(chan platform.UnitStatus, 1024),
		relisted:     make(chan []platform.UnitStatus),
		explanations: make(chan explanation),
		functions:    make(chan functionChange),
		pokes:        make(chan struct{}, 1),
		reports:      make(chan report),
		answers:      make(chan answer),
		board:        board{latest: map[platform.RevisionID]RevisionStatus{}},
	}
	a.apps = NewAppMetrics(config.Paths, a.metrics.registry, config.Log)
	a.metrics.registry.MustRegister(statusCollector{a})
	return a
}

// Run decides and acts until the context ends, and returns when everything that it started has ended. Instances go on:
// they are systemd's.
func (a *Activator) Run(ctx context.Context) error {
	defer a.running.Wait()
	group, ctx := errgroup.WithContext(ctx)
	follower := &platform.FunctionsFollower{Paths: a.paths, Log: a.log, Changes: func(names []string, all bool) {
		send(ctx, a.functions, functionChange{names, all})
	}}
	group.Go(func() error { return platform.Follow(ctx, follower, a.log) })
	group.Go(func() error { return a.watchUnits(ctx) })
	group.Go(func() error { return a.scrape(ctx) })
	group.Go(func() error { return a.apps.Run(ctx, a.ready) })
	group.Go(func() error { return a.keepGateway(ctx) })
	group.Go(func() error { return a.loop(ctx) })
	return group.Wait()
}

// loop owns the state: everything that happens reaches it through a channel.
func (a *Activator) loop(ctx context.Context) error {
	// Nothing is decided before the units and the routes are known: what is there must not be taken for gone.
	var knowUnits, knowRoutes, swept bool
	for {
		select {
		case <-ctx.Done():
			return nil
		case list := <-a.relisted:
			a.relist(list)
			knowUnits = true
		case unit := <-a.changes:
			a.unitChanged(unit)
			a.follow(ctx, unit)
		case change := <-a.functions:
			a.functionsChanged(change)
			knowRoutes = true
		case done := <-a.done:
			a.finished(done)
			a.judge(ctx, done.id.Revision)
		case why := <-a.explanations:
			a.explained(why)
		case answer := <-a.answers:
			a.answered(answer)
		case report := <-a.reports:
			if !knowUnits || !knowRoutes {
				continue
			}
			if !swept {
				a.sweepFailures()
				swept = true
			}
			a.tick(ctx, report)
		}
	}
}

// send gives a value to the loop, unless the loop has ended.
func send[T any](ctx context.Context, ch chan<- T, value T) {
	select {
	case ch <- value:
	case <-ctx.Done():
	}
}

// tick decides for every revision that is awake, and acts.
func (a *Activator) tick(ctx context.Context, report report) {
	started := time.Now()
	a.sight(report.err)
	for id, load := range report.loads {
		a.loads[id] = load
		if rev := a.revisions[id]; rev != nil && rev.loaded(load) {
			a.awake[id] = true
		}
	}
	if len(a.awake) > 0 { // nothing is started otherwise
		if err := a.host.look(); err != nil {
			a.log.Warn("the host's memory bounds nothing", "err", err)
		}
	}
	for id := range a.awake {
		rev := a.revisions[id]
		if rev == nil && (a.inRoute(id) || !a.locked(id.Function)) {
			rev = a.adopt(id, report.at)
		}
		if rev == nil {
			a.doze(id)
			continue
		}
		a.look(ctx, rev, report)
	}
	a.metrics.tick(time.Since(started), len(a.awake))
}

// look brings one revision up to date.
func (a *Activator) look(ctx context.Context, rev *revision, report report) {
	rev.routed = a.routed(rev.id)
	rev.measure(a.paths, report)
	a.ask(ctx, rev, report.at)
	rev.decide(report.seen)
	a.steer(ctx, rev, report.at)
	a.logRefused(rev)
	a.judge(ctx, rev.id)
	rev.describe()
	a.board.put(rev.status)
	if a.restful(rev) {
		rev.rest()
		delete(a.awake, rev.id)
	}
	if !rev.routed && len(rev.fleet) == 0 {
		a.forget(rev)
	}
}

// restful tells whether nothing about a revision will change until something happens to it.
func (a *Activator) restful(rev *revision) bool {
	if !rev.settled() {
		return false
	}
	for _, i := range rev.fleet {
		if a.busy[i.id] || a.proving[i.id] {
			return false
		}
	}
	return true
}

// doze stops looking at a revision that cannot be taken over; a change of its units or routes wakes it.
func (a *Activator) doze(id platform.RevisionID) {
	if len(a.fleets[id]) == 0 {
		delete(a.fleets, id)
		delete(a.awake, id)
	}
}

// adopt takes over a revision that the activator meets for the first time, with the instances that it already has. A
// revision that a deploy is making is left to it until it has a route: its instances are about to be started.
func (a *Activator) adopt(id platform.RevisionID, now time.Time) *revision {
	described, err := a.store.Revision(id)
	if err != nil {
		a.log.Error("read the revision", "function", id.Function, "revision", id.String(), "err", err)
		delete(a.awake, id)
		return nil
	}
	if a.fleets[id] == nil {
		a.fleets[id] = fleet{}
	}
	for _, i := range a.fleets[id] {
		i.inherit()
	}
	rev := newRevision(described, a.fleets[id], now)
	rev.load = a.loads[id]
	if failure, err := a.store.Failure(id); err == nil {
		rev.failure = &failure
	}
	scale, err := a.store.Scale(id.Function)
	if err != nil {
		scale = platform.Scale{}
	}
	rev.rescale(scale, a.routes[id.Function])
	a.revisions[id] = rev
	a.log.Info("revision taken over", "event", "adopt", "function", id.Function, "revision", id.String(), "instances", rev.logged)
	return rev
}

func (a *Activator) forget(rev *revision) {
	a.acquit(rev)
	delete(a.revisions, rev.id)
	delete(a.fleets, rev.id)
	delete(a.loads, rev.id)
	delete(a.awake, rev.id)
	a.board.drop(rev.id)
	a.log.Info("revision gone", "event", "gone", "function", rev.id.Function, "revision", rev.id.String())
}

// locked tells whether a command is changing the function right now.
func (a *Activator) locked(function string) bool {
	unlock, err := a.store.TryLock(function)
	if err != nil {
		return true
	}
	unlock()
	return false
}
