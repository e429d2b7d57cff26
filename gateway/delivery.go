package gateway

import (
	"sync/atomic"
	"time"
)

// delivery is a request on its way into an instance, as far as one can see from outside whether the instance reads it.
type delivery struct {
	given    time.Time                    // when the instance was lent
	answered atomic.Bool                  // the instance has begun to answer
	conn     atomic.Pointer[instanceConn] // over which the request went, if it is for that alone; nil: there is nothing to see
	wrote    int64                        // to the connection, at the last look
	unread   int64                        // of that
}

// isRead reports whether the instance has read all of the request, or some of it since the last look: what the kernel counts
// as unread grows by no less than what is written, unless something is read. A long upload is never read to its end before it
// has ended.
func (d *delivery) isRead(c *instanceConn) bool {
	if d.answered.Load() {
		return true
	}
	wrote, unread := c.wrote.Load(), c.unread()
	more, grown := wrote-d.wrote, unread-d.unread
	d.wrote, d.unread = wrote, unread
	return unread == 0 || grown < more
}

// deliveries are the requests that an instance has.
type deliveries map[*delivery]struct{}

// look reports whether the instance reads any of its requests, and since when the oldest lies unread, which is the zero time
// if none does.
func (all deliveries) look() (reads bool, unreadSince time.Time) {
	for d := range all {
		c := d.conn.Load()
		switch {
		case c == nil:
		case d.isRead(c):
			reads = true
		case unreadSince.IsZero() || d.given.Before(unreadSince):
			unreadSince = d.given
		}
	}
	return reads, unreadSince
}
