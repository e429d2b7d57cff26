package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// http2 serves the connections of clients that speak HTTP/2 with prior knowledge, as those of gRPC do.
type http2 struct {
	gateway *Gateway
	server  *http.Server
	conns   handedListener

	mu      sync.Mutex
	running map[*exchange]struct{}
}

func newHTTP2(g *Gateway) *http2 {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	h := &http2{gateway: g, conns: handedListener{conns: make(chan net.Conn), closed: make(chan struct{})}, running: make(map[*exchange]struct{})}
	h.server = &http.Server{
		Handler:                      h,
		Protocols:                    &protocols,
		ReadHeaderTimeout:            g.cfg.ReadHeaderTimeout,
		IdleTimeout:                  g.cfg.IdleTimeout,
		MaxHeaderBytes:               g.cfg.MaxHeaderBytes,
		ErrorLog:                     g.serverLog,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the app's to answer
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, originKey{}, &c.(*handedConn).origin)
		},
	}
	return h
}

// Run serves until the server is shut down.
func (h *http2) Run() error {
	if err := h.server.Serve(&h.conns); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type originKey struct{}

// serve hands a connection over and returns when that is closed.
func (h *http2) serve(c *clientConn) {
	c.giveTurn()
	c.enter(serving)
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

// turnAway ends a connection that brings its first request when nobody serves HTTP/2 here any more.
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

// handedListener is a listener for connections that others have accepted.
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
func (h *http2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &clientStream{writer: w, in: r, control: http.NewResponseController(w)}
	from := *r.Context().Value(originKey{}).(*origin) // a copy, for streams run side by side
	x := &exchange{gateway: h.gateway, client: s, origin: &from}
	s.x = x
	x.begin(s.request())
	defer h.run(x)()
	stop := context.AfterFunc(r.Context(), func() { x.interrupt(errClientGone) })
	defer stop()
	if err := x.req.CheckLine(); err != nil {
		refused := malformed(err)
		h.gateway.metrics.refused(refused.code)
		x.tell(refused)
		return
	}
	h.gateway.dispatch(x)
	if s.aborted {
		panic(http.ErrAbortHandler)
	}
}

// run makes an exchange one that can be cut, until the result is called.
func (h *http2) run(x *exchange) (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[x] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.running, x)
	}
}

// cut ends all requests.
func (h *http2) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for x := range h.running {
		x.interrupt(errShutdown)
	}
}

// clientStream is a request of a client that speaks HTTP/2.
type clientStream struct {
	writer  http.ResponseWriter
	control *http.ResponseController
	in      *http.Request
	x       *exchange
	aborted bool
}

// request makes the request what one of HTTP/1 would be.
func (s *clientStream) request() *wire.Request {
	r := s.in
	req := &wire.Request{
		Method: []byte(r.Method), Target: []byte(r.RequestURI), Path: []byte(r.RequestURI), Host: []byte(r.Host), Minor: 1,
		ContentLength: r.ContentLength, KeepAlive: true, ExpectContinue: strings.EqualFold(r.Header.Get("Expect"), "100-continue"),
	}
	if req.ContentLength < 0 {
		req.Chunked = true
	} else if req.ContentLength == 0 && r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		req.ContentLength = -1
	}
	for name, values := range r.Header {
		for _, value := range values {
			req.Fields = append(req.Fields, wire.Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	return req
}

func (s *clientStream) Read(p []byte) (int, error) { return s.in.Body.Read(p) }

func (s *clientStream) trailer() []wire.Field { return fieldsOf(s.in.Trailer) }

func fieldsOf(h http.Header) (fields []wire.Field) {
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, wire.Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	return fields
}

// takeContent implements client. What has arrived is not known.
func (s *clientStream) takeContent(dst []byte) ([]byte, bool) { return dst, !s.x.content }

// A stream fails only with its connection, so there is no error that anybody could act on.

func (s *clientStream) setReadDeadline(t time.Time) { _ = s.control.SetReadDeadline(t) }
func (s *clientStream) interruptRead()              { _ = s.control.SetReadDeadline(past) }
func (s *clientStream) interruptWrite()             { _ = s.control.SetWriteDeadline(past) }

// inform implements client.
func (s *clientStream) inform(res *wire.Response) error {
	if res.Status == http.StatusContinue {
		return nil // the server sends it when the content is read
	}
	h := s.writer.Header()
	endToEnd(res.Fields, isOurResponseField, func(f wire.Field) { h.Add(string(f.Name), string(f.Value)) })
	s.writer.WriteHeader(res.Status)
	clear(h)
	return nil
}

// respond implements client.
func (s *clientStream) respond(a *answer) {
	_ = s.control.SetWriteDeadline(s.x.until())
	h := s.writer.Header()
	a.eachPassed(func(f wire.Field) { h.Add(string(f.Name), string(f.Value)) })
	h.Set(headerRequestID, a.id)
	if a.cold > 0 {
		h.Set(headerColdStart, a.coldText())
	}
	if a.cookie != "" {
		h.Add("Set-Cookie", a.cookie)
	}
	if a.length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(a.length, 10))
	}
	s.writer.WriteHeader(a.status)
}

// write implements client.
func (s *clientStream) write(buf []byte, n int) error {
	_, err := s.writer.Write(buf[wire.ChunkRoom : wire.ChunkRoom+n])
	return err
}

// A stream has no connection of its own.

func (s *clientStream) splices() bool                                { return false }
func (s *clientStream) splice(syscall.RawConn, int64) (int64, error) { return 0, nil }

// flush implements client.
func (s *clientStream) flush() error { return s.control.Flush() }

// finish implements client. The server sends the rest, and the trailer, when the handler returns.
func (s *clientStream) finish(trailer []wire.Field) error {
	h := s.writer.Header()
	for _, f := range trailer {
		h.Add(http.TrailerPrefix+string(f.Name), string(f.Value))
	}
	return nil
}

// abort implements client: the stream is reset, which the server does only of one that has begun.
func (s *clientStream) abort() {
	_ = s.control.Flush()
	s.aborted = true
}
