package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/platform"
)

const (
	// upstreamIdleTimeout is how long an idle connection to an instance is kept. It is shorter than the keep-alive of any
	// common server (gunicorn 2 s, uvicorn and node 5 s), so that it is always the gateway that closes, and never on a
	// request. To connect again costs 20 µs.
	upstreamIdleTimeout = time.Second
	// spareTimeout is how long the connection of a probe is kept for its request.
	spareTimeout = time.Second
	// backlogPause is the time between two attempts to connect to a socket whose queue is full.
	backlogPause = time.Millisecond
	// backlogTimeout bounds the time of all these attempts.
	backlogTimeout = 10 * time.Second
)

// upstream has the connections to one instance. Each leads to the worker that accepted it. So while several requests are in flight on an
// instance with several workers, each has a new connection, which a worker accepts that is free: one that is kept may lead to one that is
// not, for however long.
type upstream struct {
	socket  string
	lost    func()      // called when the instance has closed a connection by itself
	shared  func() bool // reports whether others are in flight on several workers; nil: never
	hangups *netio.Hangups

	mu     sync.Mutex
	spare  *spare
	idle   []*instanceConn // the one used last at the end
	reaper *time.Timer
	http2  *http2Upstream // nil until a request needs it
}

// spare is the connection of a probe: the instance has read the first byte of a request from it.
type spare struct {
	conn  net.Conn
	first byte
	timer *time.Timer
}

func newUpstream(socket string, hangups *netio.Hangups, lost func()) *upstream {
	return &upstream{socket: socket, hangups: hangups, lost: lost}
}

// take lends a connection for a request whose first byte is given: the one that was used last, that of the probe, or a new
// one. The caller gives it back or closes it. The context is made only if a new one is needed; the error wraps errDial then.
func (u *upstream) take(newContext func() context.Context, first byte) (*instanceConn, error) {
	for c := u.takeIdle(); c != nil; c = u.takeIdle() {
		if c.isQuiet() {
			return c, nil
		}
		c.Close()
		u.lost()
		if c.hasEnded() {
			return nil, errEnded
		}
	}
	if s := u.takeSpare(); s != nil {
		if s.first == first {
			c := newInstanceConn(s.conn, u.hangups, u.hungUp)
			c.sent = true
			return c, nil
		}
		s.conn.Close() // the instance sees a connection that came and went
	}
	dialed, err := dialSocket(newContext(), u.socket)
	if err != nil {
		return nil, err
	}
	return newInstanceConn(dialed, u.hangups, u.hungUp), nil
}

// takeIdle is nil if no connection is kept, or none may be used now.
func (u *upstream) takeIdle() *instanceConn {
	if u.isShared() {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.idle) == 0 {
		return nil
	}
	last := len(u.idle) - 1
	c := u.idle[last]
	u.idle[last] = nil
	u.idle = u.idle[:last]
	return c
}

// give takes a connection back, over which the next request may go.
func (u *upstream) give(c *instanceConn) {
	c.reader.Release()
	if u.isShared() {
		c.Close() // most of them would never be used
		return
	}
	c.idleSince = time.Now()
	if !u.put(c) {
		c.Close()
		u.lost()
	}
}

func (u *upstream) isShared() bool { return u.shared != nil && u.shared() }

// put keeps an idle connection. It reports false if the instance has closed that in the meantime.
func (u *upstream) put(c *instanceConn) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.over.Load() {
		return false
	}
	u.idle = append(u.idle, c)
	if u.reaper == nil {
		u.reaper = time.AfterFunc(upstreamIdleTimeout, u.reap)
	} else if len(u.idle) == 1 {
		u.reaper.Reset(upstreamIdleTimeout)
	}
	return true
}

// reap closes the connections that were idle for too long.
func (u *upstream) reap() {
	u.mu.Lock()
	defer u.mu.Unlock()
	old := time.Now().Add(-upstreamIdleTimeout)
	closed := 0
	for closed < len(u.idle) && !u.idle[closed].idleSince.After(old) {
		u.idle[closed].Close()
		closed++
	}
	u.idle = slices.Delete(u.idle, 0, closed)
	if len(u.idle) > 0 {
		u.reaper.Reset(max(time.Until(u.idle[0].idleSince.Add(upstreamIdleTimeout)), time.Millisecond))
	}
}

// hungUp is called when the instance has closed a connection.
func (u *upstream) hungUp(c *instanceConn) {
	c.over.Store(true)
	u.mu.Lock()
	place := slices.Index(u.idle, c)
	if place >= 0 {
		u.idle = slices.Delete(u.idle, place, place+1)
		c.Close()
	}
	u.mu.Unlock()
	if place >= 0 || c.shared.Load() { // otherwise its user finds out
		u.lost()
	}
}

// dialSocket connects to an instance. It waits while the queue of the socket is full: that is load, not a failure.
func dialSocket(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, unix.EAGAIN) || ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errDial, err)
		}
		platform.Sleep(ctx, backlogPause)
	}
}

// keep puts the connection of a probe aside for the next request.
func (u *upstream) keep(conn net.Conn, first byte) {
	s := &spare{conn: conn, first: first}
	u.mu.Lock()
	old := u.spare
	u.spare = s
	s.timer = time.AfterFunc(spareTimeout, func() { u.dropSpare(s) })
	u.mu.Unlock()
	old.close()
}

func (u *upstream) takeSpare() *spare {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.spare
	u.spare = nil
	if s != nil {
		s.timer.Stop()
	}
	return s
}

func (u *upstream) dropSpare(s *spare) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.spare == s {
		u.spare = nil
		s.close()
	}
}

func (s *spare) close() {
	if s != nil {
		s.timer.Stop()
		s.conn.Close()
	}
}

// overHTTP2 returns the connections for HTTP/2, which most instances do not have.
func (u *upstream) overHTTP2() *http2Upstream {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.http2 == nil {
		u.http2 = newHTTP2Upstream(u.take)
	}
	return u.http2
}

// closeIdle closes all connections of an instance that has nothing in flight.
func (u *upstream) closeIdle() {
	u.takeSpare().close()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.idle {
		c.Close()
	}
	u.idle = nil
	if u.reaper != nil {
		u.reaper.Stop()
	}
	if u.http2 != nil {
		u.http2.close()
	}
}
