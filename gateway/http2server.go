package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	stdlog "log"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/gateway/netio"
)

const (
	// streamsPerConn are the most requests at once of one connection. A proxy brings those of many clients.
	streamsPerConn        = 100
	streamsPerTrustedConn = 250
	// http2WriteTimeout is how long a client may take nothing of what is there for it.
	http2WriteTimeout = 30 * time.Second
	// http2PingTime is how long a client may send nothing before it is asked whether it is there, and http2PingTimeout how long it
	// has to say so: it may have to read much before.
	http2PingTime    = time.Minute
	http2PingTimeout = 30 * time.Second
	// What is kept of requests that their instances read too slowly, and of a frame that has not arrived whole.
	http2StreamBuffer = 256 << 10
	http2ConnBuffer   = 512 << 10
	http2MaxFrame     = 16 << 10
	// unsentMost is how much may wait in the kernel to be sent: so a slow client is seen to read, and what ends one stream is soon
	// on its way, though others have sent much.
	unsentMost = 128 << 10
)

// http2Server serves the connections of clients that speak HTTP/2 with prior knowledge, as those of gRPC do.
type http2Server struct {
	proxy   *proxy
	crowd   *crowd
	trusted handedServer
	others  handedServer

	mu      sync.Mutex
	running map[*exchange]struct{}
}

// handedServer serves connections that were accepted elsewhere.
type handedServer struct {
	server *http.Server
	conns  handedListener
}

func newHTTP2Server(cfg *Config, p *proxy, all *crowd, errorLog *stdlog.Logger) *http2Server {
	h := &http2Server{proxy: p, crowd: all, running: make(map[*exchange]struct{})}
	for s, streams := range map[*handedServer]int{&h.trusted: streamsPerTrustedConn, &h.others: streamsPerConn} {
		s.conns = handedListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		s.server = h.newServer(cfg, streams, errorLog)
	}
	return h
}

func (h *http2Server) newServer(cfg *Config, streams int, errorLog *stdlog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:   h,
		Protocols: &protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: streams, WriteByteTimeout: http2WriteTimeout,
			SendPingTimeout: http2PingTime, PingTimeout: http2PingTimeout,
			MaxReceiveBufferPerStream: http2StreamBuffer, MaxReceiveBufferPerConnection: http2ConnBuffer, MaxReadFrameSize: http2MaxFrame,
		},
		ReadHeaderTimeout:            cfg.ReadHeaderTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		MaxHeaderBytes:               cfg.MaxHeaderBytes,
		ErrorLog:                     errorLog,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the app's to answer
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, handedKey{}, c)
		},
	}
}

// Run serves until the server is shut down.
func (h *http2Server) Run() error {
	return h.both(func(s *handedServer) error {
		if err := s.server.Serve(&s.conns); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}

// shutdown accepts nothing more, and waits until nothing is left or the context ends.
func (h *http2Server) shutdown(ctx context.Context) error {
	return h.both(func(s *handedServer) error { return s.server.Shutdown(ctx) })
}

// close closes what is left.
func (h *http2Server) close() {
	h.trusted.server.Close()
	h.others.server.Close()
}

// both calls do with both servers at once.
func (h *http2Server) both(do func(*handedServer) error) error {
	var group errgroup.Group
	group.Go(func() error { return do(&h.trusted) })
	group.Go(func() error { return do(&h.others) })
	return group.Wait()
}

type handedKey struct{}

// serve hands a connection over and returns when that is closed.
func (h *http2Server) serve(c *clientConn) {
	c.releaseRequest()
	c.enter(phaseServing)
	_ = c.SetDeadline(time.Time{}) // from now on they are the server's
	limitUnsent(c.Conn)
	conn := &handedConn{Conn: c.Conn, read: c.reader.Buffered(), origin: c.origin, closed: make(chan struct{})}
	conn.origin.protocol = "HTTP/2.0"
	to := &h.others
	if conn.origin.trusted {
		to = &h.trusted
	}
	if !to.conns.hand(conn) {
		turnAway(c.Conn)
		return
	}
	<-conn.closed
}

// limitUnsent has writes wait when unsentMost is not sent, instead of when the buffer of the connection is full, which may be much
// later.
func limitUnsent(c net.Conn) {
	of, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := of.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // there is no such thing on a unix socket
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost)
		})
	}
}

// goneAway is an empty SETTINGS frame and a GOAWAY frame: no request was taken, so each may be sent again elsewhere.
const goneAway = "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"

// turnAway ends a connection that brings its first request when HTTP/2 is not served here any more.
func turnAway(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(lingerTime))
	if _, err := io.WriteString(c, goneAway); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c, lingerContent)
	}
}

// handedConn is a connection whose first bytes were read already.
type handedConn struct {
	net.Conn
	read    []byte
	origin  origin
	streams atomic.Int32 // that count; the crowd's mutex is held for changes
	once    sync.Once
	closed  chan struct{}
}

func (c *handedConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// acked is how much the client's machine has got.
func (c *handedConn) acked() int64 {
	of, ok := c.Conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := of.SyscallConn()
	if err != nil {
		return 0
	}
	return netio.Acked(raw)
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
	conn := r.Context().Value(handedKey{}).(*handedConn)
	s := newClientStream(h.proxy, w, r, conn)
	defer s.release()
	x := &s.exchange
	x.begin(s.request())
	if refused := h.crowd.admitStream(conn); refused != nil {
		x.reject(refused)
		return
	}
	defer h.crowd.removeStream(conn)
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
