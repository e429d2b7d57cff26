package gateway

import (
	"math"
	"time"
)

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
