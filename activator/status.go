package activator

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fnctl/fnctl/platform"
)

// RevisionStatus is what the activator wants of a revision, and why.
type RevisionStatus struct {
	Revision platform.RevisionID `json:"revision"`
	Metric   platform.Metric     `json:"metric"`
	// Value and Panic are the metric's averages over the stable and the panic window, for the revision as a whole; Target
	// is what one instance should have.
	Value   float64 `json:"value"`
	Panic   float64 `json:"panic"`
	Target  float64 `json:"target"`
	Desired int     `json:"desired"`
	Min     int     `json:"min"`
	Max     int     `json:"max"`
	// Panicking tells that instances are not taken away for now.
	Panicking bool `json:"panicking"`
	// Refused is how many instances the host has no room for.
	Refused int `json:"refused"`
	// Cause is the rule that settled the decision, Reason says it in words.
	Cause  string `json:"cause"`
	Reason string `json:"reason"`
	// Instances has the state of each instance by index.
	Instances map[int]platform.InstanceState `json:"instances"`
}

// board has the latest status of each revision. The loop writes, whoever asks reads.
type board struct {
	mu     sync.Mutex
	latest map[platform.RevisionID]RevisionStatus
}

func (b *board) put(status RevisionStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest[status.Revision] = status
}

func (b *board) drop(id platform.RevisionID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.latest, id)
}

// Status is what the activator wanted at its last tick, sorted by revision.
func (a *Activator) Status() []RevisionStatus {
	a.board.mu.Lock()
	defer a.board.mu.Unlock()
	return slices.SortedFunc(maps.Values(a.board.latest), func(a, b RevisionStatus) int {
		return cmp.Or(cmp.Compare(a.Revision.Function, b.Revision.Function), cmp.Compare(a.Revision.Number, b.Revision.Number))
	})
}

// ready lists the instances that were ready at the last tick.
func (a *Activator) ready() []platform.InstanceID {
	var ids []platform.InstanceID
	for _, status := range a.Status() {
		for index, state := range status.Instances {
			if state == platform.Ready {
				ids = append(ids, platform.InstanceID{Revision: status.Revision, Index: index})
			}
		}
	}
	return ids
}

// Handler serves /metrics, /revisions (a JSON list of RevisionStatus) and /healthz.
func (a *Activator) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /metrics/apps", a.apps.Handler())
	mux.HandleFunc("GET /revisions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// Whoever asked may have gone; nobody else can be told.
		_ = json.NewEncoder(w).Encode(a.Status())
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	return mux
}
