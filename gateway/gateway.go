package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	stdlog "log"

	"github.com/fnctl/fnctl/platform"
)

// Config is what a gateway needs to know. Only the first group has no default.
type Config struct {
	// Paths says where routes and instance sockets are.
	Paths platform.Paths
	// Host returns the host name, in lower case and without port, at which the platform lets a function be reached.
	Host func(function string) string
	// Listeners take the requests of clients. They are closed when Run's context ends; what systemd holds besides stays.
	Listeners []net.Listener
	// Status takes requests for the metrics and the health of the gateway itself. There may be none.
	Status []net.Listener

	// Predecessor is the gateway whose place this one takes. Listeners and Status are its sockets then. There may be none.
	Predecessor *Predecessor
	// Serving is called once the gateway accepts. It may take its time; an error ends the gateway.
	Serving func() error

	// Logger is slog.Default() if nil.
	Logger *slog.Logger
	// Registry gets the metrics. A new one is made if nil.
	Registry *prometheus.Registry
	// AccessLog is told of each request that has ended. Nobody is if nil.
	AccessLog AccessLog
	// MaxQueue is how many requests may wait for instances of one revision that says nothing else. Default 1,000.
	MaxQueue int
	// MaxBuffered bounds the memory of the requests that wait, all together, in bytes. Default 64 MiB.
	MaxBuffered int64
	// MaxConnections bounds the connections of clients. Default 32,768.
	MaxConnections int
	// MaxConnectionsPerAddress bounds those of one address that is not trusted. Default 0: no limit.
	MaxConnectionsPerAddress int
	// TrustedProxies are the addresses whose word on where a request comes from is believed.
	TrustedProxies []netip.Prefix
	// DrainTimeout bounds how long Run waits for requests in flight after its context ended. Default 90 s.
	DrainTimeout time.Duration
	// ReadHeaderTimeout bounds the time in which a client sends the head of a request. Default 10 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long an idle connection of a client is kept. Default 75 s.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the head of a request. Default 64 KiB.
	MaxHeaderBytes int
}

func (c Config) withDefaults() Config {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	c.MaxQueue = cmp.Or(c.MaxQueue, 1000)
	c.MaxBuffered = cmp.Or(c.MaxBuffered, 64<<20)
	c.MaxConnections = cmp.Or(c.MaxConnections, 32<<10)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 90*time.Second)
	c.ReadHeaderTimeout = cmp.Or(c.ReadHeaderTimeout, 10*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 75*time.Second)
	c.MaxHeaderBytes = cmp.Or(c.MaxHeaderBytes, 64<<10)
	return c
}

// Gateway is the data path.
type Gateway struct {
	cfg       Config
	log       *slog.Logger
	serverLog *stdlog.Logger
	hangups   *hangups
	crew      *crew
	fleet     *fleet
	routes    *routes
	sockets   *sockets
	failures  *failures
	metrics   *metrics
	clients   *clients
	http2     *http2
	buffers   *bufferPool
	pipes     pipes
	date      clock

	succession *succession
}

// New makes a gateway. It starts nothing and reads nothing; Run does.
func New(cfg Config) (*Gateway, error) {
	if cfg.Host == nil || len(cfg.Listeners) == 0 {
		return nil, errors.New("gateway: a host pattern and a listener are needed")
	}
	cfg = cfg.withDefaults()
	hangups, err := newHangups()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg:       cfg,
		log:       cfg.Logger,
		serverLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
		hangups:   hangups,
		crew:      newCrew(),
		metrics:   newMetrics(),
		buffers:   newBufferPool(),

		succession: newSuccession(),
	}
	g.fleet = newFleet(cfg, hangups, g.crew, g.metrics)
	g.routes = newRoutes(cfg, g.fleet)
	g.sockets = &sockets{paths: cfg.Paths, fleet: g.fleet, log: cfg.Logger}
	g.failures = newFailures(cfg, g.fleet)
	g.clients = newClients(g)
	g.http2 = newHTTP2(g)
	if err := g.metrics.register(cfg.Registry, &collector{fleet: g.fleet, routes: g.routes, clients: g.clients}); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return g, nil
}

