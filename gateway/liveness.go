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

// isDeaf says whether an instance has requests, and has read nothing of them for so long. One that works on a request may
// read no other for a good reason, so it has until the end of that one's time.
func (i *instance) isDeaf(now time.Time, patience time.Duration) bool {
	var since time.Time // when the first request was given that lies unread
	for l := range i.leases {
		c := l.conn.Load()
		switch {
		case c == nil:
		case l.answered.Load() || l.isBeingRead(c):
			i.heard = now
		case since.IsZero() || l.given.Before(since):
			since = l.given
		}
	}
	if since.IsZero() {
		return false
	}
	if since.Before(i.heard) {
		since = i.heard
	}
	return now.Sub(since) >= patience
}

// isBeingRead says whether all of a request was read, or some since the last look: what the kernel counts as unread grows by
// no less than what is written, unless something is read. A long upload is never read to its end before it has ended.
func (l *lease) isBeingRead(c *conn) bool {
	wrote, unread := c.wrote.Load(), c.unread()
	more, grown := wrote-l.wrote, unread-l.unread
	l.wrote, l.unread = wrote, unread
	return unread == 0 || grown < more
}
