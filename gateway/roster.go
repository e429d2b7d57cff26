package gateway

import (
	"context"
	"log/slog"
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

// firstByte is that of any request.
func (l *limits) firstByte() byte {
	if l.http2 {
		return http2Preface[0]
	}
	return 'G'
}

// roster has the instances of one revision, and what all gateways have in flight on them. It knows nothing of the requests that wait, and
// decides nothing: that is for the pool.
type roster struct {
	revision platform.RevisionID
	name     string // of the revision
	env      *environment
	log      *slog.Logger

	hasWorkers atomic.Bool // limits.workers is more than one: it is asked of every request

	mu        sync.Mutex
	limits    limits
	instances instances
	peers     peers
	counts    counts
}

// add adds an instance, with the marks that it has. The mutex is held.
func (r *roster) add(index int, marks []platform.Mark) {
	inst := newInstance(platform.InstanceID{Revision: r.revision, Index: index})
	inst.upstream = newUpstream(r.env.paths.InstanceSocket(inst.id), r.env.hangups, func() { r.connectionLost(inst) })
	inst.upstream.shared = func() bool { return r.isShared(inst) }
	for _, m := range marks {
		inst.mark(m, true)
	}
	r.instances = append(r.instances, inst)
	r.counts.markActive(time.Now())
	r.settle(inst)
}

// isShared reports whether the workers of an instance, to which a request was lent, have others in flight.
func (r *roster) isShared(inst *instance) bool {
	if !r.hasWorkers.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return inst.load() > 1
}

// connectionLost notes that an instance closed a connection by itself. Its process may be gone: it is proved again as soon as
// nothing is in flight, which costs little. What is in flight fails by itself if it is.
func (r *roster) connectionLost(inst *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.markActive(time.Now())
	inst.doubt()
}

// drain has an instance get nothing new. The mutex is held.
func (r *roster) drain(inst *instance) {
	r.counts.markActive(time.Now())
	inst.state = draining
	if inst.stopProver != nil {
		inst.stopProver()
	}
	inst.endAsking()
	inst.letGo()
	r.concludeStreamsOf(inst)
	r.peers.departed(inst.id)
	inst.inFlightElsewhere = 0 // it counts for the index
	r.forget(inst)
}

// forget drops a draining instance that has nothing left in flight. Its connections are closed only then. The mutex is held.
func (r *roster) forget(inst *instance) {
	if inst.inFlight > 0 {
		return
	}
	inst.upstream.closeIdle()
	r.instances = r.instances.without(inst)
}

// concludeStreamsOf ends the WebSockets and event streams of an instance when their time of grace is over. They would last
// for as long as their clients like, and those know how to come again. The mutex is held.
func (r *roster) concludeStreamsOf(inst *instance) {
	if len(inst.streams) == 0 {
		return
	}
	grace := r.limits.grace
	r.env.group.Go(func(ctx context.Context) {
		platform.Sleep(ctx, grace)
		r.mu.Lock()
		defer r.mu.Unlock()
		for s := range inst.streams {
			s.conclude()
		}
	})
}

// concludeStreams ends the streams of all instances, after their time of grace.
func (r *roster) concludeStreams() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, inst := range r.instances {
		r.concludeStreamsOf(inst)
	}
}

// indexes lists the instances that are not draining.
func (r *roster) indexes() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.instances.indexes()
}

// settle has an instance rest that is to, and has nothing, and tells those who wait for that. The mutex is held.
func (r *roster) settle(inst *instance) {
	if inst.settle() {
		r.counts.markActive(time.Now())
		r.peers.notify()
	}
}

// resting lists the instances that rest for this gateway and all before it. The mutex is held.
func (r *roster) resting() []int {
	var indexes []int
	for _, inst := range r.instances {
		if inst.state == resting && inst.marked && inst.load() == 0 && r.peers.rests(inst.id.Index) {
			indexes = append(indexes, inst.id.Index)
		}
	}
	return indexes
}

// leave counts a request no more that counts in another gateway, and whose lease was the last.
func (r *roster) leave(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.leave(now)
	r.peers.notify()
}

// lendsThroughSuccessor reports whether it is the successor that lends the instances: only one gateway can keep to a limit. The mutex is
// held.
func (r *roster) lendsThroughSuccessor() bool {
	return r.peers.lender != nil && r.limits.concurrency > 0
}

// notifyLender has the successor sent soon what has changed. The mutex is held.
func (r *roster) notifyLender() {
	if r.lendsThroughSuccessor() {
		r.peers.notify()
	}
}

// unread is what lies unread at instances that have stopped reading, from all gateways, by index. The mutex is held.
func (r *roster) unread() map[int]int {
	sums := r.instances.unread()
	for _, l := range r.peers.loads {
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
func (r *roster) loads() instanceLoads {
	sums := r.instances.loads(r.resting())
	r.peers.addTo(sums, r.instances)
	return sums
}
