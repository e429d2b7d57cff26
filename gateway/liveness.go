package gateway

import (
	"context"
	"time"
)

// livenessPause is the time between two looks for instances that have stopped reading.
const livenessPause = 500 * time.Millisecond

// listen looks for instances that have stopped reading, until the context ends.
func (f *fleet) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		sleep(ctx, livenessPause)
		for _, p := range f.recent.list() {
			p.listen(time.Now())
		}
	}
	return nil
}

// listen finds the instances that are deaf, and those that are not any more.
func (p *pool) listen(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := false
	for _, inst := range p.instances {
		switch deafNow := inst.isDeaf(now, p.limits.liveness); {
		case inst.state == ready && deafNow:
			inst.state = deaf
			p.log.Warn("the instance has stopped reading: it gets no more requests", "instance", inst.name, "unread_for", p.limits.liveness)
			changed = true
		case inst.state == deaf && !deafNow:
			inst.state = unproven
			p.log.Info("the instance reads again", "instance", inst.name)
			changed = true
		}
	}
	if changed {
		p.touch(now)
		p.dispatch(now)
	}
}

// isDeaf says whether an instance has requests, and has read none of them for so long. One that works on a request may read
// no other for a good reason, so it has until the end of that one's time.
func (i *instance) isDeaf(now time.Time, patience time.Duration) bool {
	waited := false
	for l := range i.leases {
		c := l.conn.Load()
		if c == nil {
			continue
		}
		if l.answered.Load() || !c.unread() {
			return false
		}
		waited = waited || now.Sub(l.given) >= patience
	}
	return waited
}
