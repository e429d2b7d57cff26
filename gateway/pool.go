package gateway

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/platform"
)

var (
	// errQueueFull refuses a request because too many are held already.
	errQueueFull = errors.New("too many requests wait for this function")
	// errRerouted sends a request back to the routing table: its revision has no traffic any more and nothing to serve it.
	errRerouted = errors.New("the revision takes no traffic any more")
)

// pool holds the requests of one revision and lends them to its instances: the one with the least in flight, never more
// than the revision's limit, first come first served.
type pool struct {
	revision platform.RevisionID
	name     string // of the revision
	function *function
	paths    platform.Paths
	held     *budget // the memory of the requests that wait, in all pools
	hangups  *hangups
	crew     *crew
	probe    probeFunc
	log      *slog.Logger
	recent   *recent
	// predecessors are the gateways that finish what they have.
	predecessors *predecessors

	mu          sync.Mutex
	instances   []*instance
	waiters     list.List // of *waiter
	limits      limits
	retired     bool     // no route reaches it
	failure     *refusal // why no instance can start
	spreadUntil time.Time
	touched     time.Time // when it was active last
	listed      bool      // among the recent ones
	remainders  []*remainder
	elsewhere   map[int]int // what runs for predecessors, by instance
	governor    *successor  // nil unless this gateway is a predecessor
	grants      uint64      // how many it has given
	counts
}

// waiter is a held request. granted has room for one answer, so that whoever answers never waits.
type waiter struct {
	first   byte // of the request, for the prover
	since   time.Time
	cold    bool // no instance was ready when it came
	granted chan grant
	place   *list.Element
}

type grant struct {
	lease *lease
	err   error
}

// lease is the right to send one request to an instance. Whoever has it releases it, once.
type lease struct {
	pool     *pool
	instance *instance
	proofs   int
	cold     time.Duration // how long the request waited for an instance to start; 0: it did not
	waited   bool

	given    time.Time            // when the instance was lent
	answered atomic.Bool          // it has begun to answer
	conn     atomic.Pointer[conn] // over which the request went, if it is for that alone
	wrote    int64                // to the connection, at the last look
	unread   int64                // of that
}

// limits are what a route says of a revision, as far as it concerns the pool.
type limits struct {
	concurrency int // most in flight per instance; 0: no limit
	queue       int // most that wait
	liveness    time.Duration
	grace       time.Duration // of streams when their instance drains
	http2       bool
}

// newPool makes a pool that no route reaches yet.
func newPool(id platform.RevisionID, fn *function, f *fleet) *pool {
	return &pool{
		revision: id,
		function: fn,
		paths:    f.paths,
		name:     id.String(),
		held:     &f.held,
		hangups:  f.hangups,
		limits:   limits{queue: f.maxQueue},
		crew:     f.crew,
		probe:    f.probe,
		log:      f.log.With("function", id.Function, "revision", id.String()),
		recent:   f.recent,
		retired:  true,
		governor: f.governor,
		counts:   newCounts(),

		predecessors: &f.predecessors,
	}
}

// acquire waits for an instance that may take a request whose first byte is given, and which needs so much memory while it
// waits. The context is made only if it must wait. The error is errQueueFull, errRerouted, a *refusal if no instance can
// start, or the cause of the context's end.
func (p *pool) acquire(made func() context.Context, first byte, size int64) (*lease, error) {
	w, granted, err := p.enter(first, size)
	if err != nil || granted != nil {
		return granted, err
	}
	defer p.held.give(size)
	ctx := made()
	select {
	case g := <-w.granted:
		return g.lease, g.err
	case <-ctx.Done():
		p.leave(w)
		return nil, context.Cause(ctx)
	}
}

// enter lends an instance at once if it can, and queues the request otherwise.
func (p *pool) enter(first byte, size int64) (*waiter, *lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.doubt(now)
	if !p.wanted() {
		if inst := p.pick(now, 1); inst != nil {
			p.wake(now)
			return nil, p.lend(inst, nil, now), nil
		}
	}
	if p.retired && p.count(ready) == 0 {
		return nil, nil, errRerouted
	}
	if p.failure != nil && p.count(ready) == 0 {
		p.wake(now) // who is asked may be able to start now
		return nil, nil, p.failure
	}
	if p.waiters.Len() >= p.limits.queue || !p.held.take(size) {
		return nil, nil, errQueueFull
	}
	w := &waiter{first: first, since: now, cold: p.count(ready) == 0, granted: make(chan grant, 1)}
	w.place = p.waiters.PushBack(w)
	p.stir()
	p.dispatch(now)
	return w, nil, nil
}

// leave takes a waiter out whose client has gone. One that was served in the same moment gives its instance back.
func (p *pool) leave(w *waiter) {
	p.mu.Lock()
	p.waiters.Remove(w.place) // does nothing if it is out already
	p.stir()
	p.mu.Unlock()
	select {
	case g := <-w.granted:
		if g.lease != nil {
			g.lease.release()
		}
	default:
	}
}

