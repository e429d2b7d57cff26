package gateway

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// silence is how long a new connection may send nothing when the gateway stops.
const silence = 500 * time.Millisecond

// clients are the open connections of clients. A net/http server that shuts down drops a request that it has just read, and
// closes an idle connection whether a request is on its way or not. So that no request is lost, it is told to only when
// none can come any more: of a connection that waits for one, the direction from the client is closed, so that what has
// arrived by then is still read and answered.
type clients struct {
	stopping atomic.Bool
	// accepting are the loops that accept. Only after them is it known which connections there are.
	accepting sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	conns     map[*clientConn]bool
}

func newClients(listeners []net.Listener) *clients {
	return &clients{listeners: listeners, conns: make(map[*clientConn]bool)}
}

// clientConn is the connection of a client.
type clientConn struct {
	net.Conn
	accepted time.Time
	state    atomic.Int32 // http.ConnState
	heard    atomic.Bool  // something came since the connection was accepted or idle
	serving  atomic.Bool  // a handler has the request
	http2    atomic.Bool
}

func (c *clientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.heard.Swap(true) && http.ConnState(c.state.Load()) == http.StateNew {
		c.http2.Store(bytes.HasPrefix(b[:n], []byte("PRI")))
	}
	return n, err
}

// CloseWrite ends the response while the request is still read: net/http and an upgraded connection need it.
func (c *clientConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// closeRead lets the server read what has arrived already, and then the end.
func (c *clientConn) closeRead() {
	if r, ok := c.Conn.(interface{ CloseRead() error }); ok {
		_ = r.CloseRead() // it may be closed already
	}
}

// waiting says whether the client is to send a request, or has sent one that no handler has yet. HTTP/2 has a message for it.
func (c *clientConn) waiting() bool { return !c.serving.Load() && !c.http2.Load() }

// dismiss ends a connection over which no request comes.
func (c *clientConn) dismiss() {
	patience := silence
	if http.ConnState(c.state.Load()) == http.StateIdle {
		patience = 0
	}
	if c.waiting() && !c.heard.Load() && time.Since(c.accepted) >= patience {
		c.closeRead()
	}
}

// clientListener makes the connections that it accepts known.
type clientListener struct {
	net.Listener
	clients *clients
}

func (l clientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &clientConn{Conn: conn, accepted: time.Now()}
	l.clients.mu.Lock()
	defer l.clients.mu.Unlock()
	l.clients.conns[c] = true
	return c, nil
}

// serve accepts until the listener is closed.
func (k *clients) serve(server *http.Server, listener net.Listener) error {
	defer k.accepting.Done()
	err := serve(server, clientListener{Listener: listener, clients: k})
	if k.stopping.Load() {
		return nil
	}
	return err
}

type clientKey struct{}

// context lets the handler find the connection.
func (k *clients) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, conn)
}

// handed notes that a handler has a request.
func (k *clients) handed(r *http.Request) {
	if c, ok := r.Context().Value(clientKey{}).(*clientConn); ok {
		c.serving.Store(true)
	}
}

// stateChanged is what the server calls.
func (k *clients) stateChanged(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*clientConn)
	if !ok {
		return
	}
	if state == http.StateIdle {
		c.heard.Store(false)
		c.serving.Store(false)
	}
	c.state.Store(int32(state))
	switch {
	case state == http.StateClosed || state == http.StateHijacked:
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.conns, c)
	case state == http.StateIdle && k.stopping.Load():
		c.dismiss()
	}
}

// stop accepts nothing more, and waits until each connection has brought the request that it was opened for or is closed.
// Requests may run still.
func (k *clients) stop(ctx context.Context) {
	k.stopping.Store(true)
	for _, listener := range k.listeners {
		listener.Close()
	}
	k.accepting.Wait()
	for k.dismiss() && ctx.Err() == nil {
		sleep(ctx, 5*time.Millisecond)
	}
}

// dismiss ends the connections over which no request comes, and says whether there are some left.
func (k *clients) dismiss() (left bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.dismiss()
		left = left || c.waiting()
	}
	return left
}
