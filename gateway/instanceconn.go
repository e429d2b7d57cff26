package gateway

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
)

// instanceConn is a connection to an instance. It knows what went over it since it was lent: by that one can tell what the instance
// may have seen.
type instanceConn struct {
	net.Conn
	raw       syscall.RawConn
	look      func(fd uintptr) // poll, made once: each closure would be garbage
	polled    [1]unix.PollFd
	hangups   *netio.Hangups
	reader    wire.Reader
	token     uint64 // with hangups
	idleSince time.Time
	over      atomic.Bool // the instance has closed it
	shared    atomic.Bool // by many requests at once

	sent  bool // the probe has sent the first byte of the next message
	wrote atomic.Int64
	read  atomic.Int64
	reset bool // by the other end, with something unread

	mu          sync.Mutex
	interrupted bool
}

// newInstanceConn wraps a connection. hungUp is called when the instance closes it while nothing reads from it.
func newInstanceConn(c net.Conn, h *netio.Hangups, hungUp func(*instanceConn)) *instanceConn {
	made := &instanceConn{Conn: c, hangups: h}
	if of, ok := c.(syscall.Conn); ok {
		made.raw, _ = of.SyscallConn() // fails only on a closed connection, and with that everything else will
	}
	made.look = made.poll
	made.reader.Reset(made)
	made.token = h.Watch(c, func(bool) {
		if !made.over.Load() { // it is told by halves
			hungUp(made)
		}
	})
	return made
}

// Read reads what the instance sends. Only the reader calls it.
func (c *instanceConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	if errors.Is(err, unix.ECONNRESET) {
		c.reset = true
	}
	return n, err
}

// begin writes the first bytes of a message.
func (c *instanceConn) begin(message []byte) error {
	c.wrote.Store(0)
	c.read.Store(0)
	c.reset = false
	if c.sent {
		message = message[1:]
		c.sent = false
		c.wrote.Store(1)
	}
	return c.send(message)
}

func (c *instanceConn) send(p []byte) error {
	_, err := c.write(p)
	return err
}

func (c *instanceConn) write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wrote.Add(int64(n))
	return n, err
}

// setReadDeadline moves the time until which the instance must have sent something, unless the connection was interrupted.
func (c *instanceConn) setReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// interrupt ends what is being read or written. The connection cannot be used again.
func (c *instanceConn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.Conn.SetDeadline(past) // fails only on a closed connection
}

// interruptRead ends what is being read.
func (c *instanceConn) interruptRead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.Conn.SetReadDeadline(past)
}

// unread is what the instance has not read from its socket (platform.Unread), 0 if that is not known.
func (c *instanceConn) unread() int64 {
	count := 0
	if c.control(func(fd uintptr) { count, _ = platform.Unread(int(fd)) }) != nil {
		return 0
	}
	return int64(count)
}

// traffic is what went over the connection since it was lent.
func (c *instanceConn) traffic() traffic {
	wrote := c.wrote.Load() // before it counts as unread
	return traffic{wrote: wrote, read: c.read.Load(), unread: c.unread()}
}

// isQuiet reports whether an idle connection is as it was left: what an instance sends unasked is not the answer to the next
// request.
func (c *instanceConn) isQuiet() bool { return c.control(c.look) == nil && c.polled[0].Revents == 0 }

// hasEnded reports whether a connection was not quiet because the instance has closed it.
func (c *instanceConn) hasEnded() bool { return c.polled[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 }

// poll looks for something to read, or the end.
func (c *instanceConn) poll(fd uintptr) {
	c.polled[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	if _, err := unix.Poll(c.polled[:], 0); err != nil {
		c.polled[0].Revents = unix.POLLERR
	}
}

func (c *instanceConn) control(f func(fd uintptr)) error {
	if c.raw == nil {
		return net.ErrClosed
	}
	return c.raw.Control(f)
}

// Close implements net.Conn.
func (c *instanceConn) Close() error {
	c.hangups.Unwatch(c.token)
	return c.Conn.Close()
}
