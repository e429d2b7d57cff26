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
	"github.com/fnctl/fnctl/gateway/secure"
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
	crowd *crowd
	http2 *http2Server
	// accepting are the loops that accept. Only after them is it known which connections there are.
	accepting sync.WaitGroup
	serving   sync.WaitGroup
}

func newClients(cfg *Config, p *proxy, guard *secure.Guard, hangups *netio.Hangups, all *crowd, http2 *http2Server) *clients {
	k := &clients{
		env:   clientEnv{crowd: all, cfg: cfg, proxy: p, guard: guard, hangups: hangups, conns: newConnSet()},
		crowd: all,
		http2: http2,
	}
	k.env.resume = k.resume
	return k
}

// accept serves the connections of a listener until that is closed.
func (k *clients) accept(listener net.Listener, make func(net.Conn) *clientConn) error {
	defer k.accepting.Done()
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			k.take(make(conn))
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

// The three kinds of connections: those without TLS, those over TLS, and those without that are told to come back over TLS.

func (k *clients) plain(conn net.Conn) *clientConn { return newClientConn(&k.env, conn) }

func (k *clients) secure(conn net.Conn) *clientConn {
	c := newClientConn(&k.env, conn)
	c.protect(k.env.guard)
	return c
}

func (k *clients) redirecting(conn net.Conn) *clientConn {
	c := newClientConn(&k.env, conn)
	c.origin.redirected = true
	return c
}

// take serves a connection, or refuses it if there are too many.
func (k *clients) take(c *clientConn) {
	refused := k.crowd.admit(c)
	if errors.Is(refused, errCrowded) {
		c.Conn.Close()
		return
	}
	k.env.conns.add(c)
	k.serving.Add(1)
	if refused != nil {
		go k.refuse(c, refused)
		return
	}
	go k.serve(c, c.serve)
}

// refuse tells a client why. One over TLS would have to be spoken to first, which costs more than a request.
func (k *clients) refuse(c *clientConn, reason error) {
	defer k.end(c)
	if c.secure == nil {
		c.reject(reason)
	}
	c.close()
}

// serve serves a connection until it is over or falls asleep.
func (k *clients) serve(c *clientConn, serve func() error) {
	switch err := serve(); {
	case errors.Is(err, errAsleep):
		return
	case errors.Is(err, errHTTP2):
		k.http2.serve(c)
	}
	k.end(c)
}

// resume serves a connection that was asleep.
func (k *clients) resume(c *clientConn) {
	k.env.conns.moveAwake(c)
	k.serve(c, c.serveOn)
}

// end ends what take or adopt began.
func (k *clients) end(c *clientConn) {
	k.remove(c)
	k.serving.Done()
}

// adopt adds a connection that another gateway has admitted, as take does with one that is new. It reports false if the gateway stops: its
// streams may have been concluded already.
func (k *clients) adopt(c *clientConn) bool {
	return k.env.conns.addIf(c, func() bool {
		if k.env.stopping.Load() {
			return false
		}
		k.serving.Add(1)
		return true
	})
}

func (k *clients) remove(c *clientConn) {
	k.crowd.remove(c)
	k.env.conns.remove(c)
}

// count is how many connections there are.
func (k *clients) count() int { return k.env.conns.count() }

// stop accepts nothing more, and waits until each connection has brought the request that it was opened for or is closed.
// Requests may run still.
func (k *clients) stop(ctx context.Context) {
	k.env.stopping.Store(true)
	for _, listener := range k.env.cfg.clientListeners() {
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
	k.env.conns.each(func(c *clientConn) { left = c.closeIfIdle() || left })
	return left
}

// interrupt ends all requests.
func (k *clients) interrupt() {
	k.env.conns.each(func(c *clientConn) {
		c.interrupt(errShutdown)
		c.reads.Interrupt()
		c.rouse()
	})
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
	k.env.conns.each(func(c *clientConn) {
		c.Conn.Close()
		c.rouse()
	})
}

// crowd counts what clients have at once, in total and by address: connections, and the requests of HTTP/2 that run on one beside
// another. So an address that may have ten connections may have ten requests at once, whatever its protocol.
type crowd struct {
	cfg *Config

	mu      sync.Mutex
	all     int // connections, and the streams besides the first one of each
	refused int // connections that are told so
	perAddr map[netip.Prefix]int
}

func newCrowd(cfg *Config) *crowd { return &crowd{cfg: cfg, perAddr: make(map[netip.Prefix]int)} }

// errCrowded means that there are too many connections even to tell each that there are.
var errCrowded = errors.New("too many connections are refused")

// admit counts a connection, and returns why it is refused, if it is: with a *refusal or errCrowded. Those that are refused keep out no
// others: they would by coming again and again.
func (k *crowd) admit(c *clientConn) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.isFull():
		return k.refuse(c, tooManyConnections())
	case k.hasEnough(&c.origin):
		return k.refuse(c, tooManyOfAddress())
	}
	c.admitted = true
	k.add(&c.origin, 1)
	return nil
}

