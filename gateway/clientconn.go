package gateway

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/secure"
	"github.com/fnctl/fnctl/gateway/wire"
)

// clientEnv is what all connections of clients share.
type clientEnv struct {
	cfg      *Config
	proxy    *proxy
	guard    *secure.Guard
	crowd    *crowd
	hangups  *netio.Hangups
	pipes    netio.Pipes
	date     wire.Date
	stopping atomic.Bool // nothing is accepted any more
	lasting  atomic.Bool // connections that are idle stay until they bring a request or their time is over
	conns    *connSet
	resume   func(*clientConn) // serves one that is awake again
}

// silence is how long a new connection may send nothing when the gateway stops.
const silence = 500 * time.Millisecond

// phase is what a connection of a client does at the moment.
type phase int

const (
	phaseWaiting phase = iota // for the first byte of a request
	phaseReading              // the head of one
	phaseServing
	phaseTunneling // it is read all the time
	phaseClosing   // what is read is dropped
)

// clientConn is the connection of a client that speaks HTTP/1.
type clientConn struct {
	net.Conn
	env      *clientEnv
	secure   *secure.Conn      // the same connection; nil: it is one without TLS
	idle     *netio.IdleReader // nil: the connection has no file descriptor
	origin   origin
	accepted time.Time
	token    uint64 // with hangups
	admitted bool   // it counts

	reader  wire.Reader
	current *clientRequest // nil between two requests
	used    atomic.Bool    // a request has come already
	reads   netio.ReadLimit
	parsed  bool          // the current request is, and not answered yet
	closing bool          // no request follows
	linger  time.Duration // how long close waits at most for the client to take what was sent

	slept bool          // the wait goes on that was one before
	bed   *list.Element // in the connections that are asleep, whose mutex guards it; nil: it is awake

	mu         sync.Mutex // other goroutines read the current request, the phase, and the end of a wait
	idleEnd    time.Time  // when the connection has waited for a request for too long
	phase      phase
	readClosed bool // by the gateway
	halfClosed bool // by the client
	gone       bool // the connection is over
	asleep     bool // no goroutine serves it
	sleepAfter time.Duration
	begun      bool // some of a response, which may be an interim one, is being sent, or was
	ahead      bool // the first byte of a response was sent, and nothing else
}

func newClientConn(env *clientEnv, conn net.Conn) *clientConn {
	c := &clientConn{Conn: conn, env: env, accepted: time.Now(), sleepAfter: minSleepAfter, origin: newOrigin(conn, env.cfg.TrustedProxies)}
	if of, ok := conn.(syscall.Conn); ok {
		if raw, err := of.SyscallConn(); err == nil {
			c.idle = netio.NewIdleReader(env.proxy.buffers, raw, headRoom)
		}
	}
	c.reader.Reset(conn)
	c.reads.Reset(conn)
	return c
}

// protect makes it a connection over TLS. Nothing was read yet.
func (c *clientConn) protect(guard *secure.Guard) {
	c.secure = secure.Server(c.Conn, c.idle.Raw(), guard.Config())
	c.Conn, c.origin.secure = c.secure, true
	c.idle.OpenBy(c.secure.ReadNow)
	c.reader.Reset(c.secure)
}

// introduce takes the header by which a load balancer says whose connection it is. The error is a *refusal if the client may be told
// something.
func (c *clientConn) introduce() error {
	if !c.env.cfg.ProxyProtocol || !c.origin.trusted || c.origin.peer == "" {
		return nil
	}
	c.enter(phaseReading)
	c.reads.Set(time.Now().Add(c.env.cfg.ReadHeaderTimeout))
	var client netip.AddrPort
	err := netio.TakeHeader(c.idle.Raw(), wire.MaxProxyHeader, func(b []byte) (n int, err error) {
		client, n, err = wire.ProxyHeader(b)
		return n, err
	})
	if err != nil || !client.IsValid() {
		return err
	}
	if refused := c.env.crowd.relocate(c, client.Addr()); refused != nil {
		if c.secure != nil {
			return errCrowded // it could not read more
		}
		return refused
	}
	return nil
}

