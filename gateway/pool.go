package gateway

import (
	"container/list"
	"context"
	"math"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// pool holds the requests of one revision and lends them its instances: the one with the least in flight, never more than the
// revision's limit, first come first served.
type pool struct {
	function *function
	roster

	// The mutex of the roster guards these, too.
	waiters     list.List // of *waiter
	retired     bool      // no route reaches it
	failure     *refusal  // why no instance can start
	spreadUntil time.Time
}

// newPool makes a pool that no route reaches yet.
func newPool(id platform.RevisionID, fn *function, env *environment, lender lender) *pool {
	p := &pool{function: fn, retired: true, roster: roster{
		revision: id,
		name:     id.String(),
		env:      env,
		log:      env.log.With("function", id.Function, "revision", id.String()),
		limits:   limits{queue: env.maxQueue},
		peers:    peers{revision: id, predecessors: &env.predecessors, lender: lender},
	}}
	p.counts = newCounts(p)
	return p
}

// acquire waits for an instance that may take a request whose first byte is given, and which needs so many bytes of memory
// while it waits. The context is made only if it must wait. The error is errQueueFull, errRerouted, a *refusal if no instance
// can start, or the cause of the context's end.
func (p *pool) acquire(newContext func() context.Context, first byte, size int64) (*lease, error) {
	w, granted, err := p.enter(first, size)
	if err != nil || granted != nil {
		return granted, err
	}
	defer p.env.held.Give(size)
	ctx := newContext()
	select {
	case g := <-w.granted:
		return g.lease, g.err
	case <-ctx.Done():
		p.abandon(w)
		return nil, context.Cause(ctx)
	}
}

// enter lends an instance at once if it can, and queues the request otherwise.
func (p *pool) enter(first byte, size int64) (*waiter, *lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.instances.expireProofs(now)
	if !p.hasDemand() {
		if inst := p.pick(now, 1); inst != nil {
			if !p.instances.wasWoken() { // beside one that was, another is armed, which would start for nothing
				p.probeUnproven(now)
			}
			return nil, newLease(p, inst, nil, now), nil
		}
	}
	if p.retired && p.instances.count(ready) == 0 {
		return nil, nil, errRerouted
	}
	if p.failure != nil && !p.instances.isAwaited() {
		p.probeUnproven(now) // one may be able to start now
		return nil, nil, p.failure
	}
	if p.waiters.Len() >= p.limits.queue || !p.env.held.Take(size) {
		return nil, nil, errQueueFull
	}
	w := &waiter{first: first, since: now, cold: p.instances.count(ready) == 0, granted: make(chan grant, 1)}
	w.place = p.waiters.PushBack(w)
	p.notifyLender()
	p.dispatch(now)
	return w, nil, nil
}

// abandon takes a held request out whose client has gone. One that was served in the same moment gives its instance back.
func (p *pool) abandon(w *waiter) {
	p.mu.Lock()
	p.waiters.Remove(w.place) // does nothing if it is out already
	p.notifyLender()
	p.mu.Unlock()
	select {
	case g := <-w.granted:
		if g.lease != nil {
			g.lease.release()
		}
	default:
	}
}

// pick chooses the instance for the next request; nil if none may have one more. arriving is how many requests come besides
// those that are queued or in flight.
func (p *pool) pick(now time.Time, arriving int) *instance {
	if p.lendsThroughSuccessor() {
		return nil
	}
	most := math.MaxInt
	if p.limits.concurrency > 0 {
		most = p.limits.concurrency
	}
	if now.Before(p.spreadUntil) {
		most = min(most, p.instances.fairShare(arriving+p.waiters.Len()))
	}
	return p.instances.leastLoaded(most)
}

// dispatch serves the held requests that can be served, and has the unproven instances proved if some are left.
func (p *pool) dispatch(now time.Time) {
	for p.hasDemand() {
		inst := p.pick(now, 0)
		if inst == nil {
			break
		}
		if l := p.peers.asking(); l != nil { // a predecessor has held its requests for longer
			p.peers.lend(l, inst.id.Index, p.instances)
			continue
		}
		p.serve(inst, now)
	}
	if p.retired && p.instances.count(ready) == 0 {
		p.refuse(errRerouted)
	}
	if p.hasDemand() {
		p.rouse(now)
	}
}

// hasDemand reports whether a request waits for an instance, here or at a predecessor.
func (p *pool) hasDemand() bool { return p.waiters.Len() > 0 || p.peers.asking() != nil }

// serve lends an instance to the request that has waited for longest.
func (p *pool) serve(inst *instance, now time.Time) {
	w := p.waiters.Remove(p.waiters.Front()).(*waiter)
	w.granted <- grant{lease: newLease(p, inst, w, now)}
}

// refuse answers all held requests with an error.
func (p *pool) refuse(err error) {
	for e := p.waiters.Front(); e != nil; e = p.waiters.Front() {
		p.waiters.Remove(e).(*waiter).granted <- grant{err: err}
	}
}

// probeUnproven has each unproven instance proved. The probe of an armed instance starts it. That of one that is poised does so for good:
// it is held back for as long as another one is ready, or on its way.
func (p *pool) probeUnproven(now time.Time) {
	var heldBack *instance
	for _, inst := range p.instances {
		switch {
		case inst.state != unproven:
		case !inst.poised:
			p.env.group.Go(p.begin(inst, platform.Armed, now).prove)
		case heldBack == nil:
			heldBack = inst
		}
	}
	if heldBack != nil && p.instances.count(ready) == 0 && !slices.ContainsFunc(p.instances, (*instance).isComing) {
		p.env.group.Go(p.begin(heldBack, platform.Poised, now).prove)
	}
}

// begin has an instance be proved, by the prover that it returns.
func (p *pool) begin(inst *instance, from platform.InstanceState, now time.Time) prover {
	inst.state = proving
	inst.proof = proof{from: from, since: now, needed: p.hasDemand()}
	return prover{pool: p, instance: inst}
}

// spread keeps each instance to its fair share for a while.
func (p *pool) spread(now time.Time, d time.Duration) {
	p.spreadUntil = now.Add(d)
	p.env.group.Go(func(ctx context.Context) {
		platform.Sleep(ctx, d)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.dispatch(time.Now())
	})
}

// appear adds an instance whose socket file came to be, with the marks that it has.
func (p *pool) appear(index int, marks ...platform.Mark) {
	p.vanish(index)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(index, marks)
	if p.hasDemand() {
		p.rouse(time.Now())
	}
}

// vanish drains the instance whose socket file is gone.
func (p *pool) vanish(index int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if inst := p.instances.current(index); inst != nil {
		p.drain(inst)
	}
	p.dispatch(time.Now())
}

// configure takes over what a route says of the revision.
func (p *pool) configure(l limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits, p.retired = l, false
	p.hasWorkers.Store(l.workers > 1)
	p.dispatch(time.Now())
}

// retire notes that no route reaches the revision any more. Its held requests go where the route leads now.
func (p *pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	p.dispatch(time.Now())
}

// fail notes why no instance can start, or with nil that one may. Requests that wait, and those that come while no instance is
// ready, are refused with the reason.
func (p *pool) fail(reason *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = reason
	if reason != nil && !p.instances.isAwaited() {
		p.refuse(reason)
	}
}

// checkReading finds the instances that are deaf, and those that are not any more.
func (p *pool) checkReading(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.findDeaf(now) {
		p.counts.markActive(now)
		p.dispatch(now)
	}
}

// isEmpty reports whether the pool can be forgotten.
func (p *pool) isEmpty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.retired && len(p.instances) == 0 && p.peers.isEmpty() && p.counts.inFlight.n == 0 && p.counts.open == 0
}