// relocate counts a connection for the address of which a load balancer has said that it comes from there, and returns why it is refused, if
// it is.
func (k *crowd) relocate(c *clientConn, addr netip.Addr) *refusal {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.add(&c.origin, -1)
	c.origin.relocate(addr)
	defer k.add(&c.origin, 1)
	if k.hasEnough(&c.origin) {
		return tooManyOfAddress()
	}
	return nil
}

func (k *crowd) refuse(c *clientConn, reason *refusal) error {
	if k.refused >= max(k.cfg.MaxFiles/8, 1) {
		return errCrowded
	}
	k.refused++
	return reason
}

// adopt counts a connection that another gateway has admitted, however many there are.
func (k *crowd) adopt(c *clientConn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.admitted = true
	k.add(&c.origin, 1)
}

// remove ends what admit or adopt began, unless that returned errCrowded.
func (k *crowd) remove(c *clientConn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !c.admitted {
		k.refused--
		return
	}
	k.add(&c.origin, -1)
}

// admitStream counts a request of HTTP/2, and returns why it is refused, if it is.
func (k *crowd) admitStream(c *handedConn) *refusal {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.streams.Load() > 0 {
		switch {
		case k.isFull():
			return tooManyRequests()
		case k.hasEnough(&c.origin):
			return tooManyRequestsOfAddress()
		}
		k.add(&c.origin, 1)
	}
	c.streams.Add(1)
	return nil
}

// removeStream ends what admitStream began, if that did not refuse.
func (k *crowd) removeStream(c *handedConn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.streams.Add(-1) > 0 {
		k.add(&c.origin, -1)
	}
}

// isFull reports whether there is no room for more. A connection needs a file, and so does each stream, for what it asks of an instance. A
// quarter of the files is left for what connections ask, for those that are refused, and for everything else: so there is always one
// to accept with. A request that finds none waits until there is.
func (k *crowd) isFull() bool {
	return k.all >= min(k.cfg.MaxConnections, k.cfg.MaxFiles-k.cfg.MaxFiles/4)
}

// hasEnough reports whether an address has as much as it may have.
func (k *crowd) hasEnough(o *origin) bool {
	return k.isCounted(o) && k.perAddr[o.network()] >= k.cfg.MaxConnectionsPerAddress
}

func (k *crowd) add(o *origin, n int) {
	k.all += n
	if !k.isCounted(o) {
		return
	}
	from := o.network()
	if k.perAddr[from] += n; k.perAddr[from] == 0 {
		delete(k.perAddr, from)
	}
}

// isCounted reports whether a connection stands for its address, and not for many clients behind it.
func (k *crowd) isCounted(o *origin) bool {
	return k.cfg.MaxConnectionsPerAddress > 0 && !o.trusted
}
