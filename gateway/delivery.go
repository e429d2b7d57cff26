package gateway

import (
	"sync/atomic"
	"time"
)

// delivery is a request on its way into an instance, and its response, as far as one can see from outside whether the instance
// works on it.
type delivery struct {
	given     time.Time                    // when the instance was lent
	conn      atomic.Pointer[instanceConn] // over which the request goes; nil: it has none yet, or none any more
	sent      atomic.Bool                  // its head, over a connection that others share
	answered  atomic.Bool                  // the instance has begun to answer
	unbounded atomic.Bool                  // the head of the answer does not say where that ends, so that its being open proves nothing
	seen      traffic                      // at the last look
	of        *instanceConn                // the connection that was looked at
	wasRead   bool                         // at some look, of a shared connection
}

// traffic is what has gone over a connection, and what of that the instance has not read.
type traffic struct{ wrote, read, unread int64 }

// look returns what has gone over the connection, and reports whether the instance has read or written some of it since the last
// look: what the kernel counts as unread grows by no less than what is written, unless something is read.
func (d *delivery) look(c *instanceConn) (now traffic, moves bool) {
	now = c.traffic()
	before, known := d.seen, d.of == c
	d.seen, d.of = now, c
	moves = known && (now.read > before.read || now.unread-before.unread < now.wrote-before.wrote)
	return now, moves
}

// moves reports whether the instance has read or written something since the last look.
func (d *delivery) moves(c *instanceConn) bool {
	_, moves := d.look(c)
	return moves
}

// isRead reports whether the instance has read all of the request, or something since the last look. A long upload is never read
// to its end before it has ended. Over a shared connection, what lies unread later belongs to other requests.
func (d *delivery) isRead(c *instanceConn) bool {
	sent := d.sent.Load()
	now, moves := d.look(c)
	if now.unread == 0 && sent && c.shared.Load() {
		d.wasRead = true
	}
	return now.unread == 0 || moves || d.wasRead
}

// deliveries are the requests that an instance has.
type deliveries map[*delivery]struct{}

// reading is what a look at the requests of an instance has shown.
type reading struct {
	reads       bool      // the instance reads one, works on one that it has read, or goes on with an unbounded answer
	unread      int       // how many it has not read
	unreadSince time.Time // when the oldest of these was given that has a connection; zero: none has
}

// look looks at unbounded answers only if there is something that they could vouch for: there may be thousands of them.
func (all deliveries) look() (r reading) {
	for d := range all {
		if !d.unbounded.Load() {
			r.add(d)
		}
	}
	if r.reads || r.unreadSince.IsZero() {
		return r
	}
	for d := range all {
		if c := d.conn.Load(); c != nil && d.unbounded.Load() {
			r.reads = d.moves(c) || r.reads
		}
	}
	return r
}

// add adds a request whose answer has not begun, or will end by itself.
func (r *reading) add(d *delivery) {
	c := d.conn.Load()
	switch {
	case d.answered.Load():
		r.reads = r.reads || c != nil
	case c == nil:
		r.unread++ // it waits for a connection, or is over
	case d.isRead(c):
		r.reads = true
	default:
		r.unread++
		if r.unreadSince.IsZero() || d.given.Before(r.unreadSince) {
			r.unreadSince = d.given
		}
	}
}
