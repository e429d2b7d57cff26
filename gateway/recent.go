package gateway

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxRecent is how far back one can ask what was active.
const maxRecent = time.Minute

// recent is the pools that were active lately, so that nobody has to look at all of them to find those. A pool's mutex is
// taken before this one.
type recent struct {
	mu    sync.Mutex
	pools map[*pool]struct{}
}

func newRecent() *recent { return &recent{pools: make(map[*pool]struct{})} }

func (r *recent) add(p *pool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pools[p] = struct{}{}
}

func (r *recent) remove(p *pool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pools, p)
}

func (r *recent) list() []*pool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.pools))
}

// touch notes that something happened to the pool: a request came or ended, or its instances are other ones.
func (p *pool) touch(now time.Time) {
	p.touched = now
	if !p.listed {
		p.listed = true
		p.recent.add(p)
	}
}

// activeSince reads the load of a pool that has requests in flight or was touched since.
func (p *pool) activeSince(since time.Time) []prometheus.Metric {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	idle := p.inFlight.n == 0
	if idle && now.Sub(p.touched) > maxRecent {
		p.listed = false
		p.recent.remove(p)
	}
	if idle && p.touched.Before(since) {
		return nil
	}
	s := p.newSeries()
	p.collectLoad(&s, now)
	return s.metrics
}

// activeCollector collects the load of the pools that are or were active.
type activeCollector struct {
	recent *recent
	within time.Duration
}

// Describe implements prometheus.Collector.
func (c activeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range loadDescs {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c activeCollector) Collect(ch chan<- prometheus.Metric) {
	since := time.Now().Add(-c.within)
	for _, p := range c.recent.list() {
		for _, m := range p.activeSince(since) {
			ch <- m
		}
	}
}

// serveMetrics serves the page of metrics. With ?active=10s it has only what the activator reads, and only of the revisions
// that have requests in flight, or had a request come or end, or an instance come or go, in the last ten seconds.
func (g *Gateway) serveMetrics() http.Handler {
	whole := promhttp.HandlerFor(g.cfg.Registry, promhttp.HandlerOpts{ErrorLog: g.serverLog})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if !query.Has("active") {
			whole.ServeHTTP(w, r)
			return
		}
		within, err := time.ParseDuration(query.Get("active"))
		if err != nil || within <= 0 || within > maxRecent {
			http.Error(w, "active is a duration of at most 1m, such as 10s", http.StatusBadRequest)
			return
		}
		active := prometheus.NewRegistry()
		active.MustRegister(activeCollector{recent: g.fleet.recent, within: within})
		// A pool that was forgotten and is there again is no reason to tell nothing.
		promhttp.HandlerFor(active, promhttp.HandlerOpts{ErrorLog: g.serverLog, ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
	})
}
