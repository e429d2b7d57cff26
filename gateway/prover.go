package gateway

import (
	"context"
	"net"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// coldStartFloor tells a cold start from a proof: nothing starts a process in less, and a running one answers sooner.
	coldStartFloor = 5 * time.Millisecond
	// proofPatience is how long a prover waits before it asks whether the instance is still needed.
	proofPatience = 10 * time.Second
	// minBackoff and maxBackoff bound the time between two failed proofs.
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
	// loudBackoff is when a failure is worth a line in the log. A socket that was bound a moment ago, and does not listen
	// yet or has not its final mode, fails once or twice.
	loudBackoff = 100 * time.Millisecond
)

// probeFunc connects to a socket, writes the first byte of a request, and returns when the other end has read it.
type probeFunc func(ctx context.Context, socket string, first byte) (net.Conn, error)

func probe(ctx context.Context, socket string, first byte) (net.Conn, error) {
	return platform.Probe(ctx, socket, first)
}

// doubt takes the proof back from instances that were idle for so long that it is worth nothing.
func (p *pool) doubt(now time.Time) {
	for _, inst := range p.instances {
		if inst.stale(now) {
			inst.state = unproven
		}
	}
}

// wake sees to it that each instance that is not ready is asked. Asking an armed one starts it.
func (p *pool) wake(now time.Time) {
	for _, inst := range p.instances {
		if inst.state != unproven {
			continue
		}
		inst.state = proving
		inst.provingSince = now
		p.crew.Go(func(ctx context.Context) { p.prove(ctx, inst) })
	}
}

// prove asks one instance until it is ready, draining, or not needed.
func (p *pool) prove(ctx context.Context, inst *instance) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for first, needed := p.firstByte(inst, stop); needed; first, needed = p.stillNeeded(ctx, inst) {
		attempt, cancel := context.WithTimeout(ctx, proofPatience)
		conn, err := p.probe(attempt, inst.upstream.socket, first)
		failed := err != nil && attempt.Err() == nil
		cancel()
		if err == nil {
			p.proved(inst, conn, first)
			return
		}
		if failed {
			p.backOff(ctx, inst, err)
		}
	}
}

// firstByte returns the byte to ask with: that of the request which will be served first.
func (p *pool) firstByte(inst *instance, stop context.CancelFunc) (first byte, needed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	inst.stopProver = stop
	return p.nextByte(), inst.state == proving
}

// stillNeeded says whether to ask once more, after a failure or a long time.
func (p *pool) stillNeeded(ctx context.Context, inst *instance) (first byte, needed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if inst.state != proving {
		return 0, false
	}
	if ctx.Err() != nil || !p.wanted() {
		inst.state = unproven
		return 0, false
	}
	return p.nextByte(), true
}

func (p *pool) nextByte() byte {
	if front := p.waiters.Front(); front != nil {
		return front.Value.(*waiter).first
	}
	if p.limits.http2 {
		return http2Preface[0]
	}
	return 'G'
}

// backOff waits a little longer after each failure, so that an instance which refuses is not asked in a loop.
func (p *pool) backOff(ctx context.Context, inst *instance, err error) {
	p.mu.Lock()
	pause := min(max(2*inst.backoff, minBackoff), maxBackoff)
	if pause > loudBackoff && inst.backoff <= loudBackoff && inst.state != draining {
		p.log.Warn("the instance cannot be reached, it is asked again while requests wait", "instance", inst.id.String(), "err", err)
	}
	inst.backoff, inst.pausing = pause, true
	p.dispatch(time.Now()) // it may not be one of those that are about to be ready any more
	p.mu.Unlock()
	sleep(ctx, pause)
	p.mu.Lock()
	inst.pausing = false
	p.mu.Unlock()
}

// proved makes the instance ready and serves who waits. The connection is put aside for the next request.
func (p *pool) proved(inst *instance, conn net.Conn, first byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if inst.state != proving {
		conn.Close()
		return
	}
	now := time.Now()
	firstOfAll := p.count(ready) == 0
	inst.state = ready
	p.failure = nil
	inst.suspect = false
	inst.proofs++
	inst.backoff = 0
	inst.idleSince = now
	inst.upstream.keep(conn, first)
	switch {
	case p.count(proving) == 0:
		p.spreadUntil = time.Time{}
	case firstOfAll:
		p.spread(now, spreadFor(now.Sub(inst.provingSince)))
	}
	p.dispatch(now)
}

// spread keeps each instance to its share for a while.
func (p *pool) spread(now time.Time, d time.Duration) {
	p.spreadUntil = now.Add(d)
	p.crew.Go(func(ctx context.Context) {
		sleep(ctx, d)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.dispatch(time.Now())
	})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
