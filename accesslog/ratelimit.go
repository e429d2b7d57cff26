package accesslog

import (
	"sync/atomic"
	"time"
)

// rateLimit lets so much through that it comes to one in an interval, with whatever was saved up while there was less. Many may
// ask at once, and none waits.
type rateLimit struct {
	interval time.Duration
	// ahead is the time up to which all intervals are taken.
	ahead atomic.Int64
}

// admit takes the next interval, unless it lies further ahead of now than is allowed: who is allowed more goes before the
// others once there are too many.
func (p *rateLimit) admit(now, allowed time.Duration) bool {
	for {
		ahead := p.ahead.Load()
		next := max(time.Duration(ahead), now)
		if next-now > allowed {
			return false
		}
		if p.ahead.CompareAndSwap(ahead, int64(next+p.interval)) {
			return true
		}
	}
}
