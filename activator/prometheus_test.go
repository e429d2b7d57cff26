package activator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/platform"
)

// scraped is a daemon's page of metrics, served over TCP as Prometheus needs it.
type scraped struct {
	*httptest.Server
	page atomic.Pointer[string]
}

func newScraped(t *testing.T, page string) *scraped {
	t.Helper()
	s := &scraped{}
	s.page.Store(&page)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, *s.page.Load())
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *scraped) address() string { return s.Listener.Addr().String() }

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// gatewayPage is what a gateway with one function serves.
func gatewayPage(t *testing.T) string {
	t.Helper()
	return readFile(t, "../gateway/testdata/metrics.txt")
}

// shippedJobs is the scrape configuration of the package, for daemons at other addresses.
func shippedJobs(t *testing.T, gateway, activator string) string {
	t.Helper()
	return strings.NewReplacer("127.0.0.1:9464", gateway, "127.0.0.1:9465", activator).Replace(readFile(t, "../packaging/prometheus/scrape.yml"))
}

// prometheus is a real server.
type prometheus struct {
	url string
	cmd *exec.Cmd
}

// startPrometheus starts Debian's Prometheus with a configuration, or skips the test where there is none.
func startPrometheus(t *testing.T, config string) *prometheus {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus: apt-get install --no-install-recommends prometheus")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	cmd := exec.Command(binary, "--config.file="+file, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", readFile(t, log.Name()))
		}
	})
	p := &prometheus{url: "http://" + address, cmd: cmd}
	within(t, 20*time.Second, "prometheus is ready", func() error {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
	return p
}

func within(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", limit, what, err)
		}
	}
}

func newSource(t *testing.T, url string) *activator.PrometheusSource {
	t.Helper()
	source, err := activator.NewPrometheusSource(url)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// load asks until there is an answer, and returns it with its time.
func load(t *testing.T, source *activator.PrometheusSource) (loads map[platform.RevisionID]*activator.Load, at time.Time) {
	t.Helper()
	within(t, 10*time.Second, "there is an answer", func() (err error) {
		loads, at, err = source.LoadAt(t.Context())
		return err
	})
	return loads, at
}

func wantFailure(t *testing.T, source *activator.PrometheusSource, want string) {
	t.Helper()
	within(t, 10*time.Second, "there is an error", func() error {
		if _, err := source.Load(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("got %s, want %q", fmt.Sprint(err), want)
		}
		return nil
	})
}

// The load by Prometheus is the load by the gateway itself.
func TestPrometheusLoad(t *testing.T) {
	t.Parallel()
	for name, honour := range map[string]string{"as shipped": "true", "without honor_labels": "false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := gatewayPage(t)
			gateway := newScraped(t, page)
			jobs := shippedJobs(t, gateway.address(), "127.0.0.1:1")
			started := time.Now()
			source := newSource(t, startPrometheus(t, strings.ReplaceAll(jobs, "honor_labels: true", "honor_labels: "+honour)).url)
			want, err := activator.ParseLoad(strings.NewReader(page))
			if err != nil || len(want) == 0 {
				t.Fatalf("the gateway's page: %v, %v", want, err)
			}
			got, at := load(t, source)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if age := time.Since(at); age < 0 || at.Before(started) {
				t.Errorf("scraped %v ago", age)
			}
			// The time is that of the scrape, of which there is one in a second, and not that of the query.
			scrapes := map[time.Time]bool{}
			began := time.Now()
			for ; len(scrapes) < 4 && time.Since(began) < 20*time.Second; time.Sleep(50 * time.Millisecond) {
				_, at := load(t, source)
				scrapes[at] = true
			}
			if n, took := len(scrapes), time.Since(began); n < 2 || float64(n) > 2+took.Seconds() {
				t.Errorf("there were scrapes at %d times in %v", n, took)
			}
		})
	}
}

func TestPrometheusLoadEmpty(t *testing.T) {
	t.Parallel()
	gateway := newScraped(t, gatewayPage(t))
	source := newSource(t, startPrometheus(t, shippedJobs(t, gateway.address(), "127.0.0.1:1")).url)
	if loads, _ := load(t, source); len(loads) != 1 {
		t.Errorf("got %v", loads)
	}
	none := "# TYPE fnctl_gateway_bad_routes gauge\nfnctl_gateway_bad_routes 0\n"
	gateway.page.Store(&none)
	within(t, 20*time.Second, "no function is left, which is no error", func() error {
		if loads, err := source.Load(t.Context()); err != nil || len(loads) != 0 {
			return fmt.Errorf("got %v, %s", loads, fmt.Sprint(err))
		}
		return nil
	})
	gateway.Close()
	wantFailure(t, source, activator.ErrNotScraped.Error())
}

