package activator_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/platform"
)

// appWorld is a machine with functions that publish metrics.
type appWorld struct {
	paths    platform.Paths
	registry *client.Registry
	log      bytes.Buffer
	metrics  *activator.AppMetrics
}

func newAppWorld(t *testing.T) *appWorld {
	t.Helper()
	root, err := os.MkdirTemp("/tmp", "fnctl") // the path of a unix socket has 107 characters at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	w := &appWorld{paths: platform.Paths{Root: root}, registry: client.NewRegistry()}
	w.metrics = activator.NewAppMetrics(platform.Store{Paths: w.paths}, w.registry, slog.New(slog.NewTextHandler(&w.log, nil)))
	return w
}

func instanceOf(t *testing.T, name string) platform.InstanceID {
	t.Helper()
	id, err := platform.ParseInstanceID(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// deploy makes a revision with a metrics_path, "" for none.
func (w *appWorld) deploy(t *testing.T, id platform.RevisionID, path string) {
	t.Helper()
	revision := platform.Revision{ID: id, Created: time.Now(), Config: platform.DefaultConfig()}
	revision.Config.MetricsPath = path
	dir := w.paths.Revision(id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (platform.Store{Paths: w.paths}).PutRevision(dir, revision); err != nil {
		t.Fatal(err)
	}
}

// serve makes an instance of a revision that answers with what handler does.
func (w *appWorld) serve(t *testing.T, id platform.InstanceID, handler http.HandlerFunc) {
	t.Helper()
	socket := w.paths.InstanceSocket(id)
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
}

// app deploys a function of one ready instance that publishes a page.
func (w *appWorld) app(t *testing.T, name, page string) platform.InstanceID {
	t.Helper()
	id := instanceOf(t, name)
	w.deploy(t, id.Revision, "/metrics")
	w.serve(t, id, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			http.Redirect(rw, r, "/metrics/", http.StatusTemporaryRedirect)
		case "/metrics/":
			io.WriteString(rw, page)
		default:
			t.Errorf("it is asked for %s", r.URL)
		}
	})
	return id
}

func (w *appWorld) page(t *testing.T) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics/apps", nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("got %d %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}

