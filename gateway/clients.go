package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// silence is how long a new connection may send nothing when the gateway stops.
	silence = 500 * time.Millisecond
	// acceptPause is waited for when no connection can be accepted, mostly because there are no file descriptors left.
	acceptPause = 50 * time.Millisecond
)

// clients are the open connections of clients. When the gateway stops, none of their requests may be lost: each connection
// is served until it is known that it brings no request any more. Of one that waits for a request the direction from the
// client is closed, so that what has arrived by then is still read and answered. A request that is on its way in that moment
// is lost nevertheless. So a gateway that has handed over, for which nobody waits, closes no connection that it would not have
// closed otherwise: the answer to the next request says that it was the last one.
type clients struct {
	gateway  *Gateway
	stopping atomic.Bool
	lasting  atomic.Bool // connections that are idle stay until they bring a request or their time is over
	// accepting are the loops that accept. Only after them is it known which connections there are.
	accepting sync.WaitGroup
	serving   sync.WaitGroup

	mu       sync.Mutex
	conns    map[*clientConn]struct{}
	admitted int // of them
	perAddr  map[netip.Addr]int
}

func newClients(g *Gateway) *clients {
	return &clients{gateway: g, conns: make(map[*clientConn]struct{}), perAddr: make(map[netip.Addr]int)}
}

// accept serves the connections of a listener until that is closed.
func (k *clients) accept(listener net.Listener) error {
	defer k.accepting.Done()
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			k.take(conn)
		case k.stopping.Load():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", listener.Addr(), err)
		default:
			k.gateway.log.Error("accept a connection: trying again", "err", err)
			time.Sleep(acceptPause)
		}
	}
}

// take serves a connection, or refuses it if there are too many.
func (k *clients) take(conn net.Conn) {
	c := newClientConn(k.gateway, conn)
	refused := k.admit(c)
	k.serving.Add(1)
	go func() {
		defer k.serving.Done()
		defer k.leave(c)
		if refused != nil {
			c.reject(refused)
			c.close()
			return
		}
		if !c.serve() {
			k.gateway.http2.serve(c)
		}
	}()
}

// admit says why a connection is refused, if it is. Those that are refused do not count: they would keep out others by
// coming again and again.
func (k *clients) admit(c *clientConn) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns[c] = struct{}{}
	counted := k.isCounted(c)
	cfg := &k.gateway.cfg
	switch {
	case k.admitted >= cfg.MaxConnections:
		return tooManyConnections()
	case counted && k.perAddr[c.origin.addr] >= cfg.MaxConnectionsPerAddress:
		return tooManyOfAddress()
	}
	c.admitted = true
	k.admitted++
	if counted {
		k.perAddr[c.origin.addr]++
	}
	return nil
}

// isCounted says whether a connection stands for its address, and not for many clients behind it.
func (k *clients) isCounted(c *clientConn) bool {
	return k.gateway.cfg.MaxConnectionsPerAddress > 0 && !c.origin.trusted
}

func (k *clients) leave(c *clientConn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
	if !c.admitted {
		return
	}
	k.admitted--
	if !k.isCounted(c) {
		return
	}
	if k.perAddr[c.origin.addr]--; k.perAddr[c.origin.addr] == 0 {
		delete(k.perAddr, c.origin.addr)
	}
}

// count is how many connections there are.
func (k *clients) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.conns)
}

// stop accepts nothing more, and waits until each connection has brought the request that it was opened for or is closed.
// Requests may run still.
func (k *clients) stop(ctx context.Context) {
	k.stopping.Store(true)
	for _, listener := range k.gateway.cfg.Listeners {
		listener.Close()
	}
	k.accepting.Wait()
	for k.dismiss() && ctx.Err() == nil {
		sleep(ctx, 5*time.Millisecond)
	}
}

// hurry ends the connections that are idle.
func (k *clients) hurry() {
	k.lasting.Store(false)
	k.dismiss()
}

// dismiss ends the connections over which no request comes, and says whether there are some left that may bring one.
func (k *clients) dismiss() (left bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		left = c.dismiss() || left
	}
	return left
}

// dismiss says whether a request may come yet.
func (c *clientConn) dismiss() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase != waiting:
	case c.gateway.clients.lasting.Load() && (c.used.Load() || time.Since(c.accepted) >= silence):
		return false
	case c.used.Load() || time.Since(c.accepted) >= silence:
		c.closeRead()
	}
	return c.phase == waiting || c.phase == reading
}

// closeRead lets the connection read what has arrived already, and then the end.
func (c *clientConn) closeRead() {
	if half, ok := c.Conn.(interface{ CloseRead() error }); ok {
		_ = half.CloseRead() // it may be closed already
	}
}

// cut ends all requests.
func (k *clients) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.interrupt(errShutdown)
		c.interruptRead()
	}
}

// wait waits until no connection is left. It reports false if the context ended before.
func (k *clients) wait(ctx context.Context) bool {
	for k.count() > 0 {
		if ctx.Err() != nil {
			return false
		}
		sleep(ctx, 5*time.Millisecond)
	}
	return true
}

// close closes all connections.
func (k *clients) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.Conn.Close()
	}
}
