package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/platform"
)

// acceptPause is the time to the next attempt when no connection can be accepted, mostly because there are no file descriptors
// left.
const acceptPause = 50 * time.Millisecond

// clients are the open connections of clients. When the gateway stops, none of their requests may be lost: each connection
// is served until it is known that it brings no request any more. Of one that waits for a request the direction from the
// client is closed, so that what has arrived by then is still read and answered. A request that is on its way in that moment
// is lost nevertheless. So a gateway that has handed over, whose end nothing waits for, closes no connection that it would not
// have closed otherwise: the answer to the next request says that it was the last one.
type clients struct {
	env   clientEnv
	http2 *http2Server
	// accepting are the loops that accept. Only after them is it known which connections there are.
	accepting sync.WaitGroup
	serving   sync.WaitGroup

	mu       sync.Mutex
	conns    map[*clientConn]struct{}
	admitted int // of them
	perAddr  map[netip.Addr]int
}

func newClients(cfg *Config, p *proxy, hangups *netio.Hangups, http2 *http2Server) *clients {
	return &clients{
		env:     clientEnv{cfg: cfg, proxy: p, hangups: hangups},
		http2:   http2,
		conns:   make(map[*clientConn]struct{}),
		perAddr: make(map[netip.Addr]int),
	}
}

// accept serves the connections of a listener until that is closed.
func (k *clients) accept(listener net.Listener) error {
	defer k.accepting.Done()
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			k.take(conn)
		case k.env.stopping.Load():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", listener.Addr(), err)
		default:
			k.env.cfg.Logger.Error("accept a connection: trying again", "err", err)
			time.Sleep(acceptPause)
		}
	}
}

// take serves a connection, or refuses it if there are too many.
func (k *clients) take(conn net.Conn) {
	c := newClientConn(&k.env, conn)
	refused := k.admit(c)
	k.serving.Add(1)
	go func() {
		defer k.serving.Done()
		defer k.remove(c)
		if refused != nil {
			c.reject(refused)
			c.close()
			return
		}
		if !c.serve() {
			k.http2.serve(c)
		}
	}()
}

// admit adds a connection, and returns why it is refused, if it is. Those that are refused do not count: they would keep out
// others by coming again and again.
func (k *clients) admit(c *clientConn) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns[c] = struct{}{}
	counted := k.isCounted(c)
	cfg := k.env.cfg
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

// isCounted reports whether a connection stands for its address, and not for many clients behind it.
func (k *clients) isCounted(c *clientConn) bool {
	return k.env.cfg.MaxConnectionsPerAddress > 0 && !c.origin.trusted
}

func (k *clients) remove(c *clientConn) {
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
	k.env.stopping.Store(true)
	for _, listener := range k.env.cfg.Listeners {
		listener.Close()
	}
	k.accepting.Wait()
	for k.closeIdle() && ctx.Err() == nil {
		platform.Sleep(ctx, 5*time.Millisecond)
	}
}

// keepIdle leaves the connections that are idle open when the gateway stops, until they bring a request or their time is over.
func (k *clients) keepIdle() { k.env.lasting.Store(true) }

// closeIdleNow closes them after all.
func (k *clients) closeIdleNow() {
	k.env.lasting.Store(false)
	k.closeIdle()
}

// closeIdle lets idle connections bring no further request, and reports whether there are some left that may bring one.
func (k *clients) closeIdle() (left bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		left = c.closeIfIdle() || left
	}
	return left
}

// interrupt ends all requests.
func (k *clients) interrupt() {
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
		platform.Sleep(ctx, 5*time.Millisecond)
	}
	return true
}

// close closes all connections, and waits for what serves them.
func (k *clients) close() {
	k.closeConns()
	k.serving.Wait()
	k.env.pipes.Close()
}

func (k *clients) closeConns() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.Conn.Close()
	}
}