func (w *appWorld) counts(t *testing.T, want string) {
	t.Helper()
	names := []string{"fnctl_activator_app_scrapes_total", "fnctl_activator_app_series_dropped_total"}
	var lines []string
	for line := range strings.Lines(want) {
		lines = append(lines, strings.TrimSpace(line))
	}
	head := `# HELP fnctl_activator_app_scrapes_total Scrapes of instances with a metrics_path, by how they ended.
# TYPE fnctl_activator_app_scrapes_total counter
# HELP fnctl_activator_app_series_dropped_total Series of apps that were not taken over, at each scrape anew, by why.
# TYPE fnctl_activator_app_series_dropped_total counter
`
	if err := testutil.GatherAndCompare(w.registry, strings.NewReader(head+strings.Join(lines, "\n")+"\n"), names...); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(w.registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestAppMetrics(t *testing.T) {
	w := newAppWorld(t)
	shop1 := w.app(t, "shop-00002@1", `# HELP orders_waiting Orders.
# TYPE orders_waiting gauge
orders_waiting 3
orders_waiting{instance="a",exported_instance="b",job="x",kind="\"new\"\n"} 4 1700000000000
# TYPE took_seconds histogram
took_seconds_bucket{le="1"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 5
took_seconds_count 3
`)
	shop2 := w.app(t, "shop-00002@10", "orders_waiting 5\n")
	// The same name with another type, and with the labels of another function.
	blog := w.app(t, "blog-00001@1", "# TYPE orders_waiting counter\norders_waiting{function=\"shop\",revision=\"shop-00002\"} 1\n")
	silent := instanceOf(t, "silent-00001@1")
	w.deploy(t, silent.Revision, "")
	w.serve(t, silent, func(http.ResponseWriter, *http.Request) { t.Error("an app without metrics_path is asked") })
	w.metrics.Scrape(t.Context(), []platform.InstanceID{shop1, shop2, blog, silent, instanceOf(t, "removed-00001@1")})
	want := `# TYPE orders_waiting untyped
orders_waiting{exported_function="shop",exported_revision="shop-00002",function="blog",instance="1",revision="blog-00001"} 1
orders_waiting{function="shop",instance="1",revision="shop-00002"} 3
orders_waiting{exported_exported_instance="a",exported_instance="b",exported_job="x",function="shop",instance="1",kind="\"new\"\n",revision="shop-00002"} 4
orders_waiting{function="shop",instance="10",revision="shop-00002"} 5
# TYPE took_seconds_bucket untyped
took_seconds_bucket{function="shop",instance="1",le="1",revision="shop-00002"} 2
took_seconds_bucket{function="shop",instance="1",le="+Inf",revision="shop-00002"} 3
# TYPE took_seconds_count untyped
took_seconds_count{function="shop",instance="1",revision="shop-00002"} 3
# TYPE took_seconds_sum untyped
took_seconds_sum{function="shop",instance="1",revision="shop-00002"} 5
`
	if got := w.page(t); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	w.counts(t, `fnctl_activator_app_scrapes_total{result="ok"} 3`)
	if w.log.Len() > 0 {
		t.Errorf("logged: %s", &w.log)
	}
	w.metrics.Scrape(t.Context(), []platform.InstanceID{shop2})
	if got := w.page(t); strings.Contains(got, "blog") || strings.Contains(got, `instance="1"`) || !strings.Contains(got, `instance="10"`) {
		t.Errorf("instances that are gone are still there:\n%s", got)
	}
}

// An app can do no harm to the metrics of others.
func TestAppMetricsHostile(t *testing.T) {
	w := newAppWorld(t)
	many := &strings.Builder{}
	for i := range 1200 {
		fmt.Fprintf(many, "many{i=\"%d\"} 1\n", i)
	}
	release := make(chan struct{})
	defer close(release) // before the servers are closed, which wait for their handlers
	ids := []platform.InstanceID{
		w.app(t, "good-00001@1", "good 1\n"),
		w.app(t, "many-00001@1", many.String()),
		w.app(t, "spoof-00001@1", "fnctl_gateway_bad_routes 0\nfnctl_gateway_in_flight 9\nspoofed 1\n"),
		w.app(t, "twice-00001@1", "twice 1\ntwice 2\n"),
		w.app(t, "html-00001@1", "<html>\n"),
		w.app(t, "bytes-00001@1", "bytes{a=\"\xff\"} 1\n"),
		w.app(t, "quoted-00001@1", "{\"fnctl.gateway_in_flight\"} 1\n"),
		w.app(t, "large-00001@1", "# "+strings.Repeat("x", 2<<20)+"\nlarge 1\n"),
		instanceOf(t, "code-00001@1"), instanceOf(t, "away-00001@1"), instanceOf(t, "hangs-00001@1"), instanceOf(t, "none-00001@1"),
	}
	handlers := map[string]http.HandlerFunc{
		"code": func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusInternalServerError)
			io.WriteString(rw, "code 1\n")
		},
		"away": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://192.0.2.1/", http.StatusFound)
		},
		"hangs": func(rw http.ResponseWriter, r *http.Request) {
			io.WriteString(rw, "hangs 1\n")
			rw.(http.Flusher).Flush()
			<-release
		},
	}
	for _, id := range ids[8:] {
		w.deploy(t, id.Revision, "/metrics")
		if handler := handlers[id.Revision.Function]; handler != nil {
			w.serve(t, id, handler)
		}
	}
	for range 2 {
		began := time.Now()
		w.metrics.Scrape(t.Context(), ids)
		if took := time.Since(began); took > 20*time.Second { // not for ever
			t.Errorf("it took %v", took)
		}
	}
	page := w.page(t)
	if got, want := strings.Count(page, "\nmany{"), 1000; got != want {
		t.Errorf("%d series of many, want %d", got, want)
	}
	for _, want := range []string{`good{function="good"`, `spoofed{function="spoof"`, `twice{function="twice",instance="1",revision="twice-00001"} 1`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not there", want)
		}
	}
	for _, bad := range []string{"fnctl", "hangs", "large", "bytes", "code{", "} 2\n"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is there", bad)
		}
	}
	w.counts(t, `fnctl_activator_app_scrapes_total{result="error"} 16
		fnctl_activator_app_scrapes_total{result="ok"} 8
		fnctl_activator_app_series_dropped_total{reason="duplicate"} 2
		fnctl_activator_app_series_dropped_total{reason="limit"} 400
		fnctl_activator_app_series_dropped_total{reason="reserved"} 4`)
	if got, want := strings.Count(w.log.String(), "no metrics of the app"), 8; got != want {
		t.Errorf("%d lines are logged, want %d:\n%s", got, want, &w.log)
	}
}

