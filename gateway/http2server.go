package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	stdlog "log"
)

// http2RequestLimits bound what is kept of requests that their instances read too slowly, and of a frame that has not arrived whole.
var http2RequestLimits = &http.HTTP2Config{MaxReceiveBufferPerStream: 256 << 10, MaxReceiveBufferPerConnection: 512 << 10, MaxReadFrameSize: 16 << 10}

// http2Server serves the connections of clients that speak HTTP/2 with prior knowledge, as those of gRPC do.
type http2Server struct {
	proxy  *proxy
	server *http.Server
	conns  handedListener

	mu      sync.Mutex
	running map[*exchange]struct{}
}

func newHTTP2Server(cfg *Config, p *proxy, errorLog *stdlog.Logger) *http2Server {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	h := &http2Server{proxy: p, conns: handedListener{conns: make(chan net.Conn), closed: make(chan struct{})}, running: make(map[*exchange]struct{})}
	h.server = &http.Server{
		Handler:                      h,
		Protocols:                    &protocols,
		ReadHeaderTimeout:            cfg.ReadHeaderTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		MaxHeaderBytes:               cfg.MaxHeaderBytes,
		HTTP2:                        http2RequestLimits,
		ErrorLog:                     errorLog,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the app's to answer
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, originKey{}, &c.(*handedConn).origin)
		},
	}
	return h
}

// Run serves until the server is shut down.
func (h *http2Server) Run() error {
	if err := h.server.Serve(&h.conns); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type originKey struct{}

// serve hands a connection over and returns when that is closed.
func (h *http2Server) serve(c *clientConn) {
	c.releaseState()
	c.enter(phaseServing)
	_ = c.SetDeadline(time.Time{}) // from now on they are the server's
	conn := &handedConn{Conn: c.Conn, read: c.reader.Buffered(), origin: c.origin, closed: make(chan struct{})}
	conn.origin.protocol = "HTTP/2.0"
	if !h.conns.hand(conn) {
		c.turnAway()
		return
	}
	<-conn.closed
}

// goneAway is an empty SETTINGS frame and a GOAWAY frame: no request was taken, so each may be sent again elsewhere.
const goneAway = "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"

// turnAway ends a connection that brings its first request when HTTP/2 is not served here any more.
func (c *clientConn) turnAway() {
	defer c.Conn.Close()
	_ = c.SetDeadline(time.Now().Add(lingerTime))
	if _, err := io.WriteString(c.Conn, goneAway); err != nil {
		return
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerContent)
	}
}

// handedConn is a connection whose first bytes were read already.
type handedConn struct {
	net.Conn
	read   []byte
	origin origin
	once   sync.Once
	closed chan struct{}
}

func (c *handedConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// Close implements net.Conn.
func (c *handedConn) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// handedListener is a listener for connections that were accepted elsewhere.
type handedListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// hand reports false if the listener is closed.
func (l *handedListener) hand(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.closed:
		return false
	}
}

// Accept implements net.Listener.
func (l *handedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *handedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *handedListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// ServeHTTP answers one request.
func (h *http2Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := *r.Context().Value(originKey{}).(*origin) // a copy, for streams run side by side
	s := newClientStream(h.proxy, w, r, &from)
	x := &s.exchange
	x.begin(s.request())
	defer h.track(x)()
	stop := context.AfterFunc(r.Context(), func() { x.interrupt(errClientGone) })
	defer stop()
	if err := x.req.Check(); err != nil {
		x.reject(malformed(err))
		return
	}
	x.serve()
	if s.aborted {
		panic(http.ErrAbortHandler)
	}
}

// track makes an exchange one that interrupt ends, until done is called.
func (h *http2Server) track(x *exchange) (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[x] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.running, x)
	}
}

// interrupt ends all requests.
func (h *http2Server) interrupt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for x := range h.running {
		x.interrupt(errShutdown)
	}
}
