//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// What dies takes no request with it that it need not.
func TestSurvive(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.deploy(t, "ping", serverless, "main:app")
	t.Run("update under load", func(t *testing.T) { testUpdate(t, m) })
	t.Run("activator killed under load", func(t *testing.T) { testActivatorKilled(t, m) })
	t.Run("activator dead", func(t *testing.T) { testActivatorDead(t, m) })
	t.Run("gateway restarted under load", func(t *testing.T) { testGatewayRestarted(t, m) })
	t.Run("gateway killed", func(t *testing.T) { testGatewayKilled(t, m) })
	t.Run("instance killed", func(t *testing.T) { testInstanceKilled(t, m) })
	sideBySide(t,
		func() { t.Run("socket stopped by hand", func(t *testing.T) { testSocketStopped(t, m) }) },
		func() { t.Run("socket file removed", func(t *testing.T) { testSocketFileRemoved(t, m) }) },
		func() { t.Run("copy of the app removed", func(t *testing.T) { testCopyRemoved(t, m) }) },
	)
	t.Run("gateway asleep", func(t *testing.T) { testGatewayAsleep(t, m) })
	t.Run("route damaged", func(t *testing.T) { testRouteDamaged(t, m) })
	t.Run("deploy killed", func(t *testing.T) { testDeployKilled(t, m) })
	t.Run("reboot", func(t *testing.T) { testComesBack(t, m, m.Reboot) })
	t.Run("power loss", func(t *testing.T) { testComesBack(t, m, m.PowerLoss) })
}

func testUpdate(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, pingURL, 8)
	for range 3 {
		m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app", "--force")
	}
	eventually(t, 30*time.Second, "only the new revision has instances", func() bool { return len(m.status(t, "ping").Revisions) == 1 })
	traffic.stop(t)
}

// A deploy says it if the gateway does not take the route: it is not served.
func testGatewayAsleep(t *testing.T, m *testMachine) {
	out := m.MustRunIn(t, "/srv/ping", "sh", "-c", `systemctl kill --signal=STOP fnctl-gateway.service
		fnctl deploy main:app --force 2>&1; deployed=$?
		systemctl kill --signal=CONT fnctl-gateway.service; exit $deployed`)
	if !strings.Contains(out, "the gateway has not taken the route of ping") || !strings.Contains(out, "journalctl -u fnctl-gateway") {
		t.Errorf("the deploy says:\n%s", out)
	}
	eventually(t, 10*time.Second, "ping is served", func() bool {
		a, err := fetch(t.Context(), m.Client(), pingURL)
		return err == nil && a.code == http.StatusOK
	})
	if out := m.MustRunIn(t, "/srv/ping", "sh", "-c", "fnctl deploy main:app --force 2>&1"); strings.Contains(out, "has not taken") {
		t.Errorf("with a gateway that is awake:\n%s", out)
	}
	eventually(t, 30*time.Second, "only the new revision has instances", func() bool { return len(m.status(t, "ping").Revisions) == 1 })
}

func testActivatorKilled(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, pingURL, 8)
	for range 5 {
		m.MustRun(t, "systemctl", "kill", "--signal=KILL", "fnctl-activator.service")
		m.waitActive(t, "fnctl-activator.service")
	}
	traffic.stop(t)
}

func (m *testMachine) waitActive(t *testing.T, unit string) {
	t.Helper()
	eventually(t, 20*time.Second, unit+" is active", func() bool {
		return strings.TrimSpace(m.MustRun(t, "sh", "-c", "systemctl is-active "+unit+" || true")) == "active"
	})
}

// Without an activator a function at zero still answers: PID 1 starts what the gateway connects to.
func testActivatorDead(t *testing.T, m *testMachine) {
	m.deployAtZero(t, "alone", neverAsleep("it is to be started", serverless))
	m.MustRun(t, "systemctl", "stop", "fnctl-activator.service")
	cold := m.mustGet(t, "http://alone.localhost:8080/ping")
	if cold.header.Get("Fnctl-Cold-Start") == "" {
		t.Error("the request met a running instance: that proves nothing")
	}
	m.MustRun(t, "systemctl", "start", "fnctl-activator.service")
	m.waitZero(t, "alone", 30*time.Second)
}

func testGatewayRestarted(t *testing.T, m *testMachine) {
	traffic := m.startRepeatingTraffic(t, pingURL, 8)
	for range 3 {
		m.MustRun(t, "systemctl", "restart", "fnctl-gateway.service")
		m.waitActive(t, "fnctl-gateway.service")
	}
	traffic.stop(t)
}

// Connections after the kill succeed: systemd holds the listener. TestChaos counts what is lost meanwhile.
func testGatewayKilled(t *testing.T, m *testMachine) {
	for range 5 {
		m.MustRun(t, "systemctl", "kill", "--signal=KILL", "fnctl-gateway.service")
		m.mustGet(t, pingURL)
	}
}

