package gateway

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fnctl/fnctl/platform"
)

// fleet is all functions with their pools, and the table that leads to them.
type fleet struct {
	paths    platform.Paths
	hostOf   func(function string) string
	maxQueue int
	held     budget
	hangups  *hangups
	crew     *crew
	probe    probeFunc
	log      *slog.Logger
	metrics  *metrics
	recent   *recent
	table    atomic.Pointer[table]

	predecessors predecessors

	mu        sync.Mutex
	governor  *successor // of all pools
	functions map[string]*function
	pools     map[platform.RevisionID]*pool
}

func newFleet(cfg Config, hangups *hangups, crew *crew, metrics *metrics) *fleet {
	f := &fleet{
		paths:     cfg.Paths,
		hostOf:    cfg.Host,
		maxQueue:  cfg.MaxQueue,
		held:      budget{most: cfg.MaxBuffered},
		hangups:   hangups,
		crew:      crew,
		probe:     probe,
		log:       cfg.Logger,
		metrics:   metrics,
		recent:    newRecent(),
		functions: make(map[string]*function),
		pools:     make(map[platform.RevisionID]*pool),
	}
	f.table.Store(&table{})
	return f
}

// find returns where a host leads.
func (f *fleet) find(host string) (*target, *refusal) {
	t, label := f.table.Load().find(host, f.hostOf)
	switch {
	case t == nil:
		return nil, noFunction(host)
	case t.paused:
		return nil, paused(t.function.name)
	case len(t.shares) == 0:
		return nil, badRoute(t.function.name)
	case label == "":
		return t, nil
	}
	if one := t.only(label); one != nil {
		return one, nil
	}
	return nil, noTag(t.function.name, label)
}

// install replaces the table. A request that meets a retired pool looks up the table again, so the pools of the new table
// are in service before it is published, and those which it does not reach are retired after.
func (f *fleet) install(routes map[string]platform.Route, owners map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	targets := make(map[string]*target, len(routes))
	reached := make(map[*pool]bool, len(routes))
	for name, route := range routes {
		targets[name] = f.target(route, reached)
	}
	next := &table{hosts: make(map[string]*target, len(owners))}
	for host, name := range owners {
		next.hosts[host] = targets[name]
	}
	f.table.Store(next)
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
			concurrency: s.Concurrency, queue: cmp.Or(s.MaxQueue, f.maxQueue), liveness: s.LivenessTimeout(), grace: s.DrainGrace(), http2: http2,
		})
		reached[p] = true
		into := &t.shares
		if s.Percent == 0 {
			into = &t.aside
		}
		*into = append(*into, share{
			pool: p, percent: s.Percent, timeout: s.Timeout(), responseStart: s.ResponseStartTimeout(), idle: s.IdleTimeout(),
			maxBody: s.MaxBodyBytes, http2: http2,
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
		p = newPool(id, f.function(id.Function), f)
		f.pools[id] = p
	}
	return p
}

// appear adds an instance whose socket came to be.
func (f *fleet) appear(id platform.InstanceID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pool(id.Revision).appear(id.Index)
}

// vanish drains an instance whose socket is gone.
func (f *fleet) vanish(id platform.InstanceID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pools[id.Revision]; p != nil {
		p.vanish(id.Index)
	}
}

// reconcile makes the instances those that are listed.
func (f *fleet) reconcile(ids []platform.InstanceID) {
	listed := make(map[platform.InstanceID]bool, len(ids))
	for _, id := range ids {
		listed[id] = true
	}
	for _, id := range f.instances() {
		if !listed[id] {
			f.vanish(id)
		}
		delete(listed, id)
	}
	for id := range listed {
		f.appear(id)
	}
	f.survey() // now and then, even if nobody asks for all metrics
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

// survey forgets what is gone and returns the functions and pools that are left.
func (f *fleet) survey() ([]*function, []*pool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweep()
	return slices.Collect(maps.Values(f.functions)), slices.Collect(maps.Values(f.pools))
}

// sweep forgets what is gone.
func (f *fleet) sweep() {
	alive := make(map[string]bool, len(f.functions))
	for id, p := range f.pools {
		if p.empty() {
			delete(f.pools, id)
			f.recent.remove(p)
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
