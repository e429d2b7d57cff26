package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fnctl/fnctl/platform"
)

func BenchmarkProxiedRequest(b *testing.B) {
	w := withApp(b, func(http.ResponseWriter, *http.Request) {})
	w.get("ping", "/")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := w.get("ping", "/"); got.status != http.StatusOK {
				b.Errorf("got %+v", got)
				return
			}
		}
	})
}

// BenchmarkScrape is what the activator costs once a second on a machine with many functions.
func BenchmarkScrape(b *testing.B) {
	w := newWorld(b)
	for i := range 1000 {
		name := fmt.Sprintf("f%d", i)
		id := platform.RevisionID{Function: name, Number: 1}
		mkdir(b, w.paths.Function(name))
		w.put(platform.Route{Function: name, Traffic: []platform.TrafficShare{{Revision: id, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(1)}}}})
		w.arm(id, 1)
	}
	w.eventually("all are known", func() bool { return len(w.series(platform.MetricInstanceInFlight)) == 1000 })
	handler := promhttp.HandlerFor(w.registry, promhttp.HandlerOpts{})
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
	}
}