// changePeers has something change at the gateways before this one, whose numbers count here. change returns by how much their requests
// in flight have changed.
func (p *pool) changePeers(change func(*peers) (delta int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.counts.inFlight.add(now, change(&p.peers))
	p.counts.markActive(now)
	p.peers.recount(p.instances)
	p.dispatch(now)
}

// setLender makes a successor the one that lends the instances, or this gateway again, with nil.
func (p *pool) setLender(by lender) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers.lender, p.peers.slots = by, 0
	p.dispatch(time.Now())
}

// useSlot uses what the lender allows: the oldest request goes first.
func (p *pool) useSlot(index int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers.slots++
	if l := p.peers.asking(); l != nil {
		p.peers.lend(l, index, p.instances)
		return
	}
	if inst := p.instances.current(index); inst != nil && p.waiters.Len() > 0 {
		p.serve(inst, time.Now())
	}
}

// adopt lends an instance to a tunnel that a predecessor has handed over, and counts that; nil: there is no such instance. It runs
// there already, whatever the limit is.
func (p *pool) adopt(index int) *lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	inst := p.instances.current(index)
	if inst == nil || p.peers.missDeparture(index) {
		return nil
	}
	now := time.Now()
	p.counts.adopt(now)
	return newLease(p, inst, nil, now)
}

// load is what a successor has to know.
func (p *pool) load() load {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := load{
		Revision: p.name, InFlight: p.counts.inFlight.n, Queued: p.waiters.Len() + p.peers.queued(),
		Instances: p.loads().byIndex(), Unread: p.unread(), Asks: p.peers.asks(), Granted: p.peers.slots,
		Resting: p.resting(),
	}
	if p.lendsThroughSuccessor() {
		l.Asks += p.waiters.Len()
	}
	return l
}
