package gateway

import (
	"errors"
	"io"
	"net"
	"os"
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
	ask   ask
	wrote atomic.Int64
	read  atomic.Int64
	reset bool // by the other end, with something unread

	until time.Time // when a read ends; it may be armed for earlier, and goes on then

	mu          sync.Mutex
	interrupted bool
	armed       time.Time // the deadline of reading
}

// ask is a message that is written with the next read, and what that reads.
type ask struct {
	message []byte    // what is to be written of it
	end     time.Time // of writing
	try     func(fd uintptr) (done bool)
	into    []byte
	n       int
	failed  error
}

// newInstanceConn wraps a connection. hungUp is called when the instance closes it while nothing reads from it.
func newInstanceConn(c net.Conn, h *netio.Hangups, hungUp func(*instanceConn)) *instanceConn {
	made := &instanceConn{Conn: c, hangups: h}
	if of, ok := c.(syscall.Conn); ok {
		made.raw, _ = of.SyscallConn() // fails only on a closed connection, and with that everything else will
	}
	made.look, made.ask.try = made.poll, made.tryAsk
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
	n, err := c.readOrAsk(p)
	for errors.Is(err, os.ErrDeadlineExceeded) && c.rearm() {
		n, err = c.readOrAsk(p)
	}
	c.read.Add(int64(n))
	if errors.Is(err, unix.ECONNRESET) {
		c.reset = true
	}
	return n, err
}

func (c *instanceConn) readOrAsk(p []byte) (int, error) {
	if len(c.ask.message) > 0 {
		return c.askAndRead(p)
	}
	return c.Conn.Read(p)
}

// beginAsking has a message written with the next read, for which there is time until the end. Until then the connection is idle.
func (c *instanceConn) beginAsking(message []byte, end time.Time) {
	c.forget()
	c.ask.message, c.ask.end = message, end
}

// askAndRead writes the message, and reads what comes then. Both are one wait, in which no read before it finds nothing: a read that does
// is how it is known that nothing, and not the end either, has come before the message was written. What does is not its answer: the error
// wraps errDial then, and nothing was written.
func (c *instanceConn) askAndRead(p []byte) (int, error) {
	a := &c.ask
	if c.raw == nil {
		return 0, errEnded
	}
	a.into, a.n, a.failed = p, 0, nil
	err := c.raw.Read(a.try)
	a.into = nil
	switch {
	case err != nil:
		return 0, err
	case len(a.message) > 0 && errors.Is(a.failed, syscall.EAGAIN):
		return c.askSlowly(p)
	case a.failed != nil:
		return 0, a.failed
	case a.n == 0:
		return 0, io.EOF
	}
	return a.n, nil
}

// tryAsk is called until it is done, each time when something has come.
func (c *instanceConn) tryAsk(fd uintptr) (done bool) {
	a := &c.ask
	a.n, a.failed = netio.ReadNow(fd, a.into)
	isQuiet := errors.Is(a.failed, syscall.EAGAIN)
	switch {
	case len(a.message) == 0:
		return !isQuiet
	case a.failed == nil && a.n > 0:
		a.n, a.failed = 0, errUnquiet
		return true
	case !isQuiet:
		a.n, a.failed = 0, errEnded
		return true
	}
	a.failed = nil
	for len(a.message) > 0 && a.failed == nil {
		n, err := netio.WriteNow(fd, a.message)
		c.wrote.Add(int64(n))
		a.message, a.failed = a.message[n:], err
	}
	return a.failed != nil
}

// askSlowly writes what is left of a message for which there is no room at the moment.
func (c *instanceConn) askSlowly(p []byte) (int, error) {
	c.setWriteDeadline(c.ask.end)
	rest := c.ask.message
	c.ask.message = nil
	if err := c.send(rest); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// forget begins with the next message.
func (c *instanceConn) forget() {
	c.wrote.Store(0)
	c.read.Store(0)
	c.reset = false
}

// begin writes the first bytes of a message.
func (c *instanceConn) begin(message []byte) error {
	c.forget()
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
	c.until, c.armed = t, t
	return c.Conn.SetReadDeadline(t)
}

// readUntil does the same for Read only, and leaves a deadline that ends it too early: most reads end before that, and Read goes on
// if one does not.
func (c *instanceConn) readUntil(t time.Time) error {
	if c.until = t; !c.isArmedBefore(t) {
		return c.setReadDeadline(t)
	}
	return nil
}

func (c *instanceConn) isArmedBefore(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.armed.IsZero() && !c.armed.After(t)
}

// rearm reports whether a read whose deadline has passed goes on.
func (c *instanceConn) rearm() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted || !c.armed.Before(c.until) {
		return false
	}
	c.armed = c.until
	return c.Conn.SetReadDeadline(c.until) == nil
}

func (c *instanceConn) setWriteDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.interrupted {
		_ = c.Conn.SetWriteDeadline(t) // a closed connection fails at once
	}
}

// interrupt ends what is being read or written. The connection cannot be used again.
func (c *instanceConn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.Conn.SetDeadline(netio.Past) // fails only on a closed connection
}

// interruptRead ends what is being read.
func (c *instanceConn) interruptRead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.Conn.SetReadDeadline(netio.Past)
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
