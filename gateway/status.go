package gateway

import "net/http"

// newStatus makes the server of the metrics and the health of the gateway, which also is where another gateway asks to take
// its place.
func (g *Gateway) newStatus() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", g.serveMetrics())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	mux.HandleFunc("POST "+pathHandover, g.serveHandover)
	mux.HandleFunc("POST "+pathPredecessor, g.servePredecessor)
	return &http.Server{Handler: mux, ReadHeaderTimeout: g.cfg.ReadHeaderTimeout, ErrorLog: g.serverLog, ConnContext: withConn}
}