// No connection is kept: an idle one would count as a client of the app.
func TestAppMetricsKeepsNothing(t *testing.T) {
	w := newAppWorld(t)
	id := instanceOf(t, "shop-00001@1")
	w.deploy(t, id.Revision, "/metrics")
	var open atomic.Int32
	listener := &countingListener{open: &open}
	socket := w.paths.InstanceSocket(id)
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	listener.Listener = inner
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "a 1\n") })}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	for range 3 {
		w.metrics.Scrape(t.Context(), []platform.InstanceID{id})
	}
	within(t, 20*time.Second, "all connections are closed", func() error {
		if n := open.Load(); n != 0 {
			return fmt.Errorf("%d are open", n)
		}
		return nil
	})
	if got := w.page(t); !strings.Contains(got, "a{") {
		t.Errorf("got %q", got)
	}
}

type countingListener struct {
	net.Listener
	open *atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &countedConn{Conn: conn, open: l.open}, nil
}

type countedConn struct {
	net.Conn
	open   *atomic.Int32
	closed atomic.Bool
}

func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// A real Prometheus takes over the page as it is meant.
func TestAppMetricsInPrometheus(t *testing.T) {
	t.Parallel()
	w := newAppWorld(t)
	id := w.app(t, "shop-00001@3", "orders_waiting{job=\"mine\"} 7\n")
	server := httptest.NewServer(w.metrics.Handler())
	t.Cleanup(server.Close)
	gateway := newScraped(t, gatewayPage(t))
	jobs := strings.ReplaceAll(shippedJobs(t, gateway.address(), server.Listener.Addr().String()), ": 5s", ": 1s")
	source := newSource(t, startPrometheus(t, jobs).url)
	w.metrics.Scrape(t.Context(), []platform.InstanceID{id})
	query := `orders_waiting{function="shop",revision="shop-00001",instance="3",exported_job="mine",job="fnctl-apps"}`
	within(t, 10*time.Second, "the app's metric is there", func() error {
		got, err := source.Query(t.Context(), query)
		if err == nil && got != 7 {
			t.Errorf("got %v", got)
		}
		return err
	})
}

// An app is asked as its visitors ask, and what it redirects to HTTPS stays on its socket.
func TestAppMetricsOfVisitors(t *testing.T) {
	w := newAppWorld(t)
	if err := os.MkdirAll(filepath.Dir(w.paths.Settings()), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.paths.Settings(), []byte("endpoint: https://{name}.example.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	shop := instanceOf(t, "shop-00001@1")
	w.deploy(t, shop.Revision, "/metrics")
	w.serve(t, shop, func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != "shop.example.com" || r.Header.Get("X-Forwarded-Proto") != "https":
			http.Error(rw, "come by HTTPS", http.StatusForbidden)
		case r.URL.Path == "/metrics":
			http.Redirect(rw, r, "https://shop.example.com/metrics/", http.StatusMovedPermanently)
		default:
			io.WriteString(rw, "orders_waiting 3\n")
		}
	})
	w.metrics.Scrape(t.Context(), []platform.InstanceID{shop})
	if got := w.page(t); !strings.Contains(got, "orders_waiting{") {
		t.Errorf("got %q; logged: %s", got, &w.log)
	}
}
