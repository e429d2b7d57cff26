package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// http2Preface begins a connection of HTTP/2 with prior knowledge (RFC 9113, section 3.4).
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	// http2ResponseBuffer bounds what is kept of a response that its client reads too slowly. One stream is as fast with it as with the
	// default, 4 MiB.
	http2ResponseBuffer = 128 << 10
	// settingsTimeout is how long a new connection to an instance takes one request only if the instance does not say how many it
	// takes.
	settingsTimeout = time.Second
	// stuckTimeout is how long an instance may take nothing of what is written to its connection. Whoever reads from it waits for that, too.
	stuckTimeout = 30 * time.Second
)

// http2Upstream has the connections to an instance that speaks HTTP/2 with prior knowledge. It sends each request once: the
// transport of net/http by itself would repeat some that the instance has read.
type http2Upstream struct {
	take      func(newContext func() context.Context, first byte) (*instanceConn, error)
	transport *http.Transport

	mu     sync.Mutex
	conns  []*http2Conn
	coming *http2Coming // nil: none
}

// http2Conn is a connection for many requests.
type http2Conn struct {
	*http.ClientConn
	conn *instanceConn
}

// http2Coming is a connection that is made for one request. Others wait until it is known how many it takes.
type http2Coming struct {
	conn  *http2Conn // nil: not there yet, or not at all
	left  atomic.Int32
	known chan struct{}
}

type prefacedConnKey struct{}

func newHTTP2Upstream(take func(newContext func() context.Context, first byte) (*instanceConn, error)) *http2Upstream {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http2Upstream{take: take, transport: &http.Transport{
		Protocols:              &protocols,
		DisableCompression:     true,
		IdleConnTimeout:        upstreamIdleTimeout,
		MaxResponseHeaderBytes: maxResponseHead,
		// The buffer of a whole connection stays as large as ever: slow streams would block the others.
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: http2ResponseBuffer, WriteByteTimeout: stuckTimeout},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return ctx.Value(prefacedConnKey{}).(net.Conn), nil
		},
	}}
}

