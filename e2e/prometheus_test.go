//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// The activator decides by what a Prometheus server of Debian's package has scraped.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			t.Run("attach", func(t *testing.T) { testAttachPrometheus(t, m) })
			sideBySide(t,
				func() {
					only(t, machine.Bookworm, suite, "zero and back", func(t *testing.T) { testPrometheusZero(t, m) })
				},
				func() { only(t, machine.Bookworm, suite, "load", func(t *testing.T) { testPrometheusLoad(t, m) }) },
				func() { only(t, machine.Trixie, suite, "query", func(t *testing.T) { testPrometheusQuery(t, m) }) },
			)
			only(t, machine.Bookworm, suite, "gone", func(t *testing.T) { testPrometheusGone(t, m) })
			t.Run("detach", func(t *testing.T) { testDetachPrometheus(t, m) })
		})
	}
}

// What docs/metrics.md says, with requests that must not notice.
func testAttachPrometheus(t *testing.T, m *testMachine) {
	m.deploy(t, "ping", serverless, "main:app")
	traffic := m.startRepeatingTraffic(t, pingURL, 2)
	m.MustFail(t, 7, "curl", "-s", "http://127.0.0.1:9464/metrics")
	m.MustFail(t, 7, "curl", "-s", "http://127.0.0.1:9465/metrics")
	m.MustRun(t, "systemctl", "enable", "fnctl-gateway-metrics.socket", "fnctl-activator-metrics.socket")
	m.MustRun(t, "systemctl", "restart", "fnctl-gateway", "fnctl-activator")
	traffic.stop(t)
	for address, want := range map[string]string{
		"127.0.0.1:9464/metrics": "fnctl_gateway_bad_routes 0", "127.0.0.1:9465/metrics": "fnctl_activator_tick_duration_seconds",
	} {
		if out := m.MustRun(t, "curl", "-sf", "http://"+address); !strings.Contains(out, want) {
			t.Errorf("%s: no %q in\n%s", address, want, out)
		}
	}
	m.MustRun(t, "sh", "-c", "sed 's/_interval: 5s/_interval: 1s/; s/_timeout: 5s/_timeout: 1s/' /usr/share/fnctl/prometheus/scrape.yml >/etc/prometheus/prometheus.yml")
	m.MustRun(t, "promtool", "check", "rules", "/usr/share/fnctl/prometheus/alerts.yml")
	m.MustRun(t, "systemctl", "start", "prometheus")
	m.waitPrometheus(t)
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "metrics: {source: prometheus}\n")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator")
}

// waitPrometheus waits until both daemons are scraped.
func (m *testMachine) waitPrometheus(t *testing.T) {
	t.Helper()
	eventually(t, 60*time.Second, "prometheus scrapes the gateway, the activator and the apps", func() bool {
		got, _ := m.query(t, `sum(up{job=~"fnctl-.*"})`)
		return got == "3"
	})
}

// query asks Prometheus for a number, as text.
func (m *testMachine) query(t *testing.T, query string) (string, bool) {
	t.Helper()
	a, err := fetch(t.Context(), m.Client(), "http://localhost:9090/api/v1/query?query="+url.QueryEscape(query))
	if err != nil {
		return "", false // it is not up yet
	}
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil || len(answer.Data.Result) != 1 {
		return "", false
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1]), true
}

func testPrometheusZero(t *testing.T, m *testMachine) {
	for range 2 {
		asleep, pid := m.waitAsleep(t, "ping")
		m.wakes(t, pingURL, asleep, pid)
	}
	m.waitZero(t, "ping", 40*time.Second)
}

const (
	twoAtLoad = "autoscale: {min: 1, max: 2, metric: concurrency, target: 3, stable_window: 6s, scale_down_delay: 0s}\n"
	sleepURL  = "http://echo.localhost:8080/sleep?seconds=2"
)

func testPrometheusLoad(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", twoAtLoad, "main:app")
	m.waitReady(t, "echo", 1, 20*time.Second)
	traffic := m.startTraffic(t, sleepURL, 6)
	m.waitReady(t, "echo", 2, 30*time.Second)
	traffic.stop(t)
	m.waitReady(t, "echo", 1, 40*time.Second)
}

