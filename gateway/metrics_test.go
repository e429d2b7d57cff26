package gateway_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

var update = flag.Bool("update", false, "write golden files")

// page is what is exposed, with all times set to 1, and the cold starts and wakes too: under load a proof can last as long as one.
func (w *world) page() []byte {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	var page bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&page, family); err != nil {
			w.t.Fatal(err)
		}
	}
	times := regexp.MustCompile(`(?m)^(\S*_seconds(_total|_sum)?(\{[^}]*\})? )[0-9.e-]+$`)
	buckets := regexp.MustCompile(`(?m)^(\S*(?:_bucket|(?:cold_start|wake)_seconds_count|wakes_total)\{.* )[0-9]+$`)
	return buckets.ReplaceAll(times.ReplaceAll(page.Bytes(), []byte("${1}1")), []byte("${1}1"))
}

func TestMetricsPage(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	arrived, proceed := make(chan bool), make(chan bool)
	a := w.arm(ping, 1)
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			arrived <- true
			<-proceed
		case "/break":
			panic(http.ErrAbortHandler)
		}
	})
	w.get("nobody", "/")
	cold := make(chan answer, 1)
	go func() { cold <- w.get("ping", "/") }()
	w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
	time.Sleep(10 * time.Millisecond)
	unread, err := a.Accept() // reads the first byte, and dies
	if err != nil {
		t.Fatal(err)
	}
	unread.Read(make([]byte, 1))
	time.Sleep(50 * time.Millisecond)
	unread.Close()
	a.serve(t, app)
	<-cold
	w.get("ping", "/break")
	go w.get("ping", "/wait")
	<-arrived
	a.drain(t)
	w.eventually("it drains", func() bool { return w.has(platform.MetricInstanceInFlight, "state=draining") })
	w.arm(ping, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go send(w.client, w.request("GET", "ping", "/", "").WithContext(ctx))
	w.eventually("one is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
	got := w.page()
	close(proceed)
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s (go test -update writes it):\n%s", golden, got)
	}
	problems, err := promlint.New(bytes.NewReader(got)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// The activator reads the mean of what is in flight from this.
func TestInFlightIntegral(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(300 * time.Millisecond) }))
	done := make(chan bool)
	began := time.Now()
	for range 10 {
		go func() { w.get("ping", "/"); done <- true }()
	}
	for range 10 {
		<-done
	}
	w.eventually("all have ended", func() bool { return w.metric(gateway.MetricRequests) == 10 })
	took := w.series(gateway.MetricDuration)[0].GetHistogram().GetSampleSum()
	// What only a client waits for counts no longer.
	if got := w.metric(platform.MetricInFlightSeconds); got > took+1e-6 || got < took-0.1 || took < 3 {
		t.Errorf("got %v seconds of requests that took %v", got, took)
	}
	if got := w.metric(gateway.MetricServingSeconds); got < 0.3 || got > time.Since(began).Seconds() {
		t.Errorf("served for %v seconds", got)
	}
	if got := w.metric(platform.MetricRequestsStarted); got != 10 {
		t.Errorf("%v were started", got)
	}
}

// To look at a function costs nothing.
func TestUncountedPaths(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) }))
	for _, path := range []string{"/docs", "/redoc", "/openapi.json", "/healthz", "/dry_run", "/metrics", "/favicon.ico"} {
		w.get("ping", path)
	}
	if got := w.metric(gateway.MetricServingSeconds); got != 0 {
		t.Errorf("served for %v seconds", got)
	}
	w.get("ping", "/docs/x")
	if got := w.metric(gateway.MetricServingSeconds); got == 0 {
		t.Error("did not count")
	}
}

// status gives the gateway a socket for its metrics.
func status(t testing.TB) (func(*gateway.Config), *http.Client) {
	t.Helper()
	var listener net.Listener
	adjust := func(cfg *gateway.Config) {
		var err error
		if listener, err = net.Listen("unix", cfg.Paths.Root+"/status.sock"); err != nil {
			t.Fatal(err)
		}
		cfg.Status = []net.Listener{listener}
	}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return adjust, &http.Client{Transport: transport}
}

func scrape(t testing.TB, client *http.Client, query string) (int, string) {
	t.Helper()
	res, err := client.Get("http://gateway/metrics" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// The page of what is active has the load of that and nothing else.
func TestActiveMetrics(t *testing.T) {
	adjust, client := status(t)
	w := newWorld(t, adjust)
	other := platform.RevisionID{Function: "other", Number: 1}
	proceed := make(chan bool)
	for _, id := range []platform.RevisionID{ping, other} {
		w.route(id)
		w.arm(id, 1).serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				<-proceed
			}
		}))
	}
	w.get("other", "/")
	got := make(chan answer, 1)
	go func() { got <- w.get("ping", "/wait") }()
	w.eventually("it runs", func() bool { return w.metric(platform.MetricInstanceInFlight, "state=ready") == 1 })
	if _, page := scrape(t, client, "?active=1m"); !strings.Contains(page, "other-00001") || !strings.Contains(page, "ping-00001") {
		t.Errorf("both were active:\n%s", page)
	}
	time.Sleep(60 * time.Millisecond)
	os.Remove(w.paths.InstanceSocket(platform.InstanceID{Revision: ping, Index: 1}))
	w.eventually("it drains", func() bool { return w.has(platform.MetricInstanceInFlight, "state=draining") })
	_, page := scrape(t, client, "?active=50ms")
	page = regexp.MustCompile(`(seconds_total.*) [0-9.e-]+`).ReplaceAllString(page, "$1 1")
	page = regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(page, "")
	const labels = `{function="ping",revision="ping-00001"} 1` + "\n"
	want := platform.MetricInFlight + labels + platform.MetricInFlightSeconds + labels +
		platform.MetricInstanceInFlight + `{function="ping",instance="1",revision="ping-00001",state="draining"} 1` + "\n" +
		platform.MetricQueued + strings.Replace(labels, "} 1", "} 0", 1) + platform.MetricRequestsStarted + labels
	if page != want {
		t.Errorf("got:\n%s\nwant:\n%s", page, want)
	}
	close(proceed)
	<-got
	w.eventually("nothing is active", func() bool { _, page := scrape(t, client, "?active=50ms"); return page == "" })
	for _, bad := range []string{"", "x", "-1s", "0", "2m"} {
		if code, text := scrape(t, client, "?active="+bad); code != http.StatusBadRequest {
			t.Errorf("active=%s: got %d %q", bad, code, text)
		}
	}
}
