package gateway

import (
	"context"
	"net"
	"time"
)

// findDeaf finds the instances that are deaf, and those that are not any more, and reports whether there are such. The mutex is held.
func (r *roster) findDeaf(now time.Time) (changed bool) {
	for _, inst := range r.instances {
		isDeaf, doubtful := inst.checkReading(now, r.limits.liveness)
		switch {
		case !doubtful:
			inst.endAsking()
		case inst.asked.IsZero() && inst.state == ready:
			inst.asked = now
			r.env.group.Go(asker{roster: r, instance: inst, asked: now, first: r.limits.firstByte()}.ask)
		}
		switch {
		case inst.state == ready && isDeaf:
			inst.state = deaf
			r.log.Warn("the instance has stopped reading: it gets no more requests", "instance", inst.name, "unread_for", r.limits.liveness)
			changed = true
		case inst.state == deaf && !isDeaf:
			inst.state = unproven
			r.log.Info("the instance reads again", "instance", inst.name)
			r.settle(inst)
			changed = true
		}
	}
	return changed
}

// asker probes an instance beside its requests: one that reads the probe is not deaf, whatever it leaves unread.
type asker struct {
	roster   *roster
	instance *instance
	asked    time.Time // which it is as long as the answer is of interest
	first    byte
}

func (a asker) ask(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !a.begin(stop) {
		return
	}
	if conn, err := a.roster.env.probe(ctx, a.instance.upstream.socket, a.first); err == nil {
		a.answered(conn)
	}
}

// begin reports whether there is still a reason to ask.
func (a asker) begin(stop context.CancelFunc) bool {
	a.roster.mu.Lock()
	defer a.roster.mu.Unlock()
	if !a.instance.asked.Equal(a.asked) {
		return false
	}
	a.instance.stopAsking = stop
	return true
}

// answered notes that the instance has read the probe, whose connection is put aside for the next request.
func (a asker) answered(conn net.Conn) {
	a.roster.mu.Lock()
	defer a.roster.mu.Unlock()
	if !a.instance.asked.Equal(a.asked) {
		conn.Close()
		return
	}
	a.instance.lastRead, a.instance.asked = time.Now(), time.Time{}
	a.instance.upstream.keep(conn, a.first)
}

// endAsking takes a probe back that is not read yet, if there is one.
func (i *instance) endAsking() {
	i.asked = time.Time{}
	if i.stopAsking != nil {
		i.stopAsking()
		i.stopAsking = nil
	}
}

// checkReading reports whether the instance is deaf: it has requests that it has not read, and has read nothing for as long as the
// timeout, not even a probe that had half of that. An instance that works on a request may read no other for a good reason, so it has
// until the end of that one's time. An unbounded answer is no such reason for longer than it goes on. But its end may free a worker,
// and that has as long to read what is left before it counts as unread. doubtful is whether it is to be asked with a probe: an app
// may leave content of a request unread, and read everything else.
func (i *instance) checkReading(now time.Time, timeout time.Duration) (isDeaf, doubtful bool) {
	r := i.deliveries.look()
	if r.reads {
		i.lastRead = now
	}
	i.unread = 0
	if r.unreadSince.IsZero() {
		return false, false
	}
	silent := min(now.Sub(r.unreadSince), now.Sub(i.lastRead))
	isUnread := i.state == draining || !i.asked.IsZero() && now.Sub(i.asked) >= timeout/2 // what drains cannot be asked
	isDeaf = silent >= timeout && isUnread
	if isDeaf && now.Sub(i.unboundedEnded) >= timeout {
		i.unread = r.unread
	}
	return isDeaf, silent >= timeout/2
}
