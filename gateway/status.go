package gateway

import (
	"net/http"

	"golang.org/x/sync/errgroup"
)

// serveStatus serves the metrics and the health of the gateway. The caller closes the server.
func (g *Gateway) serveStatus(group *errgroup.Group) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", g.serveMetrics())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: g.cfg.ReadHeaderTimeout, ErrorLog: g.serverLog}
	for _, listener := range g.cfg.Status {
		group.Go(func() error { return serve(server, listener) })
	}
	return server
}
