package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
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

	// Logger is slog.Default() if nil.
	Logger *slog.Logger
	// Registry gets the metrics. A new one is made if nil.
	Registry *prometheus.Registry
	// MaxQueue is how many requests may wait for instances of one revision. Default 1,000.
	MaxQueue int
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
	crew      *crew
	fleet     *fleet
	routes    *routes
	sockets   *sockets
	metrics   *metrics
	clients   *clients
	buffers   *bufferPool
	handling  atomic.Int64 // requests, upgraded ones too
}

// New makes a gateway. It starts nothing and reads nothing; Run does.
func New(cfg Config) (*Gateway, error) {
	if cfg.Host == nil || len(cfg.Listeners) == 0 {
		return nil, errors.New("gateway: a host pattern and a listener are needed")
	}
	cfg = cfg.withDefaults()
	g := &Gateway{
		cfg:       cfg,
		log:       cfg.Logger,
		serverLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
		crew:      newCrew(),
		metrics:   newMetrics(),
		clients:   newClients(cfg.Listeners),
		buffers:   newBufferPool(),
	}
	g.fleet = newFleet(cfg, g.crew, g.metrics)
	g.routes = newRoutes(cfg, g.fleet)
	g.sockets = &sockets{paths: cfg.Paths, fleet: g.fleet, log: cfg.Logger}
	if err := g.metrics.register(cfg.Registry, &collector{fleet: g.fleet, routes: g.routes}); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return g, nil
}

// Run serves until the context ends, then finishes what is in flight, for DrainTimeout at most, and joins everything that
// it started. It returns nil after an orderly stop, also if some requests had to be cut.
func (g *Gateway) Run(ctx context.Context) error {
	// Routes, instances, provers and metrics are needed until the last request is done.
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	group, work := errgroup.WithContext(work)
	group.Go(func() error { return g.crew.Run(work) })
	routes := g.routes.follower()
	g.sockets.Resync()
	routes.Resync()
	group.Go(func() error { return platform.Follow(work, g.sockets, g.log) })
	group.Go(func() error { return platform.Follow(work, routes, g.log) })
	status := g.serveStatus(group)
	server := g.newServer(work)
	for _, listener := range g.cfg.Listeners {
		g.clients.accepting.Add(1)
		group.Go(func() error { return g.clients.serve(server, listener) })
	}
	select {
	case <-ctx.Done():
	case <-work.Done(): // something failed
	}
	g.drain(server)
	stop(errShutdown)
	g.cut(server)
	status.Close()
	return group.Wait()
}

// drain stops accepting and waits for what is in flight.
func (g *Gateway) drain(server *http.Server) {
	deadline, cancel := context.WithTimeout(context.Background(), g.cfg.DrainTimeout)
	defer cancel()
	g.clients.stop(deadline)
	if err := server.Shutdown(deadline); err != nil {
		g.log.Warn("requests are cut", "err", err)
		return
	}
	if !g.idle(deadline) { // upgraded connections are not the server's any more
		g.log.Warn("upgraded connections are cut", "err", deadline.Err())
	}
}

// cut ends what the drain did not, and leaves it a moment to say so.
func (g *Gateway) cut(server *http.Server) {
	moment, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if server.Shutdown(moment) != nil {
		server.Close()
	}
	g.idle(context.Background())
	g.fleet.close()
}

// idle waits until no request is being handled. It reports false if the context ended before.
func (g *Gateway) idle(ctx context.Context) bool {
	for g.handling.Load() > 0 {
		if ctx.Err() != nil {
			return false
		}
		sleep(ctx, 5*time.Millisecond)
	}
	return true
}

func serve(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return nil
}
