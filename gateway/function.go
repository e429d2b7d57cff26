package gateway

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fnctl/fnctl/gateway/admission"
)

// uncounted are the paths whose requests do not count as serving, as on JCloud: to look at a function costs nothing.
var uncounted = map[string]bool{
	"/docs": true, "/redoc": true, "/openapi.json": true, "/healthz": true, "/dry_run": true, "/metrics": true, "/favicon.ico": true,
}

// function has what is counted of a function as a whole, whichever of its revisions serves.
type function struct {
	name string
	// The histograms are made when they are needed first: most functions of a large machine are idle, and a histogram
	// without observations is still a dozen lines of each scrape.
	duration  func() prometheus.Observer
	coldStart func() prometheus.Observer
	firstByte func() prometheus.Observer
	queueTime func() prometheus.Observer
	woke      func(wake)
	denied    func(admission.Reason)

	mu      sync.Mutex
	warned  int       // warnings since
	since   time.Time // of the last minute
	counted int       // requests in flight that count as serving
	serving meter     // 1 while there is at least one
}

func (f *function) begin(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counted++; f.counted == 1 {
		f.serving.add(now, 1)
	}
}

func (f *function) end(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counted--; f.counted == 0 {
		f.serving.add(now, -1)
	}
}

// maxWarnings is how many requests of a function are warned of in a minute.
const maxWarnings = 60

// warn reports whether there is room for one more warning.
func (f *function) warn(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.since) >= time.Minute {
		f.warned, f.since = 0, now
	}
	f.warned++
	return f.warned <= maxWarnings
}

// servingSeconds is the time in which at least one counted request was in flight.
func (f *function) servingSeconds(now time.Time) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.serving.integral(now)
}
