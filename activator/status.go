package activator

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fnctl/fnctl/platform"
)

// RevisionStatus is what the activator wants of a revision, and why.
type RevisionStatus struct {
	Revision platform.RevisionID `json:"revision"`
	Metric   platform.Metric     `json:"metric"`
	// Value is the metric's average over the stable window, for the revision as a whole; Target is what one instance
	// should have.
	Value   float64 `json:"value"`
	Target  float64 `json:"target"`
	Desired int     `json:"desired"`
	Min     int     `json:"min"`
	Max     int     `json:"max"`
	Reason  string  `json:"reason"`
	// Instances has the state of each instance by index.
	Instances map[int]platform.InstanceState `json:"instances"`
}

func sortStatus(list []RevisionStatus) {
	slices.SortFunc(list, func(a, b RevisionStatus) int {
		return cmp.Or(cmp.Compare(a.Revision.Function, b.Revision.Function), cmp.Compare(a.Revision.Number, b.Revision.Number))
	})
}

// Status is what the activator wanted at its last tick, sorted by revision.
func (a *Activator) Status() []RevisionStatus {
	if list := a.status.Load(); list != nil {
		return *list
	}
	return nil
}

// Handler serves /metrics, /revisions (a JSON list of RevisionStatus) and /healthz.
func (a *Activator) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
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
