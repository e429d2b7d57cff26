package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	stdlog "log"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fnctl/fnctl/platform"
)

// newStatus makes the server of the metrics and the health of the gateway, and of the routes that it goes by, on which another
// gateway also asks to take its place.
func newStatus(cfg *Config, errorLog *stdlog.Logger, fleet *fleet, succession *succession) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(cfg.Registry, fleet, errorLog))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	mux.HandleFunc("GET "+platform.PathGatewayRoute+"{function}", func(w http.ResponseWriter, r *http.Request) {
		var found *platform.Route
		if route, has := fleet.route(r.PathValue("function")); has {
			found = &route
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(found); err != nil {
			errorLog.Print(err)
		}
	})
	mux.HandleFunc("POST "+pathHandover, succession.serveHandover)
	mux.HandleFunc("POST "+pathPredecessor, succession.servePredecessor)
	mux.HandleFunc("POST "+pathStreams, succession.serveStreams)
	return &http.Server{Handler: mux, ReadHeaderTimeout: cfg.ReadHeaderTimeout, ErrorLog: errorLog, ConnContext: withConn}
}

func serveStatus(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return nil
}

// metricsHandler serves the page of metrics. With ?active=10s it has only what the activator reads, and only of the revisions
// that have requests in flight, or had a request come or end, or an instance come or go, in the last ten seconds.
func metricsHandler(registry *prometheus.Registry, fleet *fleet, errorLog *stdlog.Logger) http.Handler {
	whole := promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: errorLog})
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
		active.MustRegister(activeCollector{fleet: fleet, within: within})
		// A pool that was forgotten and is there again is no reason to answer nothing.
		promhttp.HandlerFor(active, promhttp.HandlerOpts{ErrorLog: errorLog, ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
	})
}