// lend gives an instance to who waits; nobody has waited if that is nil.
func (p *pool) lend(inst *instance, w *waiter, now time.Time) *lease {
	inst.inFlight++
	l := &lease{pool: p, instance: inst, proofs: inst.proofs, waited: w != nil, given: now}
	inst.leases[l] = struct{}{}
	if w != nil && w.cold && now.Sub(w.since) >= coldStartFloor {
		l.cold = now.Sub(w.since)
	}
	return l
}

// release gives the instance back and serves who waits next.
func (l *lease) release() {
	p, inst := l.pool, l.instance
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	inst.inFlight--
	inst.idleSince = now
	delete(inst.leases, l)
	p.stir()
	switch {
	case inst.state == draining:
		p.forget(inst)
	case inst.state == ready && inst.suspect && inst.inFlight == 0:
		inst.state = unproven
	}
	p.dispatch(now)
}

// strike says that the instance broke off a request: it has to prove itself again before it gets another one.
func (l *lease) strike() {
	p, inst := l.pool, l.instance
	p.mu.Lock()
	defer p.mu.Unlock()
	if inst.state != ready || inst.proofs != l.proofs {
		return
	}
	inst.state = unproven
	p.dispatch(time.Now())
}

// connectionLost says that the instance closed a connection by itself. Its process may be gone: it is asked again as soon
// as nothing is in flight, which costs little. What is in flight will tell by itself.
func (p *pool) connectionLost(inst *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	inst.suspect = true
	p.touch(time.Now())
	if inst.state == ready && inst.inFlight == 0 {
		inst.state = unproven
	}
}

// dispatch serves the waiters that can be served, and has the unproven instances asked if some are left.
func (p *pool) dispatch(now time.Time) {
	for p.wanted() {
		inst := p.pick(now, 0)
		if inst == nil {
			break
		}
		if r := p.asking(); r != nil { // it has held its requests for longer
			p.grant(r, inst.id.Index)
			continue
		}
		p.serve(inst, now)
	}
	if p.retired && p.count(ready) == 0 {
		p.refuse(errRerouted)
	}
	if p.wanted() {
		p.wake(now)
	}
}

// serve lends an instance to who has waited for longest.
func (p *pool) serve(inst *instance, now time.Time) {
	w := p.waiters.Remove(p.waiters.Front()).(*waiter)
	w.granted <- grant{lease: p.lend(inst, w, now)}
}

// refuse answers all waiters with an error.
func (p *pool) refuse(err error) {
	for e := p.waiters.Front(); e != nil; e = p.waiters.Front() {
		p.waiters.Remove(e).(*waiter).granted <- grant{err: err}
	}
}

// appear adds an instance whose socket file came to be.
func (p *pool) appear(index int) {
	p.vanish(index)
	p.mu.Lock()
	defer p.mu.Unlock()
	id := platform.InstanceID{Revision: p.revision, Index: index}
	inst := &instance{id: id, name: id.String(), leases: make(map[*lease]struct{}), streams: make(map[*exchange]struct{})}
	inst.upstream = newUpstream(p.paths.InstanceSocket(inst.id), p.hangups, func() { p.connectionLost(inst) })
	p.instances = append(p.instances, inst)
	p.touch(time.Now())
	if p.wanted() {
		p.wake(time.Now())
	}
}

// vanish drains the instance whose socket file is gone.
func (p *pool) vanish(index int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, inst := range slices.Clone(p.instances) {
		if inst.id.Index == index && inst.state != draining {
			p.drain(inst)
		}
	}
	p.dispatch(time.Now())
}

func (p *pool) drain(inst *instance) {
	p.touch(time.Now())
	inst.state = draining
	if inst.stopProver != nil {
		inst.stopProver()
	}
	p.concludeStreams(inst)
	p.departed(inst)
	inst.elsewhere = 0 // it counts for the index
	p.forget(inst)
}

// forget drops a draining instance that has nothing left in flight. Its connections are closed only then.
func (p *pool) forget(inst *instance) {
	if inst.inFlight > 0 {
		return
	}
	inst.upstream.closeIdle()
	p.instances = slices.DeleteFunc(p.instances, func(other *instance) bool { return other == inst })
}

// configure takes over what a route says of the revision.
func (p *pool) configure(l limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits, p.retired = l, false
	p.dispatch(time.Now())
}

// retire says that no route reaches the revision any more. What waits for an instance goes where the route leads now.
func (p *pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	p.dispatch(time.Now())
}

// empty says whether the pool can be forgotten.
func (p *pool) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.retired && len(p.instances) == 0 && len(p.remainders) == 0 && p.inFlight.n == 0 && p.governor == nil
}

// indexes lists the instances that are not draining.
func (p *pool) indexes() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var indexes []int
	for _, inst := range p.instances {
		if inst.state != draining {
			indexes = append(indexes, inst.id.Index)
		}
	}
	return indexes
}

func (p *pool) count(s state) int {
	n := 0
	for _, inst := range p.instances {
		if inst.state == s {
			n++
		}
	}
	return n
}
