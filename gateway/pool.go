package gateway

import (
	"container/list"
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/platform"
)

// environment is what all pools share.
type environment struct {
	paths        platform.Paths
	maxQueue     int          // of a revision whose route says nothing else
	held         netio.Budget // the memory of the requests that wait, in all pools
	hangups      *netio.Hangups
	group        *group
	probe        probeFunc
	wake         wakeFunc
	log          *slog.Logger
	recent       recent[*pool]
	predecessors predecessors
}

// limits are what a route says of a revision, as far as it concerns the pool.
type limits struct {
	concurrency int // most in flight per instance; 0: no limit
	queue       int // most that wait
	liveness    time.Duration
	grace       time.Duration // of streams when their instance drains
	http2       bool
	workers     int // processes of each instance that take connections, if it is known that there are several
}

// pool holds the requests of one revision and lends them its instances: the one with the least in flight, never more than the
// revision's limit, first come first served.
type pool struct {
	revision platform.RevisionID
	name     string // of the revision
	function *function
	env      *environment
	log      *slog.Logger

	hasWorkers atomic.Bool // limits.workers is more than one: it is asked of every request

	mu          sync.Mutex
	instances   instances
	waiters     list.List // of *waiter
	limits      limits
	retired     bool     // no route reaches it
	failure     *refusal // why no instance can start
	spreadUntil time.Time
	active      time.Time // when something happened last
	listed      bool      // among the recent ones
	peers       peers
	counts      counts
}

// newPool makes a pool that no route reaches yet.
func newPool(id platform.RevisionID, fn *function, env *environment, lender lender) *pool {
	return &pool{
		revision: id,
		name:     id.String(),
		function: fn,
		env:      env,
		log:      env.log.With("function", id.Function, "revision", id.String()),
		limits:   limits{queue: env.maxQueue},
		retired:  true,
		peers:    peers{revision: id, predecessors: &env.predecessors, lender: lender},
		counts:   newCounts(),
	}
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

// probeUnproven has each unproven instance proved. The probe of an armed instance starts it.
func (p *pool) probeUnproven(now time.Time) {
	for _, inst := range p.instances {
		if inst.state != unproven {
			continue
		}
		inst.state = proving
		inst.provingSince = now
		p.env.group.Go(prover{pool: p, instance: inst}.prove)
	}
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

// appear adds an instance whose socket file came to be.
func (p *pool) appear(index int) {
	p.vanish(index)
	p.mu.Lock()
	defer p.mu.Unlock()
	inst := newInstance(platform.InstanceID{Revision: p.revision, Index: index})
	inst.upstream = newUpstream(p.env.paths.InstanceSocket(inst.id), p.env.hangups, func() { p.connectionLost(inst) })
	inst.upstream.shared = func() bool { return p.isShared(inst) }
	p.instances = append(p.instances, inst)
	p.markActive(time.Now())
	if p.hasDemand() {
		p.rouse(time.Now())
	}
}

// isShared reports whether the workers of an instance, to which a request was lent, have others in flight.
func (p *pool) isShared(inst *instance) bool {
	if !p.hasWorkers.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return inst.load() > 1
}

// connectionLost notes that an instance closed a connection by itself. Its process may be gone: it is proved again as soon as
// nothing is in flight, which costs little. What is in flight fails by itself if it is.
func (p *pool) connectionLost(inst *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	inst.suspect = true
	p.markActive(time.Now())
	if inst.state == ready && inst.inFlight == 0 {
		inst.state = unproven
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

func (p *pool) drain(inst *instance) {
	p.markActive(time.Now())
	inst.state = draining
	if inst.stopProver != nil {
		inst.stopProver()
	}
	inst.endAsking()
	inst.letGo()
	p.concludeStreamsOf(inst)
	p.peers.departed(inst.id)
	inst.inFlightElsewhere = 0 // it counts for the index
	p.forget(inst)
}

// forget drops a draining instance that has nothing left in flight. Its connections are closed only then.
func (p *pool) forget(inst *instance) {
	if inst.inFlight > 0 {
		return
	}
	inst.upstream.closeIdle()
	p.instances = p.instances.without(inst)
}

// concludeStreamsOf ends the WebSockets and event streams of an instance when their time of grace is over. They would last
// for as long as their clients like, and those know how to come again.
func (p *pool) concludeStreamsOf(inst *instance) {
	if len(inst.streams) == 0 {
		return
	}
	grace := p.limits.grace
	p.env.group.Go(func(ctx context.Context) {
		platform.Sleep(ctx, grace)
		p.mu.Lock()
		defer p.mu.Unlock()
		for s := range inst.streams {
			s.conclude()
		}
	})
}

// concludeStreams ends the streams of all instances, after their time of grace.
func (p *pool) concludeStreams() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, inst := range p.instances {
		p.concludeStreamsOf(inst)
	}
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
	changed := false
	for _, inst := range p.instances {
		isDeaf, doubtful := inst.checkReading(now, p.limits.liveness)
		switch {
		case !doubtful:
			inst.endAsking()
		case inst.asked.IsZero() && inst.state == ready:
			p.askReading(inst, now)
		}
		switch {
		case inst.state == ready && isDeaf:
			inst.state = deaf
			p.log.Warn("the instance has stopped reading: it gets no more requests", "instance", inst.name, "unread_for", p.limits.liveness)
			changed = true
		case inst.state == deaf && !isDeaf:
			inst.state = unproven
			p.log.Info("the instance reads again", "instance", inst.name)
			p.settle(inst)
			changed = true
		}
	}
	if changed {
		p.markActive(now)
		p.dispatch(now)
	}
}

// askReading probes an instance beside its requests: one that reads the probe is not deaf, whatever it leaves unread.
func (p *pool) askReading(inst *instance, now time.Time) {
	inst.asked = now
	first := byte('G')
	if p.limits.http2 {
		first = http2Preface[0]
	}
	p.env.group.Go(func(ctx context.Context) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		p.mu.Lock()
		isAsked := inst.asked.Equal(now)
		if isAsked {
			inst.stopAsking = stop
		}
		p.mu.Unlock()
		if !isAsked {
			return
		}
		conn, err := p.env.probe(ctx, inst.upstream.socket, first)
		if err != nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if !inst.asked.Equal(now) {
			conn.Close()
			return
		}
		inst.lastRead, inst.asked = time.Now(), time.Time{}
		inst.upstream.keep(conn, first)
	})
}

// isEmpty reports whether the pool can be forgotten.
func (p *pool) isEmpty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.retired && len(p.instances) == 0 && p.peers.isEmpty() && p.counts.inFlight.n == 0 && p.counts.open == 0
}

// indexes lists the instances that are not draining.
func (p *pool) indexes() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.instances.indexes()
}

