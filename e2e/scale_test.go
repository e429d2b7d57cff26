//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/e2e/machine"
)

// What the activator does with load that comes and goes.
func TestScale(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	sideBySide(t,
		func() {
			t.Run("steps", func(t *testing.T) { testSteps(t, m) })
			t.Run("restart in panic", func(t *testing.T) { testRestartInPanic(t, m) })
			t.Run("connections", func(t *testing.T) { testConnectionsKeepInstances(t, m) })
		},
		func() { t.Run("zero on every metric", func(t *testing.T) { testZeroOnEveryMetric(t, m) }) },
	)
}

const stepsConfig = "timeout: 60\nautoscale: {min: 0, max: 6, metric: concurrency, target: 6, stable_window: 6s, scale_down_delay: 0s}\n"

// load keeps n requests in flight, and counts.
type load struct {
	cancel       context.CancelFunc
	wg           sync.WaitGroup
	sent, failed atomic.Int64
}

func (m *testMachine) startLoad(t *testing.T, n int) *load {
	t.Helper()
	return m.startLoadOf(t, echoURL+"/sleep?seconds=2", n)
}

func (m *testMachine) startLoadOf(t *testing.T, url string, n int) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{cancel: cancel}
	client := m.Client()
	for range n {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				a, err := fetch(context.WithoutCancel(ctx), client, url)
				l.sent.Add(1)
				if err != nil || a.code != http.StatusOK {
					l.failed.Add(1)
				}
			}
		})
	}
	t.Cleanup(cancel)
	return l
}

func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.wg.Wait()
	if failed := l.failed.Load(); failed > 0 {
		t.Errorf("%d of %d requests failed", failed, l.sent.Load())
	}
}

func (m *testMachine) waitReady(t *testing.T, name string, n int, within time.Duration) time.Duration {
	t.Helper()
	started := time.Now()
	eventually(t, within, name+" has the instances that its load needs", func() bool { return m.status(t, name).Scale.Ready == n })
	return time.Since(started)
}

// Knative's own example: 0 → 12 → 24 → 0 requests in flight against a target of 6.
func testSteps(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", stepsConfig, "main:app")
	m.waitZero(t, "echo", 30*time.Second)
	first := m.startLoad(t, 12)
	t.Logf("0 → 12 in flight: 2 instances after %v", m.waitReady(t, "echo", 2, 20*time.Second))
	second := m.startLoad(t, 12)
	t.Logf("12 → 24 in flight: 4 instances after %v", m.waitReady(t, "echo", 4, 20*time.Second))
	second.stop(t)
	first.stop(t)
	m.waitZero(t, "echo", 60*time.Second)
}

// An activator that has just begun knows no history, and takes nothing away.
func testRestartInPanic(t *testing.T, m *testMachine) {
	l := m.startLoad(t, 24)
	m.waitReady(t, "echo", 4, 20*time.Second)
	for range 3 {
		m.MustRun(t, "systemctl", "kill", "--signal=KILL", "fnctl-activator.service")
		m.waitActive(t, "fnctl-activator.service")
	}
	for deadline := time.Now().Add(4 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		states := m.status(t, "echo").states()
		if running := strings.Count(states, "ready") + strings.Count(states, "starting"); running < 4 {
			t.Errorf("after a restart %d instances are left of 4", running)
			break
		}
	}
	l.stop(t)
	m.waitZero(t, "echo", 60*time.Second)
}

// Requests that are further apart than the window are all cold, and none fails, whatever a function is scaled by.
func testZeroOnEveryMetric(t *testing.T, m *testMachine) {
	var names []string
	for metric, target := range map[string]string{"cpu": "50", "memory": "400", "rps": "10", "concurrency": "10"} {
		config := "autoscale: {min: 0, max: 3, metric: " + metric + ", target: " + target + ", stable_window: 6s, scale_down_delay: 0s}\n"
		m.deploy(t, "ping", neverAsleep("each request is to be cold", config), "main:app", "--name", "by-"+metric)
		names = append(names, "by-"+metric)
	}
	for range 2 {
		for _, name := range names {
			m.waitZero(t, name, 40*time.Second)
		}
		for _, name := range names {
			if a := m.mustGet(t, "http://"+name+".localhost:8080/ping"); a.header.Get("Fnctl-Cold-Start") == "" {
				t.Errorf("%s: the request was not cold: that proves nothing", name)
			}
		}
	}
}

// An open WebSocket keeps its instance awake; an idle connection does not.
func testConnectionsKeepInstances(t *testing.T, m *testMachine) {
	conn, _, err := websocket.Dial(t.Context(), echoURL+"/ws", &websocket.DialOptions{HTTPClient: m.Client()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	m.waitReady(t, "echo", 1, 20*time.Second)
	for deadline := time.Now().Add(9 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if states := m.status(t, "echo").states(); !strings.Contains(states, "ready") {
			t.Fatalf("with an open WebSocket the instances are %q", states)
		}
	}
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
		t.Error(err)
	}
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Error(err)
	}
	conn.CloseNow()
	client := m.Client() // its connection stays open
	if a, err := fetch(t.Context(), client, echoURL+"/headers"); err != nil || a.code != http.StatusOK {
		t.Fatal(a, err)
	}
	m.waitZero(t, "echo", 30*time.Second)
	if a, err := fetch(t.Context(), client, echoURL+"/headers"); err != nil || a.code != http.StatusOK || !strings.HasSuffix(a.header.Get("Fnctl-Cold-Start"), "; from=standby") {
		t.Errorf("the next request on the idle connection: %d %q %v", a.code, a.header.Get("Fnctl-Cold-Start"), err)
	}
}
