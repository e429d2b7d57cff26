// Package secure is TLS for connections that are read and written in the gateway's way: without a goroutine that waits in a read, without a
// buffer while nothing comes, and with one system call where one is enough. The protocol itself is crypto/tls.
//
// crypto/tls reads and writes a net.Conn. Here that is a transport, which reads only what is there, and collects what is to be written until
// somebody sends it. So a Conn is driven from outside, like a pure function of bytes.
package secure

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/fnctl/fnctl/gateway/netio"
)

// Conn is the connection of a client over TLS. One goroutine at a time may read, and any may write.
type Conn struct {
	*tls.Conn
	under *transport
}

// Server makes the server's end of a connection. raw is the connection without Go's way to wait.
func Server(conn net.Conn, raw syscall.RawConn, config *tls.Config) *Conn {
	under := &transport{Conn: conn, raw: raw}
	return &Conn{Conn: tls.Server(under, config), under: under}
}

// Handshake does the handshake, for as long as the context and the deadlines of the connection let it. Nothing is read or written meanwhile.
func (c *Conn) Handshake(ctx context.Context) error {
	c.under.waits = true
	defer func() { c.under.waits = false }()
	err := c.Conn.HandshakeContext(ctx)
	if sent := c.under.flush(); err == nil {
		err = sent
	}
	return err
}

// MaySpeak reports whether a protocol may be spoken: the one that the handshake has settled, and HTTP/1.1 without one. Without TLS, which is a
// nil Conn, any may.
func (c *Conn) MaySpeak(protocol string) bool {
	if c == nil {
		return true
	}
	agreed := c.ConnectionState().NegotiatedProtocol
	return agreed == protocol || agreed == "" && protocol != "h2"
}

// Under is the connection below.
func (c *Conn) Under() net.Conn { return c.under.Conn }

// ReadNow reads what has come already, and is not told of the system calls (netio.ReadNow). The error is syscall.EAGAIN if that is nothing. It is
// for a goroutine that waits for the descriptor to be readable, and has to call it until it fails: what has come may be more than one
// call returns.
func (c *Conn) ReadNow(fd uintptr, p []byte) (int, error) {
	c.under.begin(fd)
	defer c.under.end()
	n, err := c.Read(p)
	if n > 0 || errors.Is(err, io.EOF) {
		return n, nil
	}
	return 0, err
}

// Read waits for what comes.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.under.sendWhatThereIsRoomFor() // an answer to the other end's wish for new keys, or to what it should not have sent
	return n, err
}

// Write encrypts and sends.
func (c *Conn) Write(p []byte) (int, error) { return c.WriteBy(p, c.under.Conn.Write) }

// WriteBy encrypts, and has a function send the outcome in one piece. It returns how much of p was sent, which is all or nothing: the end
// of a record that is missing cannot be sent later.
func (c *Conn) WriteBy(p []byte, send func([]byte) (int, error)) (int, error) {
	c.under.sending.Lock()
	defer c.under.sending.Unlock()
	if _, err := c.Conn.Write(p); err != nil {
		return 0, err
	}
	if err := c.under.send(send); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite says that nothing more comes, in the way of TLS and in that of TCP.
func (c *Conn) CloseWrite() error {
	err := c.Conn.CloseWrite()
	err = errors.Join(err, c.under.flush())
	if half, ok := c.under.Conn.(interface{ CloseWrite() error }); ok {
		err = errors.Join(err, half.CloseWrite())
	}
	return err
}

// CloseRead lets nothing be read any more than what has arrived.
func (c *Conn) CloseRead() error {
	if half, ok := c.under.Conn.(interface{ CloseRead() error }); ok {
		return half.CloseRead()
	}
	return nil
}

// SyscallConn implements syscall.Conn. What is read and written by it is encrypted.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.under.raw, nil }

// transport is what crypto/tls takes for the connection.
type transport struct {
	net.Conn
	raw syscall.RawConn

	fd    uintptr // that is read from without waiting, if now
	now   bool
	none  bool // nothing more is there
	waits bool // a read waits for an answer to what was written

	sending sync.Mutex // what was collected is sent in the order in which it was

	mu     sync.Mutex
	unsent *netio.Pieces // nil: nothing
	failed error         // something was sent in part: nothing can be after that
}

// begin has reads return what is there.
func (t *transport) begin(fd uintptr) { t.fd, t.now, t.none = fd, true, false }

func (t *transport) end() { t.now = false }

// Read implements net.Conn. syscall.EAGAIN is an error that crypto/tls does not keep, like that of a deadline.
func (t *transport) Read(p []byte) (int, error) {
	if !t.now {
		if t.waits {
			if err := t.flush(); err != nil {
				return 0, err
			}
		}
		return t.Conn.Read(p)
	}
	if t.none {
		return 0, syscall.EAGAIN
	}
	n, err := netio.ReadNow(t.fd, p)
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	t.none = n < len(p)
	return n, nil
}

// Write implements net.Conn: it collects.
func (t *transport) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil {
		return 0, t.failed
	}
	if t.unsent == nil {
		t.unsent = netio.NewPieces()
	}
	t.unsent.Append(p)
	return len(p), nil
}

// take takes what was collected.
func (t *transport) take() (*netio.Pieces, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	unsent := t.unsent
	t.unsent = nil
	return unsent, t.failed
}

// flush sends what was collected, and waits for that.
func (t *transport) flush() error {
	t.sending.Lock()
	defer t.sending.Unlock()
	return t.send(t.Conn.Write)
}

// send has a function send what was collected. sending is held.
func (t *transport) send(by func([]byte) (int, error)) error {
	unsent, err := t.take()
	if unsent == nil || err != nil {
		return err
	}
	defer unsent.Free()
	p := unsent.Bytes()
	n, err := by(p)
	if n < len(p) {
		if err == nil {
			err = io.ErrShortWrite
		}
		t.mu.Lock()
		t.failed = err
		t.mu.Unlock()
	}
	return err
}

// sendWhatThereIsRoomFor sends what crypto/tls has said by itself, or leaves that to who sends just now, or next. An end that has it say so much and
// reads nothing is one too many.
func (t *transport) sendWhatThereIsRoomFor() {
	if !t.hasUnsent() || !t.sending.TryLock() {
		return
	}
	defer t.sending.Unlock()
	_ = t.send(func(p []byte) (int, error) { // later writes fail, too
		if netio.TryWrite(t.raw, p) {
			return len(p), nil
		}
		return 0, syscall.EAGAIN
	})
}

func (t *transport) hasUnsent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unsent != nil
}

// Close implements net.Conn.
func (t *transport) Close() error {
	t.sendWhatThereIsRoomFor()
	return t.Conn.Close()
}
