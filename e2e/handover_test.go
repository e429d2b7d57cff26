//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/fnctl/fnctl/e2e/machine"
	"github.com/fnctl/fnctl/platform"
)

const (
	gatewayUnit = "fnctl-gateway.service"
	// A gateway that has handed over has longer for its requests and WebSockets than the tests take on any machine.
	patientGateway = "gateway: {drain_timeout: 1h}\n"
	patientConfig  = "timeout: 1h\ndrain_grace: 1h\nautoscale: {min: 1, max: 2, metric: concurrency, target: 1000}\n"
	// handoverRate is how many short requests there are in a second while gateways change, and longRequest how long others
	// beside them take, of which longRequests run at each time: a gateway that is followed has to finish them.
	handoverRate = 250
	longRequest  = 16 * time.Second
	longRequests = 200
)

// A gateway hands over to its successor, and nobody notices: neither who has a request under way nor who comes next.
func TestHandover(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootLedgerOn(t, suite)
			m.deploy(t, "echo", patientConfig, "main:app")
			m.WriteFile(t, "/etc/fnctl/fnctl.yml", patientGateway)
			m.MustRun(t, "systemctl", "restart", gatewayUnit)
			long := m.startSteadyOf(t, fmt.Sprintf("%s/sleep?seconds=%v", echoURL, longRequest.Seconds()),
				"-rate", strconv.Itoa(longRequests*3/2/int(longRequest.Seconds())), "-most", "1000", "-gets")
			t.Run("reload", func(t *testing.T) {
				testHandover(t, m, 3, func() { m.reloadGateway(t) })
			})
			t.Run("upgrade of the package", func(t *testing.T) {
				testHandover(t, m, 2, func() {
					m.MustRun(t, "sh", "-c", "dpkg --install /var/tmp/*.deb") // TestPackage has apt
				})
			})
			t.Run("to nobody", func(t *testing.T) { testHandoverToNobody(t, m) })
			long.stop(t)
			t.Run("successor killed", func(t *testing.T) { testSuccessorKilled(t, m) })
			t.Run("new limits", func(t *testing.T) { testHandoverTakesUnit(t, m) })
			t.Run("connection not used yet", func(t *testing.T) { testHandoverUnused(t, m) })
			t.Run("stop", func(t *testing.T) { testHandoverThenStop(t, m) })
			only(t, machine.Bookworm, suite, "instances stay", func(t *testing.T) { testHandoverKeepsInstances(t, m) })
		})
	}
}

// testHandover replaces the gateway some times under long requests that may outlast several gateways, steady short ones, and
// open WebSockets.
func testHandover(t *testing.T, m *testMachine, times int, replace func()) {
	sockets := m.openWebSockets(t, 10)
	fast := m.startSteady(t, "handover", handoverRate, 0)
	m.waitInFlight(t, "echo", longRequests)
	for range times {
		before := m.property(t, gatewayUnit, "MainPID")
		replace()
		m.checkSucceeded(t, before)
		checkWebSockets(t, sockets)
		// The old gateway's requests are known: nobody takes their instance for idle.
		if got := m.inFlight(t, "echo"); got < len(sockets) {
			t.Errorf("with %d open WebSockets there are %d requests in flight", len(sockets), got)
		}
		m.waitInFlight(t, "echo", longRequests)
	}
	checkNotHeldUp(t, fast.stop(t))
	// No gateway has waited for them.
	checkWebSockets(t, sockets)
	for _, conn := range sockets {
		conn.CloseNow()
	}
}

// reloadGateway has another gateway take over.
func (m *testMachine) reloadGateway(t *testing.T) {
	t.Helper()
	m.MustRun(t, "systemctl", "reload-or-restart", gatewayUnit)
}

// checkSucceeded expects another gateway than before, of which systemd knows that it is the one.
func (m *testMachine) checkSucceeded(t *testing.T, before string) {
	t.Helper()
	m.waitActive(t, gatewayUnit)
	if pid := m.property(t, gatewayUnit, "MainPID"); pid == before || pid == "0" || !slices.Contains(m.gateways(t), pid) {
		t.Errorf("the main process was %s and is %s, gateways: %v", before, pid, m.gateways(t))
	}
	if n := m.property(t, gatewayUnit, "NRestarts"); n != "0" {
		t.Errorf("systemd has restarted the gateway %s times", n)
	}
}

// gateways are the process IDs of all gateways, those that drain too.
func (m *testMachine) gateways(t *testing.T) []string {
	t.Helper()
	return strings.Fields(m.MustRun(t, "sh", "-c", "pgrep --exact --full '/usr/bin/fnctl gateway.*' || true"))
}

