package netio

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Past is a deadline that ends every read and write at once.
var Past = time.Unix(1, 0)

// ReadLimit says until when a connection may be read. Any goroutine may use it.
type ReadLimit struct {
	conn        net.Conn
	interrupted atomic.Bool

	mu    sync.Mutex
	armed time.Time // the deadline; zero: none that is to come
}

// Reset makes it the limit of a connection that has none yet.
func (l *ReadLimit) Reset(conn net.Conn) { l.conn = conn }

// Set moves the deadline, unless reading was interrupted.
func (l *ReadLimit) Set(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(t)
}

func (l *ReadLimit) set(t time.Time) {
	if !l.interrupted.Load() {
		_ = l.conn.SetReadDeadline(t) // a closed connection fails at once
		l.armed = t
	}
}

// SetSome does the same, but leaves a deadline that comes before: most waits end earlier anyway. Who waits has to go on when it has come.
func (l *ReadLimit) SetSome(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.armed.IsZero() || l.armed.After(t) {
		l.set(t)
	}
}

// Cut ends a read that runs, and those that follow, until a deadline is set.
func (l *ReadLimit) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.conn.SetReadDeadline(Past)
	l.armed = time.Time{}
}

// Interrupt ends a read that runs, and all that follow, until Resume is called.
func (l *ReadLimit) Interrupt() {
	l.interrupted.Store(true) // before it is cut, and after no deadline is being set
	l.Cut()
}

// Resume lets deadlines be set again.
func (l *ReadLimit) Resume() { l.interrupted.Store(false) }

// IsInterrupted reports whether reading was interrupted.
func (l *ReadLimit) IsInterrupted() bool { return l.interrupted.Load() }