// reserve returns a connection over which one more request is to go. The error wraps errDial, errPreface or errUntaken, or is the
// cause of the context's end.
func (u *http2Upstream) reserve(ctx context.Context) (*http2Conn, error) {
	for {
		c, coming, isOurs := u.lend()
		switch {
		case c != nil:
			return c, nil
		case isOurs:
			return u.connect(ctx, coming)
		}
		select {
		case <-coming.known:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// lend returns a connection that takes one more request, or else the one that is coming. isOurs is whether the caller has to make
// that.
func (u *http2Upstream) lend() (c *http2Conn, coming *http2Coming, isOurs bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.coming != nil && u.coming.isKnown() {
		if u.coming.conn != nil {
			u.conns = append(u.conns, u.coming.conn)
		}
		u.coming = nil
	}
	if i := slices.IndexFunc(u.conns, func(c *http2Conn) bool { return c.Reserve() == nil }); i >= 0 {
		return u.conns[i], nil, false
	}
	if u.coming != nil {
		return nil, u.coming, false
	}
	u.conns = slices.DeleteFunc(u.conns, (*http2Conn).closeIfSpent)
	u.coming = &http2Coming{known: make(chan struct{})}
	return nil, u.coming, true
}

// connect makes a connection, over which a request is to go at once.
func (u *http2Upstream) connect(ctx context.Context, coming *http2Coming) (*http2Conn, error) {
	coming.left.Store(2) // the connection, and what its instance says
	defer coming.step()
	settled := sync.OnceFunc(coming.step)
	conn, err := u.take(func() context.Context { return ctx }, http2Preface[0])
	if err != nil {
		settled()
		return nil, err
	}
	conn.shared.Store(true)
	time.AfterFunc(settingsTimeout, settled)
	prefaced := &prefacedConn{instanceConn: conn, settled: settled}
	streams, err := u.transport.NewClientConn(context.WithValue(ctx, prefacedConnKey{}, prefaced), "http", "instance:80")
	if err != nil {
		prefaced.Close()
		return nil, err
	}
	if err := streams.Reserve(); err != nil {
		streams.Close()
		return nil, fmt.Errorf("%w: %w", errUntaken, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	coming.conn = &http2Conn{ClientConn: streams, conn: conn}
	return coming.conn, nil
}

// close closes the connections. None has a request.
func (u *http2Upstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.coming != nil && u.coming.conn != nil {
		u.conns = append(u.conns, u.coming.conn)
	}
	for _, c := range u.conns {
		c.Close()
	}
	u.conns, u.coming = nil, nil
}

func (c *http2Coming) step() {
	if c.left.Add(-1) == 0 {
		close(c.known)
	}
}

func (c *http2Coming) isKnown() bool {
	select {
	case <-c.known:
		return true
	default:
		return false
	}
}

// closeIfSpent closes a connection that took no request although it has none.
func (c *http2Conn) closeIfSpent() bool {
	if c.InFlight() > 0 {
		return false
	}
	c.Close()
	return true
}

// roundTrip sends a request once. wrote is whether its head was written. The error wraps errUntaken if the instance provably has not
// taken the request; isGone is whether there was an error because the instance has gone, or is about to.
func (c *http2Conn) roundTrip(req *http.Request, wrote *atomic.Bool) (res *http.Response, isGone bool, err error) {
	res, err = c.RoundTrip(req)
	if err == nil {
		return res, false, nil
	}
	if reset := (streamError{}); errors.As(err, &reset) {
		return nil, false, reset.meaning()
	}
	closed := c.Err() != nil
	if leaves := saysItLeaves(err); leaves || closed && !wrote.Load() {
		return nil, true, fmt.Errorf("%w: %w", errUntaken, err)
	}
	return nil, closed, err
}

// saysItLeaves reports whether a request was sent after the last one that its instance took before it leaves. net/http tells that
// with texts only.
func saysItLeaves(err error) bool {
	text := err.Error()
	return text == "http2: Transport received Server's graceful shutdown GOAWAY" || text == "http2: client conn not usable"
}

// streamError is the error of a stream, with the fields by which that of net/http can be had with errors.As.
type streamError struct {
	StreamID, Code uint32
	Cause          error
}

// refusedStream is the code for a request of which nothing was processed (RFC 9113, section 8.7).
const refusedStream = 7

func (e streamError) Error() string {
	return fmt.Sprintf("the stream was reset with code %d: %v", e.Code, e.Cause)
}

// meaning is what the error means: what was wrong with the response, or else that the instance has reset the stream.
func (e streamError) meaning() error {
	var wrong *wire.Error
	switch {
	case e.Code == refusedStream:
		return fmt.Errorf("%w: %w", errUntaken, e)
	case errors.As(e.Cause, &wrong):
		return wrong
	case e.Cause == nil || e.Cause.Error() == "received from peer":
		return e
	case e.Cause.Error() == "http2: response header list larger than advertised limit":
		return errResponseHead
	default:
		return &wire.Error{Status: http.StatusBadGateway, Text: e.Cause.Error()}
	}
}

// prefacedConn is a connection whose first byte a probe may have sent.
type prefacedConn struct {
	*instanceConn
	begun   atomic.Bool
	looked  bool   // something has come: an instance begins with its SETTINGS
	settled func() // called when that has been taken in
}

func (c *prefacedConn) Read(p []byte) (int, error) {
	if c.looked {
		c.settled()
	}
	c.looked = true
	return c.instanceConn.Read(p)
}

func (c *prefacedConn) Write(p []byte) (int, error) {
	if c.begun.Swap(true) || len(p) == 0 {
		return c.write(p)
	}
	if err := c.begin(p); err != nil {
		return 0, fmt.Errorf("%w: %w", errPreface, err)
	}
	return len(p), nil
}

// Close implements net.Conn.
func (c *prefacedConn) Close() error {
	c.settled()
	return c.instanceConn.Close()
}
