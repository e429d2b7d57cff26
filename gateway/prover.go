package gateway

import (
	"context"
	"math"
	"net"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// proveTimeout is how long a probe lasts before the prover looks whether the instance is still needed.
const proveTimeout = 10 * time.Second

// probeFunc connects to a socket, writes the first byte of a request, and returns when the other end has read it.
type probeFunc func(ctx context.Context, socket string, first byte) (net.Conn, error)

func probe(ctx context.Context, socket string, first byte) (net.Conn, error) {
	return platform.Probe(ctx, socket, first)
}

// prover probes one instance until it is ready. The mutex of the pool guards what both touch.
type prover struct {
	pool     *pool
	instance *instance
}

// prove returns when the instance is ready, draining, or not needed.
func (v prover) prove(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for first, needed := v.begin(stop); needed; first, needed = v.stillNeeded(ctx) {
		attempt, cancel := context.WithTimeout(ctx, proveTimeout)
		conn, err := v.pool.env.probe(attempt, v.instance.upstream.socket, first)
		failed := err != nil && attempt.Err() == nil
		cancel()
		if err == nil {
			v.proved(conn, first)
			return
		}
		if failed {
			v.backOff(ctx, err)
		}
	}
}

// begin returns the byte to probe with: that of the request which will be served first.
func (v prover) begin(stop context.CancelFunc) (first byte, needed bool) {
	v.pool.mu.Lock()
	defer v.pool.mu.Unlock()
	v.instance.stopProver = stop
	return v.firstByte(), v.instance.state == proving
}

// stillNeeded reports whether to probe once more, after a failure or a long time.
func (v prover) stillNeeded(ctx context.Context) (first byte, needed bool) {
	v.pool.mu.Lock()
	defer v.pool.mu.Unlock()
	if v.instance.state != proving {
		return 0, false
	}
	if ctx.Err() != nil || !v.pool.hasDemand() {
		v.instance.state = unproven
		v.pool.settle(v.instance)
		return 0, false
	}
	return v.firstByte(), true
}

func (v prover) firstByte() byte {
	if front := v.pool.waiters.Front(); front != nil {
		return front.Value.(*waiter).first
	}
	return v.pool.limits.firstByte()
}

// backOff waits a little longer after each failure, so that an instance which refuses is not probed in a loop.
func (v prover) backOff(ctx context.Context, err error) {
	p, inst := v.pool, v.instance
	p.mu.Lock()
	pause := min(max(2*inst.backoff, minBackoff), maxBackoff)
	if pause > loudBackoff && inst.backoff <= loudBackoff && inst.state != draining {
		p.log.Warn("the instance cannot be reached, it is asked again while requests wait", "instance", inst.id.String(), "err", err)
	}
	inst.backoff, inst.pausing = pause, true
	p.dispatch(time.Now()) // it may not be one of those that are about to be ready any more
	p.mu.Unlock()
	platform.Sleep(ctx, pause)
	p.mu.Lock()
	inst.pausing = false
	p.mu.Unlock()
}

// proved makes the instance ready and serves the held requests. The connection is put aside for the next request.
func (v prover) proved(conn net.Conn, first byte) {
	p, inst := v.pool, v.instance
	p.mu.Lock()
	defer p.mu.Unlock()
	if inst.state != proving {
		conn.Close()
		return
	}
	now := time.Now()
	firstOfAll := p.instances.count(ready) == 0
	took := now.Sub(inst.proof.since)
	if w := inst.proof.wake(took); inst.proof.needed && w != (wake{}) {
		p.function.woke(w)
	}
	inst.state = ready
	p.failure = nil
	inst.suspect, inst.poised = false, false
	inst.proofs++
	inst.backoff = 0
	inst.idleSince = now
	inst.upstream.keep(conn, first)
	switch {
	case p.instances.count(proving) == 0:
		p.spreadUntil = time.Time{}
	case firstOfAll:
		p.spread(now, spreadFor(took))
	}
	p.dispatch(now)
	p.settle(inst)
}

// Instances that are started together become ready one after the other. The first of them must not get everything that was
// held meanwhile, and nothing may wait long for the others. So, when the first becomes ready, the pool spreads for a
// bounded time: as long as others are being proved, each ready instance has at most its fair share of the demand, as if
// all of them were ready. A share is a bound of what is in flight, not of what is served: fast requests flow on, and only
// slow ones wait, for which it matters. After that time the ready instances get whatever is left.
const (
	// minSpread and maxSpread bound that time. In between it is twice what the first instance needed to become ready.
	minSpread = 10 * time.Millisecond
	maxSpread = 2 * time.Second
)

func spreadFor(firstNeeded time.Duration) time.Duration {
	return min(max(2*firstNeeded, minSpread), maxSpread)
}

// fairShare is the part of the demand that falls to each instance once all that are starting have started. The demand is what
// arrives or waits; what is in flight comes to that. There is no bound if none is starting.
func (all instances) fairShare(demand int) int {
	up, starting := 0, 0
	for _, inst := range all {
		switch {
		case inst.state == ready:
			up++
			demand += inst.inFlight
		case inst.state == proving && !inst.failing():
			starting++
		}
	}
	if starting == 0 {
		return math.MaxInt
	}
	return (demand + up + starting - 1) / (up + starting)
}
