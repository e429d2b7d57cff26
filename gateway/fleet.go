package gateway

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/admission"
	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/platform"
)

// livenessPause is the time between two looks for instances that have stopped reading.
const livenessPause = 500 * time.Millisecond

// fleet has all functions with their pools, and the table that leads to them. Its mutex is taken before that of a pool.
type fleet struct {
	env     environment
	hostOf  func(function string) string
	metrics *metrics
	table   atomic.Pointer[table]

	mu        sync.Mutex
	lender    lender // of all pools
	functions map[string]*function
	pools     map[platform.RevisionID]*pool
}

func newFleet(cfg Config, hangups *netio.Hangups, group *group, metrics *metrics) *fleet {
	f := &fleet{
		env: environment{
			paths: cfg.Paths, maxQueue: cfg.MaxQueue, held: netio.Budget{Most: cfg.MaxBuffered},
			hangups: hangups, group: group, probe: probe, wake: waker(cfg.Paths), log: cfg.Logger,
		},
		hostOf:    cfg.Host,
		metrics:   metrics,
		functions: make(map[string]*function),
		pools:     make(map[platform.RevisionID]*pool),
	}
	f.table.Store(&table{})
	return f
}

// predecessors are the gateways that finish what they have.
func (f *fleet) predecessors() *predecessors { return &f.env.predecessors }

// find returns where a request for a host and a path goes, or why nowhere.
func (f *fleet) find(host, path string) (destination, *refusal) {
	to := f.table.Load().find(host, path, f.hostOf)
	switch {
	case to.target == nil:
		return to, noFunction(host)
	case to.paused:
		return to, paused(to.function.name)
	case len(to.shares) == 0:
		return to, badRoute(to.function.name)
	case to.label == "":
		return to, nil
	}
	if one := to.only(to.label); one != nil {
		to.target = one
		return to, nil
	}
	return to, noTag(to.function.name, to.label)
}

// route is the route by which requests to a function go, and whether there is one.
func (f *fleet) route(function string) (platform.Route, bool) {
	route, has := f.table.Load().routes[function]
	return route, has && len(route.Traffic) > 0
}

// install replaces the table, which keeps the routes. A request that meets a retired pool looks up the table again: so the pools of the new table are
// in service before it is published, and those that it does not reach are retired after.
func (f *fleet) install(routes map[string]platform.Route, owners map[string]string, policies map[string]*admission.Policy) {
	f.mu.Lock()
	defer f.mu.Unlock()
	targets := make(map[string]*target, len(routes))
	reached := make(map[*pool]bool, len(routes))
	for name, route := range routes {
		targets[name] = f.target(route, reached)
		targets[name].policy = policies[name]
	}
	t := newTable(targets, routes, owners)
	t.policies = policies
	f.table.Store(t)
	for _, p := range f.pools {
		if !reached[p] {
			p.retire()
		}
	}
}

func (f *fleet) target(route platform.Route, reached map[*pool]bool) *target {
	t := &target{function: f.function(route.Function), paused: route.Paused, sticky: route.Sticky, route: route}
	if t.paused {
		return t // its pools are retired: they finish what they have
	}
	for _, s := range route.Traffic {
		p := f.pool(s.Revision)
		http2 := s.Protocol == platform.H2C
		p.configure(limits{
			concurrency: s.Concurrency, queue: cmp.Or(s.MaxQueue, f.env.maxQueue), http2: http2,
			liveness: time.Duration(s.LivenessTimeout), grace: time.Duration(s.DrainGrace),
			workers: s.Workers,
		})
		reached[p] = true
		into := &t.shares
		if s.Percent == 0 {
			into = &t.aside
		}
		*into = append(*into, share{
			pool: p, percent: s.Percent, maxContent: s.MaxBody, http2: http2, timeout: time.Duration(s.Timeout),
			responseStart: time.Duration(s.ResponseStartTimeout), idle: time.Duration(s.IdleTimeout),
		})
	}
	return t
}

func (f *fleet) function(name string) *function {
	fn := f.functions[name]
	if fn == nil {
		fn = f.metrics.function(name)
		f.functions[name] = fn
	}
	return fn
}

func (f *fleet) pool(id platform.RevisionID) *pool {
	p := f.pools[id]
	if p == nil {
		p = newPool(id, f.function(id.Function), &f.env, f.lender)
		f.pools[id] = p
	}
	return p
}

// appear adds an instance whose socket came to be, with the marks that it has.
func (f *fleet) appear(id platform.InstanceID, marks ...platform.Mark) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pool(id.Revision).appear(id.Index, marks...)
}

// vanish drains an instance whose socket is gone.
func (f *fleet) vanish(id platform.InstanceID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pools[id.Revision]; p != nil {
		p.vanish(id.Index)
	}
}

