package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// lingerTime is how long a connection that is closed with something unread is read on, and lingerContent how much:
	// the kernel would reset it otherwise, and with that destroy the response on its way.
	lingerTime    = time.Second
	lingerContent = 4 << 20
	// http2Preface begins a connection of HTTP/2 with prior knowledge (RFC 9113, section 3.4).
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// phase is what a connection of a client is used for at the moment.
type phase int

const (
	waiting phase = iota // for the first byte of a request
	reading              // the head of one
	serving
	tunneling // it is read all the time
)

// clientConn is the connection of a client that speaks HTTP/1.
type clientConn struct {
	net.Conn
	gateway  *Gateway
	patient  *patient
	origin   origin
	accepted time.Time
	token    uint64 // with hangups
	admitted bool   // it counts

	reader  wire.Reader
	*turn               // nil between two requests
	used    atomic.Bool // a request has come already
	closing bool        // no request follows

	mu          sync.Mutex // others read the turn and the phase
	phase       phase
	gone        bool
	interrupted bool // nothing more is read
}

func newClientConn(g *Gateway, conn net.Conn) *clientConn {
	c := &clientConn{Conn: conn, gateway: g, accepted: time.Now(), origin: newOrigin(conn, g.cfg.TrustedProxies)}
	c.reader.Reset(conn)
	if of, ok := conn.(syscall.Conn); ok {
		if raw, err := of.SyscallConn(); err == nil {
			c.patient = newPatient(g.buffers, raw, headRoom)
		}
	}
	return c
}

// serve answers the requests of the connection, one after the other. It reports false if the connection is to be served as
// HTTP/2, by somebody else.
func (c *clientConn) serve() (served bool) {
	c.token = c.gateway.hangups.watch(c.Conn, c.hungUp)
	for {
		err := c.receive()
		switch {
		case errors.Is(err, errHTTP2):
			c.gateway.hangups.unwatch(c.token)
			return false
		case err != nil:
			c.reject(err)
		default:
			c.answer()
		}
		if c.closing || err != nil {
			c.close()
			return true
		}
	}
}

// hungUp is called when the client closes the connection, or its half of it.
func (c *clientConn) hungUp() {
	c.mu.Lock()
	c.gone = true
	c.mu.Unlock()
	c.interrupt(errClientGone)
}

// errHTTP2 says that a connection begins as one of HTTP/2 does.
var errHTTP2 = errors.New("the client speaks HTTP/2")

// receive reads the head of the next request. The error is a *refusal for what is to be answered.
func (c *clientConn) receive() error {
	if err := c.await(); err != nil {
		return err
	}
	c.takeTurn()
	c.enter(reading)
	r := &c.reader
	r.Discard(wire.SkipEmptyLine(r.Buffered()))
	for scanned, late := 0, false; ; {
		n, next, err := wire.HeadLength(r.Buffered(), scanned)
		switch {
		case !c.used.Load() && isPreface(r.Buffered()):
			return errHTTP2
		case err != nil:
			return malformed(err)
		case n > c.gateway.cfg.MaxHeaderBytes || n == 0 && len(r.Buffered()) > c.gateway.cfg.MaxHeaderBytes:
			return headTooLarge()
		case n > 0:
			return c.parse(n)
		}
		scanned = next
		if !late {
			late = true
			c.setReadDeadline(time.Now().Add(c.gateway.cfg.ReadHeaderTimeout))
		}
		if err := r.Fill(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return headTooLate()
			}
			return err
		}
		if scanned == 0 {
			r.Discard(wire.SkipEmptyLine(r.Buffered()))
		}
	}
}

func isPreface(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PRI * HTTP/2.0\r\n"))
}

func (c *clientConn) parse(n int) error {
	c.used.Store(true)
	if err := c.req.Parse(c.reader.Buffered()[:n]); err != nil {
		return malformed(err)
	}
	c.reader.Discard(n)
	c.content.Reset(&c.reader, c.req.Framing(), c.gateway.cfg.MaxHeaderBytes)
	return nil
}

// await waits for the first bytes of a request, without a buffer: most connections are idle.
func (c *clientConn) await() error {
	if len(c.reader.Buffered()) > 0 {
		return nil // pipelined
	}
	c.reader.Release()
	c.giveTurn()
	patience := c.gateway.cfg.IdleTimeout
	if !c.used.Load() {
		patience = c.gateway.cfg.ReadHeaderTimeout
	}
	c.setReadDeadline(time.Now().Add(patience))
	c.enter(waiting)
	if c.patient == nil {
		return c.reader.Fill()
	}
	first, err := c.patient.read()
	if err != nil {
		return err
	}
	c.reader.Feed(first)
	c.patient.give()
	return nil
}

// enter begins a phase. A gateway that stops has dismissed the connections that waited, and waits for no other.
func (c *clientConn) enter(p phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = p
	if p == waiting && c.used.Load() && c.gateway.clients.stopping.Load() && !c.gateway.clients.lasting.Load() {
		c.closeRead()
	}
}

// answer serves the request that was received.
func (c *clientConn) answer() {
	x := &c.x
	x.begin(&c.req)
	x.origin.protocol = "HTTP/1.1"
	if c.req.Minor == 0 {
		x.origin.protocol = "HTTP/1.0"
	}
	c.chunked, c.ragged, c.interrupted = false, false, false
	c.enter(serving)
	if c.wentAway() {
		x.interrupt(errClientGone)
	}
	c.gateway.dispatch(x)
	c.closing = c.closing || !c.req.KeepAlive || c.ragged || !c.content.Done()
}

func (c *clientConn) wentAway() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// reject answers what is no request.
func (c *clientConn) reject(err error) {
	c.closing = true
	var r *refusal
	if !errors.As(err, &r) {
		return
	}
	c.gateway.metrics.refused(r.code)
	c.takeTurn()
	c.req = wire.Request{Minor: 1, Method: []byte(http.MethodGet), ContentLength: -1}
	c.x.begin(&c.req)
	_ = c.SetWriteDeadline(time.Now().Add(lingerTime))
	c.x.tell(r)
	c.content.Reset(&c.reader, wire.UntilClose(), 0) // there is more to come that nobody reads
}

// close closes the connection, and sees to it that the client can read what was sent.
func (c *clientConn) close() {
	defer c.Conn.Close()
	defer c.reader.Release()
	defer c.giveTurn()
	c.gateway.hangups.unwatch(c.token)
	if c.turn == nil || c.content.Done() || c.wentAway() {
		return
	}
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.Conn, lingerContent)
}

// Read reads the content of the request.
func (c *clientConn) Read(p []byte) (int, error) { return c.content.Read(p) }

func (c *clientConn) trailer() []wire.Field { return c.content.Trailer() }

// takeContent implements client: the head and the content of a small request are sent with one write.
func (c *clientConn) takeContent(dst []byte) (with []byte, whole bool) {
	if c.content.Done() {
		return dst, true
	}
	n, known := c.req.Framing().Length()
	if !known || n > int64(len(c.reader.Buffered())) {
		return dst, false
	}
	dst = append(dst, c.reader.Buffered()[:n]...)
	c.reader.Discard(int(n))
	c.content.Reset(&c.reader, wire.None(), 0)
	return dst, true
}

// setReadDeadline implements client.
func (c *clientConn) setReadDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.interrupted {
		_ = c.SetReadDeadline(t) // a closed connection fails at once
	}
}

func (c *clientConn) interruptRead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.SetReadDeadline(past)
}

func (c *clientConn) interruptWrite() { _ = c.SetWriteDeadline(past) }
