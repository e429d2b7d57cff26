package gateway

import (
	"container/list"
	"time"
)

// waiter is a held request. granted has room for one answer, so that an answer never waits.
type waiter struct {
	first   byte // of the request, for the prover
	since   time.Time
	cold    bool // no instance was ready when it came
	granted chan grant
	place   *list.Element
}

// grant is the answer to a held request: a lease, or an error.
type grant struct {
	lease *lease
	err   error
}

// lease is the right to send one request to an instance. Its holder releases it, once.
type lease struct {
	delivery
	pool     *pool
	instance *instance
	proofs   int
	wake     wake // for which the request has waited
	waited   bool
	last     bool // when it is released, its request is in flight no longer
}

// newLease lends an instance to a held request, or to one that has not waited, which is nil. The pool's mutex is held.
func newLease(p *pool, inst *instance, w *waiter, now time.Time) *lease {
	inst.inFlight++
	l := &lease{pool: p, instance: inst, proofs: inst.proofs, waited: w != nil}
	l.given = now
	inst.deliveries[&l.delivery] = struct{}{}
	if w != nil && w.cold {
		l.wake = inst.proof.wake(now.Sub(w.since))
	}
	return l
}

// release gives the instance back. The next held request gets it.
func (l *lease) release() {
	p, inst := l.pool, l.instance
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	inst.inFlight--
	inst.idleSince = now
	if l.last {
		p.counts.inFlight.add(now, -1)
	}
	if l.unbounded.Load() {
		inst.unboundedEnded = now
	}
	delete(inst.deliveries, &l.delivery)
	p.notifyLender()
	switch {
	case inst.state == draining:
		p.forget(inst)
	case inst.state == ready && inst.suspect && inst.inFlight == 0:
		inst.state = unproven
	}
	p.settle(inst)
	p.dispatch(now)
}

// strike takes the proof back from an instance that broke off a request: it is proved again before it gets another one.
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

// isDraining reports whether the instance drains.
func (l *lease) isDraining() bool {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	return l.instance.state == draining
}

// addStream has a stream concluded when its instance drains, until remove is called.
func (l *lease) addStream(s stream) (remove func()) {
	p, inst := l.pool, l.instance
	p.mu.Lock()
	defer p.mu.Unlock()
	inst.streams[s] = struct{}{}
	if inst.state == draining {
		p.concludeStreamsOf(inst)
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(inst.streams, s)
	}
}