// mark notes that a mark of an instance is there, or not any more.
func (f *fleet) mark(id platform.InstanceID, m platform.Mark, there bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pools[id.Revision]; p != nil {
		p.mark(id.Index, m, there)
	}
}

// reconcile makes the instances those that are listed, with their marks.
func (f *fleet) reconcile(listed map[platform.InstanceID][]platform.Mark) {
	known := make(map[platform.InstanceID]bool)
	for _, id := range f.instances() {
		known[id] = true
		marks, there := listed[id]
		if !there {
			f.vanish(id)
			continue
		}
		for _, m := range platform.Marks {
			f.mark(id, m, slices.Contains(marks, m))
		}
	}
	for id, marks := range listed {
		if !known[id] {
			f.appear(id, marks...)
		}
	}
	f.survey() // now and then, even if all metrics are never asked for
}

func (f *fleet) instances() []platform.InstanceID {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []platform.InstanceID
	for revision, p := range f.pools {
		for _, index := range p.indexes() {
			ids = append(ids, platform.InstanceID{Revision: revision, Index: index})
		}
	}
	return ids
}

// failed notes that no instance of a revision can start: requests that wait for one are refused with the reason, and so are
// those that come. The instances are proved all the same while requests come, so that the first one that can start ends it.
func (f *fleet) failed(id platform.RevisionID, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pool(id).fail(cannotStart(id.Function, reason)) // the failure may be known before the route is
}

// recovered notes that the instances of a revision can start again, or may.
func (f *fleet) recovered(id platform.RevisionID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pools[id]; p != nil {
		p.fail(nil)
	}
}

// checkReading looks for instances that have stopped reading, until the context ends.
func (f *fleet) checkReading(ctx context.Context) error {
	for ctx.Err() == nil {
		platform.Sleep(ctx, livenessPause)
		for _, p := range f.env.recent.list() {
			p.checkReading(time.Now())
		}
	}
	return nil
}

// updatePredecessor takes over what a predecessor has left of a revision.
func (f *fleet) updatePredecessor(from predecessor, id platform.RevisionID, l load) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pools[id] == nil && l.isEmpty() {
		return
	}
	f.pool(id).changePeers(func(p *peers) int { return p.update(from, l) })
}

// ackDepartures notes that a predecessor has seen what departed, up to a number.
func (f *fleet) ackDepartures(from predecessor, number uint64) {
	for _, p := range f.env.recent.list() {
		p.changePeers(func(p *peers) int { p.ack(from, number); return 0 })
	}
}

// dropPredecessor forgets a predecessor that has ended.
func (f *fleet) dropPredecessor(from predecessor) {
	f.env.predecessors.remove(from)
	for _, p := range f.allPools() {
		p.changePeers(func(p *peers) int { return p.drop(from) })
	}
}

// setLender makes a successor the one that lends the instances of functions with a limit, or this gateway again, with nil.
func (f *fleet) setLender(by lender) {
	f.mu.Lock()
	f.lender = by
	f.mu.Unlock()
	for _, p := range f.allPools() {
		p.setLender(by)
	}
}

// useSlot uses what the lender allows: one more request to an instance.
func (f *fleet) useSlot(id platform.InstanceID) {
	f.mu.Lock()
	p := f.pools[id.Revision]
	f.mu.Unlock()
	if p != nil {
		p.useSlot(id.Index)
	}
}

// loads lists what each revision has in flight that was active lately.
func (f *fleet) loads() map[platform.RevisionID]load {
	loads := make(map[platform.RevisionID]load)
	for _, p := range f.env.recent.list() {
		loads[p.revision] = p.load()
	}
	return loads
}

// concludeStreams ends the streams of all instances, after their time of grace.
func (f *fleet) concludeStreams() {
	for _, p := range f.allPools() {
		p.concludeStreams()
	}
}

func (f *fleet) allPools() []*pool {
	_, pools := f.survey()
	return pools
}

// survey drops the functions and pools that are gone, and returns those that are left.
func (f *fleet) survey() ([]*function, []*pool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweep()
	return slices.Collect(maps.Values(f.functions)), slices.Collect(maps.Values(f.pools))
}

// sweep drops the functions and pools that are gone.
func (f *fleet) sweep() {
	alive := make(map[string]bool, len(f.functions))
	for id, p := range f.pools {
		if p.isEmpty() {
			delete(f.pools, id)
			f.env.recent.remove(p)
			continue
		}
		alive[id.Function] = true
	}
	for name := range f.functions {
		if !alive[name] {
			delete(f.functions, name)
			f.metrics.forget(name)
		}
	}
}

// close closes the connections to all instances. Nothing may be in flight any more.
func (f *fleet) close() {
	for _, id := range f.instances() {
		f.vanish(id)
	}
}
