package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// newServer makes the server for clients. Requests that it serves end with the context at the latest.
func (g *Gateway) newServer(ctx context.Context) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // with prior knowledge only, as gRPC clients have
	return &http.Server{
		Handler:                      http.HandlerFunc(g.serveHTTP),
		Protocols:                    &protocols,
		ReadHeaderTimeout:            g.cfg.ReadHeaderTimeout,
		IdleTimeout:                  g.cfg.IdleTimeout,
		MaxHeaderBytes:               g.cfg.MaxHeaderBytes,
		ErrorLog:                     g.serverLog,
		ConnState:                    g.clients.stateChanged,
		ConnContext:                  g.clients.context,
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		DisableGeneralOptionsHandler: true, // OPTIONS * is the app's to answer
	}
}

func (g *Gateway) serveHTTP(w http.ResponseWriter, r *http.Request) {
	g.handling.Add(1)
	defer g.handling.Add(-1)
	g.clients.handed(r)
	id := requestID(r.Header[headerRequestID])
	host, t, refused := g.route(r)
	if refused != nil {
		g.metrics.refused(refused.code)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(g.cfg.ReadHeaderTimeout))
		refused.write(w, id)
		return
	}
	x := exchange{gateway: g, in: r, host: host, id: id, began: time.Now()}
	x.serve(w, t)
}

// route finds out where a request goes.
func (g *Gateway) route(r *http.Request) (host string, t *target, refused *refusal) {
	if r.Method == http.MethodConnect {
		return "", nil, noTunnel()
	}
	host, ok := parseHost(r.Host)
	if !ok {
		return "", nil, badHost()
	}
	t, refused = g.fleet.find(host)
	return host, t, refused
}

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

// bufferPool lends the buffers through which bodies are copied.
type bufferPool struct{ pool sync.Pool }

const bufferSize = 32 << 10

func newBufferPool() *bufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

// Get implements httputil.BufferPool.
func (p *bufferPool) Get() []byte { return p.pool.Get().(*[bufferSize]byte)[:] }

// Put implements httputil.BufferPool.
func (p *bufferPool) Put(b []byte) { p.pool.Put((*[bufferSize]byte)(b)) }
