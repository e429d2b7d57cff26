package activator

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/platform"
)

// Config is what an activator is made of.
type Config struct {
	Store  platform.Store
	Units  Units
	Source Source
	// Querier answers the queries of metric: prometheus. It may be nil if there is no Prometheus.
	Querier Querier
	// StandbyMemory is the part of the machine's memory that instances in standby may have together, from 0 to 1.
	StandbyMemory float64
	// StandbySwap says whether their memory may be moved to swap.
	StandbySwap bool
	// Poised is how many instances may wait in their sandbox at most, and PoisedMemory the part of the machine's memory that they may
	// have together, from 0 to 1.
	Poised       int
	PoisedMemory float64
	Log          *slog.Logger
}

// Activator is the control loop. Make one with New. The package comment says which goroutine owns which part.
type Activator struct {
	store   platform.Store
	log     *slog.Logger
	metrics *metrics

	// The parts that only the loop uses.
	world      *world
	actor      *actor
	reconciler *reconciler
	host       *host
	notices    *failureNotices
	queries    *queries

	// The parts that observe, each in a goroutine of its own.
	watcher   *unitWatcher
	scraper   *scraper
	functions chan functionChange
	pressure  *pressureWatcher

	statuses *statusCache
	apps     *AppMetrics
	gateway  *gatewayRepairer

	// running has the short-lived goroutines of the parts: actions, diagnoses, queries, lists of units.
	running *sync.WaitGroup
}

// New returns an activator; Run starts it.
func New(config Config) *Activator {
	running := &sync.WaitGroup{}
	metrics, statuses := newMetrics(), newStatusCache()
	metrics.registry.MustRegister(statusCollector{statuses})
	actor := newActor(config.Units, config.Store, running)
	world := newWorld(config.Store, actor.busy, config.Log)
	host, keeper := newHost(config.Store.Paths), newKeeper(config.StandbyMemory)
	keeper.swaps = config.StandbySwap
	return &Activator{
		store:   config.Store,
		log:     config.Log,
		metrics: metrics,
		world:   world,
		actor:   actor,
		reconciler: &reconciler{
			paths: config.Store.Paths, units: config.Units, world: world, actor: actor, host: host, keeper: keeper,
			poiser: &poiser{most: config.Poised, share: config.PoisedMemory}, metrics: metrics, log: config.Log,
		},
		host:      host,
		notices:   newFailureNotices(world, newDiagnoser(config.Units, config.Store, running, config.Log), config.Log),
		queries:   newQueries(config.Querier, running, config.Log),
		watcher:   newUnitWatcher(config.Units, running, config.Log),
		scraper:   newScraper(config.Source),
		functions: make(chan functionChange),
		pressure:  newPressureWatcher(config.Store.Paths, config.Log),
		statuses:  statuses,
		apps:      NewAppMetrics(config.Store, metrics.registry, config.Log),
		gateway:   &gatewayRepairer{units: config.Units, log: config.Log},
		running:   running,
	}
}

// Run decides and acts until the context ends, and returns when everything that it started has ended. The instances go on:
// they are systemd's.
func (a *Activator) Run(ctx context.Context) error {
	defer a.running.Wait()
	group, ctx := errgroup.WithContext(ctx)
	follower := &platform.FunctionsFollower{Paths: a.store.Paths, Log: a.log, Changes: func(names []string, all bool) {
		send(ctx, a.functions, functionChange{names, all})
	}}
	group.Go(func() error { return platform.Follow(ctx, follower, a.log) })
	group.Go(func() error { return a.watcher.run(ctx) })
	group.Go(func() error { return a.scraper.run(ctx) })
	group.Go(func() error { return a.pressure.run(ctx) })
	group.Go(func() error { return a.apps.Run(ctx, a.statuses.ready) })
	group.Go(func() error { return a.gateway.run(ctx) })
	group.Go(func() error { return a.loop(ctx) })
	return group.Wait()
}

// Status is what the activator desired at its last tick, sorted by revision. It may be called from any goroutine.
func (a *Activator) Status() []RevisionStatus { return a.statuses.list() }

// Handler serves /metrics, /metrics/apps, /revisions (a JSON list of RevisionStatus) and /healthz.
func (a *Activator) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /metrics/apps", a.apps.Handler())
	mux.HandleFunc("GET /revisions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a.Status()) // fails only if the client has gone
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	return mux
}