// begin counts a request that came, whether it is held or not.
func (p *pool) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.markActive(now)
	p.counts.begin(now)
}

// reroute counts a request that went to another revision.
func (p *pool) reroute(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.markActive(now)
	p.counts.inFlight.add(now, -1)
	p.counts.open--
}

// pin keeps the pool, with 1, for a request that is not counted yet, and with -1 no longer.
func (p *pool) pin(delta int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.open += delta
}

// end counts a request that ended.
func (p *pool) end(now time.Time, o outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.markActive(now)
	p.counts.end(now, o)
}

// retry counts a request that is sent again.
func (p *pool) retry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.retries++
}

// markActive notes that something happened to the pool: a request came or ended, or its instances are other ones.
func (p *pool) markActive(now time.Time) {
	p.active = now
	if !p.listed {
		p.listed = true
		p.env.recent.add(p)
	}
}

// isActive reports whether the pool has requests in flight or was active since a time. A pool that was not for long is no
// longer among the recent ones. The mutex is held.
func (p *pool) isActive(now, since time.Time) bool {
	idle := p.counts.inFlight.n == 0
	if idle && now.Sub(p.active) > maxRecent {
		p.listed = false
		p.env.recent.remove(p)
	}
	return !idle || !p.active.Before(since)
}

// lendsThroughSuccessor reports whether it is the successor that lends the instances: only one gateway can keep to a limit.
func (p *pool) lendsThroughSuccessor() bool { return p.peers.lender != nil && p.limits.concurrency > 0 }

// notifyLender has the successor sent soon what has changed.
func (p *pool) notifyLender() {
	if p.lendsThroughSuccessor() {
		p.peers.lender.notify()
	}
}

// unread is what lies unread at instances that have stopped reading, from all gateways, by index. The mutex is held.
func (p *pool) unread() map[int]int {
	sums := p.instances.unread()
	for _, l := range p.peers.loads {
		for index, n := range l.load.Unread {
			if sums == nil {
				sums = make(map[int]int)
			}
			sums[index] += n
		}
	}
	return sums
}

// loads is what the instances have in flight from all gateways. The mutex is held.
func (p *pool) loads() instanceLoads {
	sums := p.instances.loads(p.resting())
	p.peers.addTo(sums, p.instances)
	return sums
}