func TestPrometheusLoadOfTwoGateways(t *testing.T) {
	t.Parallel()
	gateway := newScraped(t, gatewayPage(t))
	jobs := shippedJobs(t, gateway.address(), gateway.address())
	source := newSource(t, startPrometheus(t, jobs).url)
	wantFailure(t, source, "prometheus has metrics of 3 gateways, of which one must be left")
	_, err := source.Load(t.Context())
	for _, job := range []string{`job="fnctl-gateway"`, `job="fnctl-activator"`, `job="fnctl-apps"`} {
		if err == nil || !strings.Contains(err.Error(), job) {
			t.Errorf("%v doesn't name %s", err, job)
		}
	}
}

// A Prometheus that hangs or is gone is an error and not a load of zero, and is asked again.
func TestPrometheusGone(t *testing.T) {
	t.Parallel()
	gateway := newScraped(t, gatewayPage(t))
	server := startPrometheus(t, shippedJobs(t, gateway.address(), "127.0.0.1:1"))
	source := newSource(t, server.url)
	load(t, source)

	server.cmd.Process.Signal(syscall.SIGSTOP)
	began := time.Now()
	if _, err := source.Load(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that hangs: got %v", err)
	}
	if took := time.Since(began); took > 20*time.Second { // not for ever
		t.Errorf("it took %v to give up", took)
	}
	server.cmd.Process.Signal(syscall.SIGCONT)
	load(t, source)

	server.cmd.Process.Kill()
	wantFailure(t, source, "connection refused")
}

func TestPrometheusQuery(t *testing.T) {
	t.Parallel()
	gateway := newScraped(t, gatewayPage(t)+"orders{kind=\"a\"} 3\norders{kind=\"b\"} 4\nempty NaN\n")
	source := newSource(t, startPrometheus(t, shippedJobs(t, gateway.address(), "127.0.0.1:1")).url)
	load(t, source)
	for query, want := range map[string]float64{
		"sum(orders)": 7, `orders{kind="a"}`: 3, "2 * 3": 6, "-1": -1, "nothing or vector(0)": 0, "scalar(sum(orders))": 7,
	} {
		if got, err := source.Query(t.Context(), query); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", query, got, err, want)
		}
	}
	for query, want := range map[string]string{
		"nothing": "yields nothing", "orders": "yields 2 numbers", "empty": "yields NaN", "1 / 0": "yields +Inf",
		`"text"`: "string", "orders[1m]": "a matrix", "sum(": "parse error", "": "ask prometheus",
	} {
		if got, err := source.Query(t.Context(), query); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, %v, want %q", query, got, err, want)
		}
	}
}

// The queries of the manual are valid, and are a number or wait for one.
func TestManualQueries(t *testing.T) {
	t.Parallel()
	gateway := newScraped(t, gatewayPage(t))
	source := newSource(t, startPrometheus(t, shippedJobs(t, gateway.address(), "127.0.0.1:1")).url)
	load(t, source)
	asked := 0
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readFile(t, "../docs/metrics.md"), -1) {
		config, err := platform.ParseConfig("jcloud.yml", []byte(block[1]))
		if strings.HasPrefix(block[1], "metrics:") {
			continue // of fnctl.yml
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
		for _, metric := range config.Autoscale.Metrics {
			if metric.Query == "" {
				continue
			}
			asked++
			if _, err := source.Query(t.Context(), metric.Query); err != nil && !strings.Contains(err.Error(), "yields nothing") {
				t.Errorf("%s: %v", metric.Query, err)
			}
		}
	}
	if asked < 3 {
		t.Errorf("there are %d queries", asked)
	}
}

// answers serves one answer to every question.
func answers(t *testing.T, code int, body string) *activator.PrometheusSource {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return newSource(t, server.URL)
}

// vector is an answer with some series, each as NAME{LABELS} VALUE in JSON.
func vector(series ...string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(series, ",") + `]}}`
}

func series(name, labels, value string) string {
	if labels != "" {
		labels = "," + labels
	}
	return fmt.Sprintf(`{"metric":{"__name__":%q%s},"value":[%d,%q]}`, name, labels, time.Now().Unix(), value)
}

// scrapedAgo is the series that says when the gateway was scraped.
func scrapedAgo(ago time.Duration) string {
	return series("scraped", `"job":"gateway"`, fmt.Sprintf("%.3f", float64(time.Now().Add(-ago).UnixMilli())/1000))
}

const ping = `"function":"ping","revision":"ping-00001"`

