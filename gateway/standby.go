package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

// wakePatience is how long an instance that is woken has for reading its first byte before others are started beside it.
const wakePatience = 50 * time.Millisecond

// wakeFunc wakes an instance that may be frozen, and keeps it from being so.
type wakeFunc func(ctx context.Context, id platform.InstanceID) (*standby.Claim, error)

func waker(paths platform.Paths) wakeFunc {
	return func(ctx context.Context, id platform.InstanceID) (*standby.Claim, error) {
		return standby.Wake(ctx, platform.InstanceCgroup(paths, platform.SliceName(id.Revision.Function), id))
	}
}

// sleep is how far an instance may be asleep. Once it was marked it gets no request without a claim, until it is gone: so it does not
// matter when a gateway sees a mark come or go.
type sleep struct {
	marked bool           // its mark is there
	tired  bool           // it is to rest as soon as it has nothing
	claim  *standby.Claim // nil: it rests, or was never marked
	waking bool           // it is woken, and has not used up the patience for that
}

// settle has an instance rest that is to, and has nothing. It reports whether it does.
func (i *instance) settle() bool {
	if !i.tired || i.inFlight > 0 || i.state != ready && i.state != unproven && i.state != resting {
		return false
	}
	i.state, i.tired = resting, false
	i.letGo()
	i.endAsking()
	i.upstream.closeIdle()
	return true
}

// letGo gives the claim back, if there is one.
func (i *instance) letGo() {
	i.claim.Release()
	i.claim = nil
}

// mark notes that a mark of an instance is there, or not any more: that it may be frozen from now on, or not again before it is marked
// anew; that it is poised, or as any other.
func (p *pool) mark(index int, m platform.Mark, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if inst := p.instances.current(index); inst != nil {
		inst.mark(m, there)
		p.settle(inst)
		p.dispatch(time.Now())
	}
}

// rouse has an instance take what waits: one that rests, since nothing is sooner there, or else those that are unproven, one of which
// may have to start.
func (p *pool) rouse(now time.Time) {
	p.instances.layDown()
	resting, waking := p.instances.sleeping()
	switch {
	case waking:
	case resting != nil:
		resting.waking = true
		p.env.group.Go(p.begin(resting, platform.Standby, now).wake)
	default:
		p.probeUnproven(now)
	}
}

// layDown has those rest again that were woken, and are to be proved again: to wake them proves them, and starts nothing beside them.
func (all instances) layDown() {
	for _, inst := range all {
		if inst.state == unproven && inst.marked && inst.claim != nil {
			inst.tired = true
			inst.settle()
		}
	}
}

// sleeping returns an instance that rests, nil if none does, and whether one is being woken.
func (all instances) sleeping() (one *instance, waking bool) {
	for _, inst := range all {
		if inst.state == resting && one == nil {
			one = inst
		}
		waking = waking || inst.waking
	}
	return one, waking
}

// isAwaited reports whether an instance is there for what comes, or will be within moments.
func (all instances) isAwaited() bool {
	one, waking := all.sleeping()
	return one != nil || waking || all.count(ready) > 0
}

// wasWoken reports whether an instance was woken of which the activator has not taken note yet.
func (all instances) wasWoken() bool {
	for _, inst := range all {
		if inst.claim != nil && inst.marked {
			return true
		}
	}
	return false
}

// wake wakes the instance and proves it. If that takes long, or cannot be, others are started.
func (v prover) wake(ctx context.Context) {
	patience, cancel := context.WithTimeout(ctx, wakePatience)
	defer cancel()
	stop := context.AfterFunc(patience, v.stopWaiting)
	attempt, cancelAttempt := context.WithTimeout(ctx, proveTimeout)
	claim, err := v.pool.env.wake(attempt, v.instance.id)
	cancelAttempt()
	if v.woken(claim, err) {
		v.prove(ctx)
	}
	if stop() {
		v.stopWaiting()
	}
}

// woken takes over the claim, and reports whether the instance is to be proved. One that cannot be woken is as good as one that was
// never frozen: it may have ended, and then its socket starts it. One that is only late goes on resting: it may be frozen any moment.
func (v prover) woken(claim *standby.Claim, err error) bool {
	p, inst := v.pool, v.instance
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case inst.state != proving:
		claim.Release()
		return false
	case errors.Is(err, context.DeadlineExceeded):
		inst.state = resting
		p.dispatch(time.Now())
		return false
	case err != nil:
		p.log.Info("the instance cannot be woken", "instance", inst.name, "err", err)
		inst.sleep, inst.state = sleep{}, unproven
		p.dispatch(time.Now())
		return false
	}
	inst.claim = claim
	return true
}

// stopWaiting has others be started if something still waits, unless it is known that they cannot.
func (v prover) stopWaiting() {
	p := v.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	v.instance.waking = false
	if p.failure != nil && !p.instances.isAwaited() {
		p.refuse(p.failure)
	}
	p.dispatch(time.Now())
}
