package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/secure"
	"github.com/fnctl/fnctl/platform"
)

// maxOutlast bounds the life of a gateway that was dismissed: its requests may have a year.
const maxOutlast = 24 * time.Hour

// Gateway is the data path.
type Gateway struct {
	cfg        Config
	log        *slog.Logger
	hangups    *netio.Hangups
	group      *group
	fleet      *fleet
	routes     *routeFollower
	sockets    *socketFollower
	failures   *failureFollower
	clients    *clients
	http2      *http2Server
	succession *succession
	status     *http.Server
}

// New makes a gateway. It starts nothing and reads nothing; Run does.
func New(cfg Config) (*Gateway, error) {
	if cfg.Host == nil || len(cfg.Listeners) == 0 {
		return nil, errors.New("gateway: a host pattern and a listener are needed")
	}
	hangups, err := netio.NewHangups()
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg.withDefaults(), hangups: hangups, group: newGroup()}
	g.log = g.cfg.Logger
	metrics := newMetrics()
	g.fleet = newFleet(g.cfg, hangups, g.group, metrics)
	g.routes = newRouteFollower(g.cfg, g.fleet)
	g.sockets = &socketFollower{paths: g.cfg.Paths, fleet: g.fleet, log: g.log}
	g.failures = newFailureFollower(g.cfg, g.fleet)
	serverLog := slog.NewLogLogger(g.log.Handler(), slog.LevelDebug)
	p := &proxy{
		fleet: g.fleet, buffers: netio.NewBuffers(), metrics: metrics, via: newVia(g.cfg.Name),
		toTLS: newToTLS(&g.cfg),
		rate:  netio.Rate{Least: g.cfg.MinRate, Over: g.cfg.MinRateTime}, accessLog: g.cfg.AccessLog, log: g.log,
	}
	all := newCrowd(&g.cfg)
	g.http2 = newHTTP2Server(&g.cfg, p, all, serverLog)
	guard := &secure.Guard{Certificates: g.cfg.Certificates, Challenges: g.cfg.Challenges, Noted: metrics.handshake, Logger: g.log}
	g.clients = newClients(&g.cfg, p, guard, hangups, all, g.http2)
	g.succession = newSuccession(&g.cfg, g.group, g.fleet, g.clients)
	g.status = newStatus(&g.cfg, serverLog, g.fleet, g.succession)
	if err := metrics.register(g.cfg.Registry, &collector{fleet: g.fleet, routes: g.routes, clients: g.clients, certificates: g.cfg.Certificates}); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return g, nil
}

// Run serves until the context ends, then finishes what is in flight, for DrainTimeout at most; or until another gateway takes its
// place, then hands it what can be handed over and finishes the rest. It joins everything that it started. It returns nil after an
// orderly stop, also if some requests had to be interrupted.
func (g *Gateway) Run(ctx context.Context) error {
	// Routes, instances, provers and metrics are needed until the last request is done.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, work := errgroup.WithContext(work)
	group.Go(func() error { return g.hangups.Run(work) })
	group.Go(func() error { return g.group.Run(work) })
	group.Go(func() error { return g.fleet.checkReading(work) })
	group.Go(func() error { return g.clients.env.conns.run(work) })
	routes := g.routes.follower()
	followers := []platform.Follower{g.sockets, g.failures, routes}
	if len(g.cfg.Secure) > 0 {
		followers = append(followers, g.cfg.Certificates)
		g.cfg.Certificates.Resync()
	}
	g.sockets.Resync()
	routes.Resync()
	for _, follower := range followers {
		group.Go(func() error { return platform.Follow(work, follower, g.log) })
	}
	group.Go(g.http2.Run)
	err := g.serve(ctx, work, group)
	if g.succession.isDismissed() {
		g.log.Info("another gateway has taken over: this one finishes what it has")
		g.outlast(ctx, work, group)
	} else {
		g.drain()
	}
	g.interrupt()
	stop()
	g.status.Close()
	return errors.Join(err, group.Wait())
}