// handshake reports whether client and gateway may talk. While they find out, the connection counts as one that brings a request.
func (c *clientConn) handshake() bool {
	if c.secure == nil {
		return true
	}
	c.enter(phaseReading)
	end := time.Now().Add(c.env.cfg.ReadHeaderTimeout)
	c.reads.Set(end)
	_ = c.SetWriteDeadline(end)                     // a closed connection fails at once
	err := c.secure.Handshake(context.Background()) // bounded by the deadlines
	_ = c.SetWriteDeadline(time.Time{})
	c.accepted = time.Now()
	return c.env.guard.Note(c.secure.ConnectionState(), err).MayTalk()
}

// serve answers the requests of the connection, one after the other, and closes it. The error is errHTTP2 or errAsleep if it is open
// still.
func (c *clientConn) serve() error {
	if err := c.introduce(); err != nil {
		c.reject(err)
		c.close()
		return nil
	}
	if !c.handshake() {
		c.close()
		return nil
	}
	c.token = c.env.hangups.Watch(c.Conn, c.hungUp)
	return c.serveOn()
}

// serveOn goes on after the connection was asleep.
func (c *clientConn) serveOn() error {
	for {
		err := c.receive()
		switch {
		case errors.Is(err, errAsleep):
			return err // somebody else may serve it already
		case errors.Is(err, errHTTP2):
			c.env.hangups.Unwatch(c.token)
			return err
		case err != nil:
			c.reject(err)
		case c.closing: // feed has answered the last request
		default:
			c.answer()
		}
		if c.closing || err != nil {
			c.close()
			return nil
		}
	}
}

// raw is the connection without Go's way to wait; nil: it has no file descriptor.
func (c *clientConn) raw() syscall.RawConn {
	if c.idle == nil {
		return nil
	}
	return c.idle.Raw()
}

// acquireRequest is called when a request comes.
func (c *clientConn) acquireRequest() {
	if c.current != nil {
		return
	}
	s := newClientRequest(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = s
}

// releaseRequest is called when there is no request any more. Nothing touches its exchange after that: other goroutines hold the
// mutex of the connection while they do, or are done with it.
func (c *clientConn) releaseRequest() {
	c.mu.Lock()
	s := c.current
	c.current = nil
	c.mu.Unlock()
	if s != nil {
		s.free()
	}
}

// interrupt ends the request that the connection brought, if one is served.
func (c *clientConn) interrupt(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(cause)
}

// end does that. A tunnel finds out by itself that its client has gone. The mutex is held.
func (c *clientConn) end(cause error) {
	if c.current != nil && (c.phase == phaseServing || c.phase == phaseTunneling && !errors.Is(cause, errClientGone)) {
		c.current.exchange.interrupt(cause)
	}
}

// closeIfIdle lets the connection read no further request if it waits for one, and reports whether one may come yet.
func (c *clientConn) closeIfIdle() (mayCome bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase != phaseWaiting:
	case c.env.lasting.Load() && (c.used.Load() || time.Since(c.accepted) >= silence):
		return false
	case c.used.Load() || time.Since(c.accepted) >= silence:
		c.closeRead()
	}
	return c.phase == phaseWaiting || c.phase == phaseReading
}

// closeRead lets the connection read what has arrived already, and then the end. The mutex is held.
func (c *clientConn) closeRead() {
	c.readClosed = true // before the kernel tells that nothing more comes
	if half, ok := c.Conn.(interface{ CloseRead() error }); ok {
		_ = half.CloseRead() // it may be closed already
	}
}

// halfCloseTime is how long after its request a client may close its half of the connection while the response has begun already.
const halfCloseTime = time.Second

// hungUp is called when the client closes its half of the connection, and when that is over.
func (c *clientConn) hungUp(whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case whole:
		c.gone = true
		c.end(errClientGone)
	case c.readClosed || c.halfClosed: // it tells nothing new
		return
	case c.secure != nil: // nobody closes one half of such a connection and waits for an answer on the other
		c.gone = true
		c.end(errClientGone)
	default:
		c.halfClosed = true
		c.sound()
	}
	if c.phase == phaseWaiting {
		c.reads.Cut() // it may have come with the last request
	}
}