// Run serves until the context ends or another gateway takes its place, then finishes what is in flight, for DrainTimeout at
// most, and joins everything that it started. It returns nil after an orderly stop, also if some requests had to be cut.
func (g *Gateway) Run(ctx context.Context) error {
	// Routes, instances, provers and metrics are needed until the last request is done.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, work := errgroup.WithContext(work)
	group.Go(func() error { return g.hangups.Run(work) })
	group.Go(func() error { return g.crew.Run(work) })
	group.Go(func() error { return g.fleet.listen(work) })
	routes := g.routes.follower()
	g.sockets.Resync()
	routes.Resync()
	for _, follower := range []platform.Follower{g.sockets, g.failures, routes} {
		group.Go(func() error { return platform.Follow(work, follower, g.log) })
	}
	group.Go(g.http2.Run)
	status := g.newStatus()
	err := g.serve(ctx, work, group, status)
	if g.succession.isDismissed() {
		g.log.Info("another gateway has taken over: this one finishes what it has")
		group.Go(func() error { return g.leave(status) })
		defer context.AfterFunc(ctx, g.clients.hurry)()
		defer time.AfterFunc(g.cfg.DrainTimeout-time.Second, g.clients.hurry).Stop()
	}
	g.drain()
	g.cut()
	stop()
	status.Close()
	return errors.Join(err, group.Wait())
}

// serve accepts until it is time to drain.
func (g *Gateway) serve(ctx, work context.Context, group *errgroup.Group, status *http.Server) error {
	var from *predecessor
	if before := g.cfg.Predecessor; before != nil {
		from = g.fleet.attend(before.conn, before.in)
		if err := g.takeOver(work, from); err != nil {
			return err
		}
	}
	for _, listener := range g.cfg.Status {
		group.Go(func() error { return serve(status, listener) })
	}
	for _, listener := range g.cfg.Listeners {
		g.clients.accepting.Add(1)
		group.Go(func() error { return g.clients.accept(listener) })
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

// announce says that the gateway serves, and lets its predecessor go when that is known, or this gateway ends with it.
func (g *Gateway) announce(from *predecessor) error {
	if from != nil {
		defer from.tell(func(m *fromSuccessor) { m.Release = true })
	}
	if g.cfg.Serving == nil {
		return nil
	}
	return g.cfg.Serving()
}

// leave ends the status: whoever asks from now on, asks the successor.
func (g *Gateway) leave(status *http.Server) error {
	moment, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if status.Shutdown(moment) != nil {
		status.Close()
	}
	return nil
}

// drain stops accepting and waits for what is in flight, here and in the gateways before this one. A gateway that was
// dismissed also waits until it may end.
func (g *Gateway) drain() {
	deadline, cancel := context.WithTimeout(context.Background(), g.cfg.DrainTimeout)
	defer cancel()
	if !g.succession.isDismissed() {
		g.fleet.predecessors.hurry()
	}
	g.clients.stop(deadline)
	g.fleet.concludeStreams()
	if err := g.http2.server.Shutdown(deadline); err != nil || !g.clients.wait(deadline) {
		g.log.Warn("requests are cut", "connections", g.clients.count())
	}
	g.fleet.predecessors.wait(deadline)
	if g.succession.isDismissed() {
		select {
		case <-deadline.Done():
		case <-g.succession.released:
		}
	}
}

// cut ends what the drain did not, and leaves it a moment to say so.
func (g *Gateway) cut() {
	moment, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	g.clients.cut()
	g.http2.cut()
	if g.http2.server.Shutdown(moment) != nil {
		g.http2.server.Close()
	}
	g.clients.wait(moment)
	g.clients.close()
	g.clients.serving.Wait()
	g.fleet.close()
	g.pipes.close()
}

// dispatch sends a request where it belongs.
func (g *Gateway) dispatch(x *exchange) {
	t, refused := g.route(x)
	if refused != nil {
		g.metrics.refused(refused.code)
		x.tell(refused)
		x.record(time.Now(), "")
		return
	}
	x.serve(t)
}

// route finds out where a request goes.
func (g *Gateway) route(x *exchange) (t *target, refused *refusal) {
	if x.method == http.MethodConnect {
		return nil, noTunnel()
	}
	if !isPath(x.method, x.req.Path) { // HTTP/2 lets everything be one
		return nil, badPath()
	}
	host, ok := parseHost(x.origin.lastHost(x.req.Host))
	if !ok {
		return nil, badHost()
	}
	x.host = host
	return g.fleet.find(host)
}

func serve(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return nil
}
