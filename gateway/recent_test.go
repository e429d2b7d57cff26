package gateway

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// BenchmarkActiveScrape is what the activator costs at each tick when nearly all of very many functions are idle.
func BenchmarkActiveScrape(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	g, err := New(Config{
		Paths:     platform.Paths{Root: b.TempDir()},
		Host:      func(name string) string { return name },
		Listeners: []net.Listener{listener},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	long := time.Now().Add(-2 * maxRecent)
	for i := range 10_000 {
		id := platform.RevisionID{Function: fmt.Sprintf("f%d", i), Number: 1}
		g.fleet.appear(platform.InstanceID{Revision: id, Index: 1})
		g.fleet.pools[id].counts.active = long
	}
	for i := range 10 {
		g.fleet.pools[platform.RevisionID{Function: fmt.Sprintf("f%d", i), Number: 1}].counts.begin(time.Now())
	}
	handler := metricsHandler(g.cfg.Registry, g.fleet, nil)
	request := httptest.NewRequest("GET", "/metrics?active=10s", nil)
	handler.ServeHTTP(&httptest.ResponseRecorder{Body: nil}, request) // drops the pools that are not recent any more
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request)
		if n, _ := io.Copy(io.Discard, w.Body); n == 0 {
			b.Fatal("nothing is active")
		}
	}
}