// checkNotHeldUp expects that no short request has waited for the long ones beside it.
func checkNotHeldUp(t *testing.T, short []sent) {
	t.Helper()
	for _, one := range short {
		if one.Took >= longRequest {
			t.Errorf("a short request at %s took %v, %v of it to connect", one.Began.Format("05.000"), one.Took, one.Connect)
			return
		}
	}
}

// socket is an open WebSocket of the echo. It is read all the time: the app sends pings, and closes one that does not answer.
type socket struct {
	*websocket.Conn
	heard chan heard
}

// heard is what has come over a WebSocket: a message, or its end.
type heard struct {
	text string
	err  error
}

func (m *testMachine) openWebSockets(t *testing.T, n int) []socket {
	t.Helper()
	var sockets []socket
	for range n {
		conn, _, err := websocket.Dial(t.Context(), echoURL+"/ws", &websocket.DialOptions{HTTPClient: m.Client()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		s := socket{conn, make(chan heard, 1)}
		go s.read(t.Context())
		sockets = append(sockets, s)
	}
	return sockets
}

// read reads until the end, which it says, too.
func (s socket) read(ctx context.Context) {
	for {
		_, text, err := s.Read(ctx)
		select {
		case s.heard <- heard{string(text), err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// checkWebSockets expects an answer on each.
func checkWebSockets(t *testing.T, sockets []socket) {
	t.Helper()
	for n, s := range sockets {
		text := "message " + strconv.Itoa(n)
		if err := s.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Errorf("WebSocket %d: %v", n, err)
			return
		}
		select {
		case got := <-s.heard:
			if got.err != nil || got.text != text {
				t.Errorf("WebSocket %d: got %q, %v", n, got.text, got.err)
				return
			}
		case <-t.Context().Done():
			return
		}
	}
}

// inFlight is what the gateway says of a function.
func (m *testMachine) inFlight(t *testing.T, function string) int {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	page := m.MustRun(t, "curl", "--silent", "--show-error", "--fail", "--unix-socket", "/run/fnctl/gateway.sock", "http://localhost/metrics")
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, metric := range families[platform.MetricInstanceInFlight].GetMetric() {
		for _, label := range metric.GetLabel() {
			if label.GetName() == "function" && label.GetValue() == function {
				sum += metric.GetGauge().GetValue()
			}
		}
	}
	return int(sum)
}

func (m *testMachine) waitInFlight(t *testing.T, function string, n int) {
	t.Helper()
	eventually(t, 20*time.Second, strconv.Itoa(n)+" requests of "+function+" are in flight", func() bool { return m.inFlight(t, function) >= n })
}

// An instance whose only request came through another gateway is not stopped, although none arrives for longer than the function's
// window.
func testHandoverKeepsInstances(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", "timeout: 1h\ndrain_grace: 1h\nautoscale: {min: 0, max: 2, metric: concurrency, target: 10, stable_window: 6s, scale_down_delay: 0s}\n", "main:app")
	sockets := m.openWebSockets(t, 1)
	eventually(t, 20*time.Second, "the old instance has gone", func() bool { return m.status(t, "echo").areReady(1) })
	m.reloadGateway(t)
	for deadline := time.Now().Add(9 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if states := m.status(t, "echo").states(); !strings.Contains(states, "ready") {
			t.Fatalf("with an open WebSocket the instances are %q", states)
		}
	}
	checkWebSockets(t, sockets)
	// Counted by the gateway that serves now.
	m.MustRun(t, "curl", "--silent", "--show-error", "--fail", "--output", "/dev/null", echoURL+"/headers")
	sockets[0].CloseNow()
	m.waitZero(t, "echo", 30*time.Second)
	// Nor does a function wake up because all counters begin again.
	m.reloadGateway(t)
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if states := m.status(t, "echo").states(); !atZero(states) {
			t.Fatalf("without a request the instances are %q", states)
		}
	}
	eventually(t, 20*time.Second, "only the last gateway is left", func() bool {
		return slices.Equal(m.gateways(t), []string{m.property(t, gatewayUnit, "MainPID")})
	})
}

// A successor that cannot start changes nothing but that the reload fails and says so.
func testHandoverToNobody(t *testing.T, m *testMachine) {
	fast := m.startSteady(t, "nobody", handoverRate, 0)
	before := m.property(t, gatewayUnit, "MainPID")
	fails := func(why, said string) {
		t.Helper()
		since := "--since=" + strings.TrimSpace(m.MustRun(t, "date", "+@%s"))
		if out, _ := m.Run(t.Context(), "systemctl", "reload", gatewayUnit); out.Code == 0 {
			t.Errorf("%s: the reload has worked", why)
		}
		eventually(t, 5*time.Second, why+": the log says "+said, func() bool {
			// Not only of the unit: of a process that has ended when its line arrives, journald does not know the unit.
			return m.MustRun(t, "sh", "-c", `journalctl --output=cat "$1" | grep --fixed-strings -e "$2" || true`, "sh", since, said) != ""
		})
		if pid := m.property(t, gatewayUnit, "MainPID"); pid != before || m.property(t, gatewayUnit, "ActiveState") != "active" {
			t.Errorf("%s: the main process was %s and is %s", why, before, pid)
		}
	}
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "gateway: {max_queu: 1}\n")
	fails("wrong settings", "did you mean gateway.max_queue?")
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", patientGateway)
	m.MustRun(t, "sh", "-c", "mv /usr/bin/fnctl /usr/bin/fnctl.good; echo nonsense >/usr/bin/fnctl; chmod +x /usr/bin/fnctl")
	fails("wrong program", gatewayUnit+": Failed to execute /usr/bin/fnctl")
	m.MustRun(t, "sh", "-c", "printf '#!/bin/sh\nexit 1\n' >/usr/bin/fnctl")
	fails("failing program", gatewayUnit+": Control process exited")
	m.MustRun(t, "mv", "/usr/bin/fnctl.good", "/usr/bin/fnctl")
	for _, path := range []string{"handover", "predecessor", "streams"} { // to get sockets, or to have some taken
		out := m.MustFail(t, 22, "setpriv", "--reuid=nobody", "--regid=fnctl", "--clear-groups",
			"curl", "--silent", "--show-error", "--fail", "--unix-socket", "/run/fnctl/gateway.sock", "--request", "POST", "http://x/"+path)
		if !strings.Contains(out.Stderr, "403") {
			t.Errorf("another user, %s: %s", path, out.Stderr)
		}
	}
	m.MustRun(t, "systemctl", "reload", gatewayUnit)
	m.checkSucceeded(t, before)
	checkNotHeldUp(t, fast.stop(t))
}

// A gateway that is killed is back at once also while the one before it finishes what it has, and that is not lost.
func testSuccessorKilled(t *testing.T, m *testMachine) {
	const requests = 10
	long := m.startTraffic(t, echoURL+"/sleep?seconds=15", requests)
	m.waitInFlight(t, "echo", requests)
	m.MustRun(t, "systemctl", "reload", gatewayUnit)
	long.cancel()
	fast := m.startSteady(t, "successor", handoverRate, 0)
	time.Sleep(300 * time.Millisecond)
	killed := m.kill(t, gatewayUnit)
	m.waitActive(t, gatewayUnit)
	eventually(t, 2*time.Second, "the next gateway knows what the first one has", func() bool { return m.inFlight(t, "echo") >= requests })
	t.Logf("a gateway answers again after %v", firstAfter(killed, fast.stop(t, killed)).Round(time.Millisecond))
	long.stop(t) // it has not waited for the first one, which has these still
}

// The successor runs with what its unit says by now, not with what it said when the first gateway was started.
func testHandoverTakesUnit(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/etc/systemd/system/fnctl-gateway.service.d/limit.conf", "[Service]\nLimitNOFILE=12345\n")
	m.MustRun(t, "systemctl", "daemon-reload")
	m.MustRun(t, "systemctl", "reload", gatewayUnit)
	pid := m.property(t, gatewayUnit, "MainPID")
	if got := m.MustRun(t, "grep", "open files", "/proc/"+pid+"/limits"); !strings.Contains(got, "12345") {
		t.Errorf("the gateway has %s", got)
	}
	m.MustRun(t, "rm", "-r", "/etc/systemd/system/fnctl-gateway.service.d")
	m.MustRun(t, "systemctl", "daemon-reload")
}

// To stop the gateway is to wait for all of them.
func testHandoverThenStop(t *testing.T, m *testMachine) {
	long := m.startTraffic(t, echoURL+"/sleep?seconds=5", 10)
	m.waitInFlight(t, "echo", 10)
	m.MustRun(t, "systemctl", "reload", gatewayUnit)
	long.cancel()
	fast := m.startSteadyOf(t, ledgerURL, "-name", "stop", "-rate", strconv.Itoa(handoverRate), "-most", "5000", "-repeat")
	m.MustRun(t, "systemctl", "restart", gatewayUnit)
	if got := m.gateways(t); !slices.Equal(got, []string{m.property(t, gatewayUnit, "MainPID")}) {
		t.Errorf("gateways %v", got)
	}
	long.stop(t)
	fast.stop(t)
}