// No data is not no load.
func testPrometheusGone(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, sleepURL, 6)
	// The gateway may have woken the second one before it was decided that there are two.
	eventually(t, 30*time.Second, "two are ready and desired", func() bool { s := m.status(t, "echo").Scale; return s.Ready == 2 && s.Desired == 2 })
	before := m.timesWithoutMetrics(t)
	m.MustRun(t, "systemctl", "stop", "prometheus")
	eventually(t, 10*time.Second, "status says that there is no data", func() bool {
		return strings.Contains(m.MustRun(t, "fnctl", "status", "echo"), "no data")
	})
	if n := m.timesWithoutMetrics(t) - before; n != 1 {
		t.Errorf("the journal says %d times that there are no metrics, want once", n)
	}
	if out := m.MustRun(t, "curl", "-sf", "http://127.0.0.1:9465/metrics"); !strings.Contains(out, `fnctl_activator_scrapes_total{result="error"}`) {
		t.Errorf("no metric says so:\n%s", out)
	}
	traffic.stop(t)
	// Longer than it would take with data.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		if s := m.status(t, "echo"); s.Scale.Ready != 2 || s.Scale.Desired != 2 {
			t.Fatalf("without data: %s, desired %d", s.states(), s.Scale.Desired)
		}
	}
	m.MustRun(t, "systemctl", "start", "prometheus")
	m.waitReady(t, "echo", 1, 60*time.Second)
	m.MustRun(t, "sh", "-c", "journalctl --unit=fnctl-activator --output=cat | grep -q 'metrics are back'")
	m.MustRun(t, "fnctl", "remove", "echo")
}

// timesWithoutMetrics is how many times the activator has logged that there are no metrics.
func (m *testMachine) timesWithoutMetrics(t *testing.T) int {
	t.Helper()
	journal := m.MustRun(t, "journalctl", "--unit=fnctl-activator", "--no-pager", "--output=cat")
	return strings.Count(journal, "no metrics: nothing is scaled down")
}

// By a number that the app itself publishes, which makes its way through the activator and Prometheus.
func testPrometheusQuery(t *testing.T, m *testMachine) {
	m.deploy(t, "jobs", "", "main:app")
	m.waitReady(t, "jobs", 1, 20*time.Second)
	started := m.started(t, "jobs")
	eventually(t, 30*time.Second, "prometheus has the app's metric", func() bool {
		got, _ := m.query(t, `jobs_waiting{function="jobs",revision="jobs-00001",instance="1"}`)
		return got == "0"
	})
	if got := m.started(t, "jobs"); got != started {
		t.Errorf("scrapes of the app count as requests: %s, %s", started, got)
	}
	m.setWaiting(t, 25)
	m.waitReady(t, "jobs", 3, 40*time.Second)
	m.setWaiting(t, 0)
	m.waitReady(t, "jobs", 1, 60*time.Second)
	m.MustRun(t, "fnctl", "remove", "jobs")
}

func (m *testMachine) setWaiting(t *testing.T, n int) {
	t.Helper()
	m.MustRun(t, "curl", "-sf", "-X", "POST", fmt.Sprintf("http://jobs.localhost:8080/waiting/%d", n))
}

// started is the gateway's count of requests of a function.
func (m *testMachine) started(t *testing.T, name string) string {
	t.Helper()
	return m.MustRun(t, "sh", "-c", "curl -sf http://127.0.0.1:9464/metrics | grep '^fnctl_gateway_requests_started_total{function=\""+name+"\"' || true")
}

// A stopped activator stays stopped although it is scraped, and what was enabled can be disabled.
func testDetachPrometheus(t *testing.T, m *testMachine) {
	m.MustRun(t, "systemctl", "stop", "fnctl-activator")
	eventually(t, 20*time.Second, "prometheus misses the activator", func() bool {
		got, _ := m.query(t, `up{job="fnctl-activator"}`)
		return got == "0"
	})
	if state := m.property(t, "fnctl-activator.service", "ActiveState"); state != "inactive" {
		t.Errorf("a scrape started the activator: it is %s", state)
	}
	m.mustGet(t, pingURL) // which needs no activator
	m.MustRun(t, "systemctl", "disable", "fnctl-gateway-metrics.socket", "fnctl-activator-metrics.socket")
	m.MustRun(t, "systemctl", "stop", "fnctl-gateway-metrics.socket")
	m.MustRun(t, "rm", "/etc/fnctl/fnctl.yml")
	m.MustRun(t, "systemctl", "restart", "fnctl-gateway")
	m.MustRun(t, "systemctl", "start", "fnctl-activator")
	m.MustFail(t, 7, "curl", "-s", "http://127.0.0.1:9464/metrics")
	m.MustFail(t, 7, "curl", "-s", "http://127.0.0.1:9465/metrics")
	m.waitZero(t, "ping", 40*time.Second)
	m.mustGet(t, pingURL)
}