// serve accepts until it is time to drain.
func (g *Gateway) serve(ctx, work context.Context, group *errgroup.Group) error {
	var from *predecessorLink
	if before := g.cfg.Predecessor; before != nil {
		from = listenTo(before.conn, before.in, g.fleet)
		if err := from.takeOver(work); err != nil {
			return err
		}
	}
	for _, listener := range g.cfg.Status {
		group.Go(func() error { return serveStatus(g.status, listener) })
	}
	for _, from := range []struct {
		listeners []net.Listener
		kind      func(net.Conn) *clientConn
	}{{g.cfg.Listeners, g.clients.plain}, {g.cfg.Secure, g.clients.secure}, {g.cfg.Redirecting, g.clients.redirecting}} {
		for _, listener := range from.listeners {
			g.clients.accepting.Add(1)
			group.Go(func() error { return g.clients.accept(listener, from.kind) })
		}
	}
	announced := make(chan error, 1)
	group.Go(func() error {
		announced <- g.announce(from)
		return nil
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-work.Done(): // something failed
			return nil
		case <-g.succession.dismissed:
			return nil
		case err := <-announced:
			if err != nil {
				return err
			}
		}
	}
}

// announce calls Serving, and lets the predecessor end after that, or with this gateway if it fails.
func (g *Gateway) announce(from *predecessorLink) error {
	if from != nil {
		defer from.release()
	}
	if g.cfg.Serving == nil {
		return nil
	}
	return g.cfg.Serving()
}

// shutdownStatus ends the status of a gateway that has handed over: its successor answers from now on.
func (g *Gateway) shutdownStatus() {
	moment, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if g.status.Shutdown(moment) != nil {
		g.status.Close()
	}
}

// drain stops accepting and waits for what is in flight, here and in the gateways before this one, for DrainTimeout at most.
func (g *Gateway) drain() {
	deadline, cancel := context.WithTimeout(context.Background(), g.cfg.DrainTimeout)
	defer cancel()
	g.fleet.predecessors().closeIdle()
	g.clients.stop(deadline)
	g.fleet.concludeStreams()
	g.wait(deadline)
}

// outlast is what a gateway does that was dismissed. It hands its tunnels over. Nothing waits for its end, so that what else it has
// may take its own time, for maxOutlast at most. But if its successor has to end, it has to hurry, too.
func (g *Gateway) outlast(ctx, work context.Context, group *errgroup.Group) {
	group.Go(func() error {
		g.shutdownStatus()
		g.succession.moveTunnels(work)
		return nil
	})
	deadline, cut := context.WithTimeout(context.Background(), maxOutlast)
	defer cut()
	group.Go(func() error {
		g.hurry(deadline, work, cut)
		return nil
	})
	defer context.AfterFunc(ctx, g.succession.hurry)()
	defer time.AfterFunc(g.cfg.DrainTimeout-time.Second, g.clients.closeIdleNow).Stop()
	g.clients.stop(deadline)
	g.wait(deadline)
	select {
	case <-deadline.Done():
	case <-g.succession.released:
	}
}

// hurry concludes the streams and moves the deadline to DrainTimeout from then on, once the end of this gateway is waited for.
func (g *Gateway) hurry(deadline, work context.Context, cut func()) {
	select {
	case <-deadline.Done():
		return
	case <-work.Done(): // something failed
	case <-g.succession.hurried:
	}
	g.clients.closeIdleNow()
	g.fleet.concludeStreams()
	platform.Sleep(deadline, g.cfg.DrainTimeout)
	cut()
}

// wait waits until the last request has ended, here and, for DrainTimeout at most, in the gateways before this one: they find
// the one that serves if this one ends before them.
func (g *Gateway) wait(deadline context.Context) {
	if err := g.http2.shutdown(deadline); err != nil || !g.clients.wait(deadline) {
		g.log.Warn("requests are cut", "connections", g.clients.count())
	}
	deadline, cancel := context.WithTimeout(deadline, g.cfg.DrainTimeout)
	defer cancel()
	g.fleet.predecessors().wait(deadline)
}

// interrupt ends the requests that the drain has left, and gives them a moment to tell their clients.
func (g *Gateway) interrupt() {
	moment, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	g.clients.interrupt()
	g.http2.interrupt()
	if g.http2.shutdown(moment) != nil {
		g.http2.close()
	}
	g.clients.wait(moment)
	g.clients.close()
	g.fleet.close()
}