// sound finds out whether a client that has closed its half of the connection has gone, or waits for its response: it is sent the
// first byte of that, which is always the same, and one that has gone resets the connection. Once the response has begun, that takes
// until there is more of it to send: who closes it late has gone. The mutex is held.
func (c *clientConn) sound() {
	switch {
	case c.current == nil || c.phase != phaseServing:
	case c.begun:
		if time.Since(c.current.exchange.began) > halfCloseTime {
			c.end(errClientGone)
		}
	case !c.ahead && c.idle != nil && c.secure == nil:
		c.ahead = netio.TryWrite(c.idle.Raw(), []byte(wire.StatusLine[:1]))
	}
}

// beginSending notes that some of a response is sent, and returns how much of that went ahead.
func (c *clientConn) beginSending() (sent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead {
		sent = 1
	}
	c.begun, c.ahead = true, false
	return sent
}

func (c *clientConn) hasBegun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

// awaitResponse notes that the next thing to send is a response.
func (c *clientConn) awaitResponse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = false
	if c.halfClosed {
		c.sound()
	}
}

// errHTTP2 is a connection that begins as one of HTTP/2 does.
var errHTTP2 = errors.New("the client speaks HTTP/2")

// receive reads the head of the next request. The error is errHTTP2, a *refusal if there is something to answer, or that of the
// connection.
func (c *clientConn) receive() error {
	if err := c.await(); err != nil || c.parsed || c.closing {
		return err
	}
	c.acquireRequest()
	c.enter(phaseReading)
	r := &c.reader
	r.Discard(wire.SkipEmptyLine(r.Buffered()))
	for scanned, late := 0, false; ; {
		n, next, err := wire.HeadLength(r.Buffered(), scanned)
		switch {
		case !c.used.Load() && isPreface(r.Buffered()):
			if !c.secure.MaySpeak("h2") {
				return malformed(errors.New("the client has agreed on another protocol"))
			}
			return errHTTP2
		case err != nil:
			return malformed(err)
		case n > c.env.cfg.MaxHeaderBytes || n == 0 && len(r.Buffered()) > c.env.cfg.MaxHeaderBytes:
			return headTooLarge()
		case n > 0:
			return c.parse(n)
		}
		scanned = next
		if !late {
			late = true
			c.reads.Set(time.Now().Add(c.env.cfg.ReadHeaderTimeout))
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
	if !c.used.Swap(true) && !c.secure.MaySpeak("http/1.1") {
		return malformed(errors.New("the client has agreed on another protocol"))
	}
	s := c.current
	if err := s.req.Parse(c.reader.Buffered()[:n]); err != nil {
		return malformed(err)
	}
	c.reader.Discard(n)
	s.content.Reset(&c.reader, s.req.Framing(), c.env.cfg.MaxHeaderBytes)
	c.parsed = true
	return nil
}

// await waits for the first bytes of a request, without a buffer: most connections are idle. It serves requests itself that it can.
func (c *clientConn) await() error {
	if len(c.reader.Buffered()) > 0 {
		return nil // pipelined
	}
	if c.slept {
		c.slept = false
		c.reads.Set(c.idleEnd)
	} else {
		c.rest()
	}
	if c.idle == nil {
		return c.reader.Fill()
	}
	for {
		err := c.idle.Feed(c.feed)
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.reads.IsInterrupted() || !time.Now().Before(c.idleEnd) {
			return err
		}
		if c.fallAsleep() {
			return errAsleep
		}
		c.reads.Set(c.idleEnd)
	}
}

// rest makes the connection one that waits for a request, and reports whether one may come yet.
func (c *clientConn) rest() (mayCome bool) {
	c.reader.Release()
	c.releaseRequest()
	timeout := c.env.cfg.IdleTimeout
	if !c.used.Load() {
		timeout = c.env.cfg.ReadHeaderTimeout
	}
	end := time.Now().Add(timeout)
	c.reads.SetSome(end) // await goes on
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idleEnd = end
	c.begin(phaseWaiting)
	return !c.halfClosed && !c.gone
}

// feed takes what has come, serves the requests that are there with all of their content, and reports whether the next one is to be waited
// for: that takes no read which finds nothing, as it would to come back. Everything else is left to receive. So is the first request, and
// every one of a connection whose end nobody tells.
func (c *clientConn) feed(b []byte) (more bool) {
	c.reader.Feed(b)
	c.idle.Give()
	if !c.used.Load() || c.token == 0 {
		return false
	}
	for len(c.reader.Buffered()) > 0 {
		if !c.receiveWhole() {
			return false
		}
		if c.answer(); c.closing {
			return false
		}
	}
	return c.rest()
}

// receiveWhole takes a request if nothing of it has yet to come, and it stays one.
func (c *clientConn) receiveWhole() bool {
	c.acquireRequest()
	c.enter(phaseReading)
	r, s := &c.reader, c.current
	r.Discard(wire.SkipEmptyLine(r.Buffered()))
	n, _, err := wire.HeadLength(r.Buffered(), 0)
	if err != nil || n == 0 || n > c.env.cfg.MaxHeaderBytes || c.parse(n) != nil {
		return false
	}
	length, known := s.req.Framing().Length()
	return !s.req.Upgrade && (s.content.Done() || known && length <= int64(len(r.Buffered())))
}

// enter begins a phase.
func (c *clientConn) enter(p phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin(p)
}

// begin does that. A gateway that stops has closed the idle connections, and closes one that becomes idle. The mutex is held.
func (c *clientConn) begin(p phase) {
	c.phase = p
	if p == phaseWaiting && c.used.Load() && c.env.stopping.Load() && !c.env.lasting.Load() {
		c.closeRead()
	}
}

// answer serves the request that was received.
func (c *clientConn) answer() {
	c.parsed = false
	s := c.current
	x := &s.exchange
	s.begin()
	x.origin.protocol = "HTTP/1.1"
	if s.req.Minor == 0 {
		x.origin.protocol = "HTTP/1.0"
	}
	c.linger = maxLinger
	c.resume(phaseServing)
	if c.wentAway() {
		x.interrupt(errClientGone)
	}
	c.awaitResponse()
	x.serve()
	if !c.closing {
		c.resume(phaseServing) // what ended the upload ends no more
		if s.rest > 0 {
			c.skipRest()
		}
	}
	c.closing = c.closing || !s.req.KeepAlive || s.ragged || !s.content.Done()
}

// resume begins a phase in which the connection is read, whatever was interrupted before.
func (c *clientConn) resume(p phase) {
	c.enter(p)
	c.reads.Resume()
}

// skipRest reads the rest of a request that was answered early, so that the next one can be read, as the client was told.
func (c *clientConn) skipRest() {
	c.reads.Set(time.Now().Add(maxLinger))
	_, _ = io.Copy(io.Discard, &c.current.content) // if it breaks off, no request follows
}

func (c *clientConn) wentAway() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// reject answers what is no request, if the error is a refusal.
func (c *clientConn) reject(err error) {
	c.closing, c.linger = true, 0
	var r *refusal
	if !errors.As(err, &r) {
		return
	}
	c.linger = lingerTime
	c.acquireRequest()
	s := c.current
	s.req = wire.Request{Minor: 1, Method: []byte(http.MethodGet), ContentLength: -1}
	s.begin()
	_ = c.SetWriteDeadline(time.Now().Add(lingerTime))
	s.exchange.reject(r)
}

// close closes the connection, so that the client can read what was sent.
func (c *clientConn) close() {
	defer c.Conn.Close()
	c.env.hangups.Unwatch(c.token)
	c.releaseRequest()
	c.reader.Discard(len(c.reader.Buffered()))
	c.reader.Release()
	if c.linger > 0 && c.idle != nil && !c.wentAway() {
		c.resume(phaseClosing)
		netio.Linger(c.Conn, c.idle, &c.reads, lingerTime, c.linger)
	}
}

// breakOff ends the connection so that the client does not take the end for one: over TLS nothing says that there is one.
func (c *clientConn) breakOff() {
	c.linger = 0
	under := c.Conn
	if c.secure != nil {
		under = c.secure.Under()
		defer under.Close()
	}
	if tcp, ok := under.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// adopt makes it a connection on which another gateway has read a request and sent the head of the response, so that it is a tunnel.
func (c *clientConn) adopt(req *wire.Request) (*exchange, *rawClient) {
	c.used.Store(true)
	c.acquireRequest()
	s := c.current
	s.req = *req
	s.begin()
	s.exchange.lifetime.respond()
	c.beginSending()
	return &s.exchange, s.hijack()
}