func TestPrometheusWrongAnswers(t *testing.T) {
	good := series(platform.MetricInFlight, ping, "1")
	if loads, err := answers(t, 200, vector(scrapedAgo(time.Second), good)).Load(t.Context()); err != nil || len(loads) != 1 {
		t.Fatalf("a good answer: got %v, %v", loads, err)
	}
	for name, test := range map[string]struct {
		code int
		body string
		want string
	}{
		"no body":               {200, "", "ask prometheus"},
		"not JSON":              {200, "<html>", "ask prometheus"},
		"not Prometheus":        {200, "{}", "got nothing, want a vector"},
		"no result":             {200, `{"status":"success","data":{"resultType":"vector"}}`, "ask prometheus"},
		"an error":              {422, `{"status":"error","errorType":"execution","error":"query timed out"}`, "query timed out"},
		"another error":         {503, "service unavailable", "ask prometheus: server_error"},
		"not found":             {404, "not found", "ask prometheus: client_error"},
		"a scalar":              {200, `{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`, "got a scalar, want a vector"},
		"nothing":               {200, vector(), activator.ErrNotScraped.Error()},
		"no gateway":            {200, vector(good), activator.ErrNotScraped.Error()},
		"two gateways":          {200, vector(scrapedAgo(0), series("scraped", `"job":"other"`, "1"), good), `2 gateways, of which one must be left: {job="gateway"}, {job="other"}`},
		"an old scrape":         {200, vector(scrapedAgo(11*time.Second), good), "last scraped the gateway at 20"},
		"a scrape to come":      {200, vector(scrapedAgo(-time.Minute), good), "last scraped the gateway at 20"},
		"a scrape at NaN":       {200, vector(series("scraped", "", "NaN")), "last scraped"},
		"a load of NaN":         {200, vector(scrapedAgo(0), series(platform.MetricInFlight, ping, "NaN")), "is NaN"},
		"a load of infinity":    {200, vector(scrapedAgo(0), series(platform.MetricQueued, ping, "+Inf")), "is +Inf"},
		"a negative load":       {200, vector(scrapedAgo(0), series(platform.MetricInFlight, ping, "-1")), "is -1"},
		"a load that is a text": {200, vector(scrapedAgo(0), series(platform.MetricInFlight, ping, "many")), "ask prometheus"},
		"no revision":           {200, vector(scrapedAgo(0), series(platform.MetricInFlight, "", "1")), "is not the name of a revision"},
		"a part":                {200, strings.Replace(vector(scrapedAgo(0), good), "{", `{"warnings":["one store is gone"],`, 1), "it warns: one store is gone"},
		"too much":              {200, vector(scrapedAgo(0), good) + strings.Repeat(" ", 33<<20), "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			if loads, err := answers(t, test.code, test.body).Load(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v, want %q", loads, err, test.want)
			}
		})
	}
	note := strings.Replace(vector(scrapedAgo(0), good), "{", `{"warnings":["PromQL info: metric might not be a counter"],`, 1)
	if _, err := answers(t, 200, note).Load(t.Context()); err != nil {
		t.Errorf("a note on the style of the query: %v", err)
	}
}

func TestPrometheusSlow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("timeout") != "2s" {
			t.Errorf("prometheus is not told how long it may take: %v", r.Form)
		}
		io.WriteString(w, `{"status":`) // a head is no answer
		w.(http.Flusher).Flush()
		<-release
	}))
	defer server.Close()
	defer close(release)
	source := newSource(t, server.URL)
	for name, ask := range map[string]func() error{
		"load":  func() error { _, err := source.Load(t.Context()); return err },
		"query": func() error { _, err := source.Query(t.Context(), "1"); return err },
	} {
		began := time.Now()
		if err := ask(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
		if took := time.Since(began); took < 2*time.Second || took > 20*time.Second { // not for ever
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// The series that distinguishes a gateway without functions from no gateway is one that the gateway has.
func TestGatewayIsPresent(t *testing.T) {
	if !strings.Contains(gatewayPage(t), "\n"+platform.MetricBadRoutes+" ") {
		t.Errorf("the gateway has no %s", platform.MetricBadRoutes)
	}
}

// The manual has every metric, and no other.
func TestMetricsManual(t *testing.T) {
	inCode, inManual := map[string]bool{}, map[string]bool{}
	for _, pattern := range []string{"*.go", "../gateway/*.go", "../platform/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, match := range regexp.MustCompile(`"(fnctl_(?:gateway|activator)_[a-z_]+)"`).FindAllStringSubmatch(readFile(t, file), -1) {
				inCode[match[1]] = true
			}
		}
	}
	for _, match := range regexp.MustCompile("(?m)^\\| `(fnctl_[a-z_]+)`").FindAllStringSubmatch(readFile(t, "../docs/metrics.md"), -1) {
		inManual[match[1]] = true
	}
	if len(inCode) < 20 || !maps.Equal(inCode, inManual) {
		t.Errorf("in the code %v, in the manual %v", slices.Sorted(maps.Keys(inCode)), slices.Sorted(maps.Keys(inManual)))
	}
}

// The files for Prometheus are valid.
func TestShippedPrometheusFiles(t *testing.T) {
	for _, args := range [][]string{{"check", "config", "../packaging/prometheus/scrape.yml"}, {"check", "rules", "../packaging/prometheus/alerts.yml"}} {
		if out, err := exec.Command("promtool", args...).CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
			t.Skip("no promtool: apt-get install --no-install-recommends prometheus")
		} else if err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
