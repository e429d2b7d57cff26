package gateway

import (
	"math"
	"math/rand/v2"
	"time"
)

// Instances that are woken together become ready one after the other. The first of them must not get everything that was
// held meanwhile, and nothing may wait long for the others. So, when the first becomes ready, the pool spreads for a
// bounded time: as long as others are being proved, each ready instance has at most its fair share of the demand, as if
// all of them were ready. A share is a bound of what is in flight, not of what is served: fast requests flow on, and only
// slow ones wait, for which it matters. Then whatever is left goes to who is ready.
const (
	// minSpread and maxSpread bound that time. In between it is twice what the first instance needed to become ready.
	minSpread = 10 * time.Millisecond
	maxSpread = 2 * time.Second
)

func spreadFor(firstNeeded time.Duration) time.Duration {
	return min(max(2*firstNeeded, minSpread), maxSpread)
}

// pick chooses the ready instance with the least in flight that may have one more, ties at random; nil if there is none.
// arriving is how many requests come besides those that are queued or in flight.
func (p *pool) pick(now time.Time, arriving int) *instance {
	if p.isGoverned() {
		return nil
	}
	var (
		best *instance
		ties int
		most = p.most(now, arriving)
	)
	for _, inst := range p.instances {
		if inst.state != ready || inst.load() >= most || best != nil && inst.load() > best.load() {
			continue
		}
		if best == nil || inst.load() < best.load() {
			best, ties = inst, 1
			continue
		}
		if ties++; rand.IntN(ties) == 0 {
			best = inst
		}
	}
	return best
}

// most is how many requests an instance may have in flight now.
func (p *pool) most(now time.Time, arriving int) int {
	most := math.MaxInt
	if p.limits.concurrency > 0 {
		most = p.limits.concurrency
	}
	if now.Before(p.spreadUntil) {
		most = min(most, p.share(arriving))
	}
	return most
}

// failing tells whether the instance cannot be asked at all, for longer than a new socket that has not its final mode yet.
func (i *instance) failing() bool { return i.pausing && i.backoff > loudBackoff/2 }

// share is the part of the demand that falls to each instance once all that are starting have started.
func (p *pool) share(arriving int) int {
	demand, up, starting := arriving+p.waiters.Len(), 0, 0
	for _, inst := range p.instances {
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
