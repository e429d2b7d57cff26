package gateway

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// conn is a connection to an instance that knows what went over it, so that one can tell what the instance may have seen.
type conn struct {
	net.Conn
	lost   func()
	read   atomic.Int64
	wrote  atomic.Int64
	reset  atomic.Bool // by the other end, with something unread
	closed atomic.Bool
}

func newConn(c net.Conn, lost func()) *conn { return &conn{Conn: c, lost: lost} }

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	if errors.Is(err, unix.ECONNRESET) {
		c.reset.Store(true)
	}
	if err != nil && !c.closed.Load() {
		c.lost()
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.wrote.Add(int64(n))
	return n, err
}

func (c *conn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// spareConn continues a connection whose first byte was sent by the proof. If the request begins with another byte, it
// connects anew, and the instance sees a connection that came and went.
type spareConn struct {
	net.Conn // until begun it is the connection of the proof
	socket   string
	first    byte

	mu    sync.Mutex
	begun chan struct{} // closed by the first write, or Close
}

func newSpareConn(s *spare, socket string) *spareConn {
	return &spareConn{Conn: s.conn, socket: socket, first: s.first, begun: make(chan struct{})}
}

// Read waits for the first write: only that decides which connection it is.
func (c *spareConn) Read(b []byte) (int, error) {
	<-c.begun
	return c.Conn.Read(b)
}

func (c *spareConn) Write(b []byte) (int, error) {
	sent := 0
	if begins, err := c.begin(b); err != nil {
		return 0, err
	} else if begins {
		sent = 1
	}
	n, err := c.Conn.Write(b[sent:])
	if n == 0 && err != nil {
		return 0, err
	}
	return sent + n, err
}

// begin says whether the first byte of b was sent already.
func (c *spareConn) begin(b []byte) (sent bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) == 0 || c.hasBegun() {
		return false, nil
	}
	defer close(c.begun)
	if b[0] == c.first {
		return true, nil
	}
	c.Conn.Close()
	fresh, err := dialSocket(context.Background(), c.socket)
	if err != nil {
		return false, err
	}
	c.Conn = fresh
	return false, nil
}

func (c *spareConn) hasBegun() bool {
	select {
	case <-c.begun:
		return true
	default:
		return false
	}
}

// Close also ends a Read that waits.
func (c *spareConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hasBegun() {
		close(c.begun)
	}
	return c.Conn.Close()
}
