package gateway_test

import (
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// requestTimeout is how long a request may take, and how long a test waits for what must come: a slow machine is no failure.
const requestTimeout = 60 * time.Second

// world is a gateway with its files in a temporary directory.
type world struct {
	t        testing.TB
	paths    platform.Paths
	store    platform.Store
	addr     string
	registry *prometheus.Registry
	client   *http.Client
	gateway  *gateway.Gateway // that was run last
	stop     func() error
	wait     func() error // for the end, which it takes no part in
}

func newWorld(t testing.TB, adjust ...func(*gateway.Config)) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw") // short: a unix socket's path has 107 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{t: t, paths: platform.Paths{Root: dir}, registry: newRegistry(), client: newClient(t)}
	w.store = platform.Store{Paths: w.paths}
	mkdir(t, w.paths.Functions())
	mkdir(t, w.paths.Instances())
	w.run(adjust...)
	return w
}

// run starts a gateway on the world's files.
func (w *world) run(adjust ...func(*gateway.Config)) {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := gateway.Config{
		Paths:     w.paths,
		Host:      func(name string) string { return name + ".localhost" },
		Listeners: []net.Listener{listener},
		Logger:    slog.New(slog.DiscardHandler),
		Registry:  w.registry,
	}
	if testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, f := range adjust {
		f(&cfg)
	}
	if cfg.Listeners[0] != listener {
		listener.Close()
	}
	g, err := gateway.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.gateway = g
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	w.addr = cfg.Listeners[0].Addr().String()
	wait := func() error {
		err := <-done
		done <- err
		return err
	}
	stop := func() error {
		cancel()
		return wait()
	}
	w.wait, w.stop = wait, stop
	w.t.Cleanup(func() {
		if err := stop(); err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
}

func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func mkdir(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// route sends all traffic of a function to a revision, whose first instance is not there yet, and waits for the gateway.
func (w *world) route(id platform.RevisionID, adjust ...func(*platform.TrafficShare)) {
	w.t.Helper()
	share := platform.TrafficShare{Revision: id, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Duration(requestTimeout)}}
	for _, f := range adjust {
		f(&share)
	}
	w.put(platform.Route{Function: id.Function, Traffic: []platform.TrafficShare{share}})
	w.awaitRoute(id.Function)
}

// awaitRoute waits until requests to a function go as the store says.
func (w *world) awaitRoute(function string) {
	w.t.Helper()
	want, err := w.store.Route(function)
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the route is taken", func() bool {
		got, has := w.gateway.Route(function)
		return has && reflect.DeepEqual(got, want)
	})
}

func (w *world) put(route platform.Route) {
	w.t.Helper()
	mkdir(w.t, w.paths.Function(route.Function))
	if err := w.store.PutRoute(route); err != nil {
		w.t.Fatal(err)
	}
}

// arm listens on an instance's socket, as PID 1 does: no connection is accepted until serve is called.
func (w *world) arm(id platform.RevisionID, index int) *armed {
	w.t.Helper()
	path := w.paths.InstanceSocket(platform.InstanceID{Revision: id, Index: index})
	l, err := net.Listen("unix", path)
	if err != nil {
		w.t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	a := &armed{Listener: l, path: path}
	w.t.Cleanup(func() { l.Close() })
	return a
}

// armed is an instance whose socket listens.
type armed struct {
	net.Listener
	path string
}

// serve runs an app on the socket. Closing the app leaves the socket listening, as PID 1 does.
func (a *armed) serve(t testing.TB, h http.Handler, adjust ...func(*http.Server)) *http.Server {
	t.Helper()
	file, err := a.Listener.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inherited, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	for _, f := range adjust {
		f(server)
	}
	go server.Serve(inherited)
	t.Cleanup(func() { server.Close() })
	return server
}

// drain takes the socket's path away, as stopping the socket unit does.
func (a *armed) drain(t testing.TB) {
	t.Helper()
	if err := os.Remove(a.path); err != nil {
		t.Fatal(err)
	}
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (w *world) get(function, path string) answer { return w.do(http.MethodGet, function, path, "") }

func (w *world) do(method, function, path, body string) answer {
	req := w.request(method, function, path, body)
	return send(w.client, req)
}

func (w *world) request(method, function, path, body string) *http.Request {
	req, err := http.NewRequest(method, "http://"+w.addr+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body == "" {
		req.Body = http.NoBody
	}
	req.Host = function + ".localhost"
	return req
}

func send(client *http.Client, req *http.Request) answer {
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, header: res.Header, body: string(body), err: err}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(requestTimeout); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	w.t.Fatalf("never: %s", what)
}

// series are the series of a metric whose labels match, given as name=value.
func (w *world) series(name string, labels ...string) []*dto.Metric {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	var found []*dto.Metric
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && matches(m.GetLabel(), labels) {
				found = append(found, m)
			}
		}
	}
	return found
}

func matches(pairs []*dto.LabelPair, labels []string) bool {
	for _, label := range labels {
		if !slices.ContainsFunc(pairs, func(p *dto.LabelPair) bool { return p.GetName()+"="+p.GetValue() == label }) {
			return false
		}
	}
	return true
}

func (w *world) has(name string, labels ...string) bool { return len(w.series(name, labels...)) > 0 }

// metric adds up the series of a metric whose labels match.
func (w *world) metric(name string, labels ...string) float64 {
	sum := 0.0
	for _, m := range w.series(name, labels...) {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

// echo answers with what it is called.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) })
}

func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }

func logTo(w io.Writer) *stdlog.Logger { return stdlog.New(w, "", 0) }

// http2Transport speaks HTTP/2 with prior knowledge.
func http2Transport(t *testing.T) *http.Transport {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}