// The next request finds a new process behind the same socket.
func testInstanceKilled(t *testing.T, m *testMachine) {
	m.mustGet(t, pingURL)
	for range 3 {
		pid := m.oneInstance(t, "ping").PIDs[0]
		m.MustRun(t, "kill", "-9", fmt.Sprint(pid))
		eventually(t, 20*time.Second, "the process is gone", func() bool {
			return m.MustRun(t, "sh", "-c", fmt.Sprintf("test -d /proc/%d && echo there || true", pid)) == ""
		})
		m.mustGet(t, pingURL)
	}
}

// A socket that somebody stopped by hand is armed again.
func testSocketStopped(t *testing.T, m *testMachine) {
	m.deployAtZero(t, "stopped", serverless)
	m.MustRun(t, "systemctl", "stop", "fn-stopped-*@*.socket")
	m.mustGet(t, "http://stopped.localhost:8080/ping")
}

// deployAtZero deploys ping by another name, and waits until it is at zero.
func (m *testMachine) deployAtZero(t *testing.T, name, config string) {
	t.Helper()
	dir := "/srv/" + name
	m.CopyIn(t, function("ping"), dir)
	m.WriteFile(t, dir+"/jcloud.yml", config)
	m.MustRunIn(t, dir, "fnctl", "deploy", "main:app")
	m.waitZero(t, name, 30*time.Second)
}

// Where nobody can connect any more, the next instance is armed.
func testSocketFileRemoved(t *testing.T, m *testMachine) {
	m.deployAtZero(t, "unlinked", serverless)
	m.MustRun(t, "sh", "-c", "rm /run/fnctl/instances/unlinked-*")
	m.mustGet(t, "http://unlinked.localhost:8080/ping") // it waits
	m.waitZero(t, "unlinked", 60*time.Second)
}

// An instance whose copy of the app is gone is replaced by one with a new copy.
func testCopyRemoved(t *testing.T, m *testMachine) {
	m.deployAtZero(t, "bare", neverAsleep("what sleeps needs its copy no more", serverless))
	m.MustRun(t, "sh", "-c", "rm -rf /var/cache/private/fnctl/bare-*")
	m.mustGet(t, "http://bare.localhost:8080/ping") // it waits
	m.waitZero(t, "bare", 60*time.Second)
}

// Whatever becomes of a route's file, its function goes on with the last good one and others don't notice, also after a
// restart of the activator; the log and the status say so, and a deploy makes it good.
func testRouteDamaged(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", serverless, "main:app")
	for _, damage := range []struct{ name, command string }{
		{"corrupt", "echo '{' >"},
		{"half-written", "truncate --size=-20"},
		{"empty", ": >"},
		{"vanished", "rm"},
	} {
		t.Run(damage.name, func(t *testing.T) {
			m.mustGet(t, pingURL)
			m.MustRun(t, "sh", "-c", damage.command+" /var/lib/fnctl/functions/ping/route.json")
			m.MustRun(t, "systemctl", "restart", "fnctl-activator.service")
			for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				m.mustGet(t, pingURL)
				m.mustGet(t, echoURL+"/headers")
			}
			if out, _ := m.Run(t.Context(), "fnctl", "status", "ping"); !strings.Contains(out.Stdout+out.Stderr, "route") {
				t.Errorf("the status says nothing about the route:\n%s%s", out.Stdout, out.Stderr)
			}
			if log := m.MustRun(t, "journalctl", "--unit=fnctl-gateway.service", "--since=-20s", "--output=cat"); !strings.Contains(log, "ping") {
				t.Errorf("the gateway's log says nothing about the route:\n%s", log)
			}
			m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app")
			m.mustGet(t, pingURL)
		})
	}
}

// Whatever a killed deploy leaves, the old revision serves, and the next deploy succeeds.
func testDeployKilled(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, pingURL, 4)
	for n := range 12 {
		m.MustRunIn(t, "/srv/ping", "sh", "-c", fmt.Sprintf("timeout --signal=KILL 0.%02d fnctl deploy main:app --force 2>/dev/null || true", 3+5*n))
	}
	m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app")
	eventually(t, 60*time.Second, "only the last revision has instances", func() bool { return len(m.status(t, "ping").Revisions) == 1 })
	traffic.stop(t)
}

func testComesBack(t *testing.T, m *testMachine, down func(*testing.T)) {
	down(t)
	eventually(t, 30*time.Second, "the gateway answers", func() bool {
		a, err := fetch(t.Context(), m.Client(), pingURL)
		return err == nil && a.code == 200
	})
	if failed := m.MustRun(t, "systemctl", "--failed", "--no-legend", "--plain"); failed != "" {
		t.Errorf("after the boot there are failed units:\n%s", failed)
	}
	m.waitZero(t, "ping", 30*time.Second)
	m.mustGet(t, pingURL)
}
