//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/e2e/machine"
	"github.com/fnctl/fnctl/platform"
)

var packageUnits = []string{
	"fnctl-gateway.socket", "fnctl-gateway-status.socket", "fnctl-gateway.service", "fnctl-activator.service", "fnctl.target",
	hostUnit,
}

// hostUnit has a condition that no container meets. TestLimits sees it at work.
const hostUnit = "fnctl-favordynmods.service"

// ipv6Unit is not enabled: what it stands beside wants it.
const ipv6Unit = "fnctl-gateway-ipv6.socket"

// waitPackageUnits waits until what the package starts runs.
func (m *testMachine) waitPackageUnits(t *testing.T) {
	t.Helper()
	for _, unit := range packageUnits {
		if unit != hostUnit {
			m.waitActive(t, unit)
		}
	}
}

func TestPackage(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := boot(t, suite)
			before := m.files(t)
			m.Install(t, debPath(t))
			m.deploy(t, "ping", "", "main:app")
			t.Run("installed", func(t *testing.T) { testPackageInstalled(t, m) })
			t.Run("hardened", func(t *testing.T) { testPackageHardened(t, m) })
			switch suite {
			case machine.Bookworm:
				t.Run("shells", func(t *testing.T) { testPackageShells(t, m) })
				t.Run("manual", func(t *testing.T) { testPackageManual(t, m) })
				t.Run("dashboard", func(t *testing.T) { testPackageDashboard(t, m) })
			case machine.Trixie:
				t.Run("other versions", func(t *testing.T) { testPackageVersions(t, m) })
			}
			t.Run("upgrade", func(t *testing.T) { testPackageUpgrade(t, m) })
			t.Run("restart of the address", func(t *testing.T) { testPackageSocketRestart(t, m) })
			t.Run("reboot", func(t *testing.T) { m.Reboot(t); testPackageInstalled(t, m) })
			t.Run("remove", func(t *testing.T) { testPackageRemove(t, m) })
			t.Run("install again", func(t *testing.T) { m.Install(t, debPath(t)); testPackageInstalled(t, m) })
			t.Run("remove again", func(t *testing.T) { testPackageRemove(t, m) })
			t.Run("purge", func(t *testing.T) { testPackagePurge(t, m, before) })
		})
	}
}

func testPackageInstalled(t *testing.T, m *testMachine) {
	m.waitPackageUnits(t)
	for _, unit := range packageUnits {
		if got := m.MustRun(t, "systemctl", "is-enabled", unit); got != "enabled\n" {
			t.Errorf("%s is %q", unit, got)
		}
	}
	if got := m.MustRun(t, "systemctl", "--failed", "--no-legend", "--plain"); got != "" {
		t.Errorf("failed units:\n%s", got)
	}
	client := m.Client()
	defer client.CloseIdleConnections()
	response, err := client.Get("http://nobody.localhost:8080/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 404 {
		t.Errorf("unknown host: got %s, want 404", response.Status)
	}
	m.mustGet(t, pingURL)
	m.waitActive(t, ipv6Unit)
	m.MustRun(t, "curl", "-gsf", "-H", "Host: ping.localhost", "http://[::1]:8080/ping")
	// Silent: every directive is known to this systemd, and used where it belongs.
	verify := append([]string{"systemd-analyze", "verify", "--man=no", ipv6Unit}, packageUnits...)
	out, err := m.Run(t.Context(), "env", append(verify, "fn.slice", platform.InternetUnit)...)
	if err != nil || out.Stdout+out.Stderr != "" {
		t.Errorf("systemd-analyze verify: %v\n%s%s", err, out.Stdout, out.Stderr)
	}
}

// The most that systemd-analyze may say of how exposed a service is, in tenths. The units say what is missing and why.
var exposure = map[string]string{"fnctl-gateway.service": "15", "fnctl-activator.service": "25", "fnctl-acme.service": "15"}

func testPackageHardened(t *testing.T, m *testMachine) {
	for unit, most := range exposure {
		m.MustRun(t, "systemd-analyze", "security", "--no-pager", "--threshold="+most, unit)
	}
	// With the manual pages that the units name.
	units := append(slices.Clone(packageUnits), "fnctl-acme.service", "fnctl-gateway-http.socket", "fnctl-gateway-https.socket")
	m.MustRun(t, "systemd-analyze", append([]string{"verify"}, units...)...)
}

func testPackageUpgrade(t *testing.T, m *testMachine) {
	m.mustGet(t, pingURL)
	traffic := m.startTraffic(t, pingURL, 1) // or it is idle for longer than its window
	defer traffic.stop(t)
	instance := m.oneInstance(t, "ping")
	socket := m.property(t, "fnctl-gateway.socket", "InvocationID")
	gateway := m.property(t, "fnctl-gateway.service", "MainPID") // a reload is no new invocation
	activator := m.property(t, "fnctl-activator.service", "InvocationID")
	m.MustRun(t, "sh", "-c", "apt-get install --yes --quiet --reinstall /var/tmp/fnctl_*.deb")
	testPackageInstalled(t, m)
	if m.property(t, "fnctl-gateway.socket", "InvocationID") != socket {
		t.Error("the gateway's socket was restarted: connections were lost")
	}
	if m.property(t, "fnctl-gateway.service", "MainPID") == gateway {
		t.Error("the old gateway runs on")
	}
	if m.property(t, "fnctl-activator.service", "InvocationID") == activator {
		t.Error("the old activator runs on")
	}
	// One that was armed by the way, and has got a request before it was taken back, goes.
	if got := m.oneInstance(t, "ping"); !slices.Equal(got.PIDs, instance.PIDs) {
		t.Errorf("the instance was restarted: its processes were %v and are %v", instance.PIDs, got.PIDs)
	}
}

func testPackageSocketRestart(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/etc/systemd/system/fnctl-gateway.socket.d/address.conf",
		"[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\nListenStream=127.0.0.1:8088\n")
	m.MustRun(t, "systemctl", "daemon-reload")
	m.MustRun(t, "systemctl", "restart", "fnctl-gateway.socket")
	testPackageInstalled(t, m)
	client := m.Client()
	defer client.CloseIdleConnections()
	response, err := client.Get("http://nobody.localhost:8088/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	m.MustRun(t, "rm", "-r", "/etc/systemd/system/fnctl-gateway.socket.d")
}

func testPackageRemove(t *testing.T, m *testMachine) {
	m.MustRun(t, "apt-get", "remove", "--yes", "--quiet", "fnctl")
	if got := m.MustRun(t, "systemctl", "list-units", "--no-legend", "--plain", "fn*"); got != "" { // of packages and functions
		t.Errorf("units are still there:\n%s", got)
	}
	m.MustRun(t, "test", "-e", "/etc/fnctl/fnctl.yml")
}

func testPackagePurge(t *testing.T, m *testMachine, before string) {
	m.MustRun(t, "dpkg", "--purge", "fnctl")
	was := map[string]bool{}
	for file := range strings.Lines(before) {
		was[file] = true
	}
	for file := range strings.Lines(m.files(t)) {
		if !was[file] {
			t.Errorf("left behind: %s", file)
		}
	}
}

// files lists what a package could have left behind. What man-db remembers of pages is its own affair.
func (m *testMachine) files(t *testing.T) string {
	t.Helper()
	return m.MustRun(t, "sh", "-c", "find / -xdev -iname '*fnctl*' -not -path '/var/tmp/*' -not -path '/var/log/*' -not -path '/srv/*' -not -path '/var/cache/man/*'; "+
		"find /etc/systemd /var/lib/systemd/deb-systemd-helper-enabled | grep -F fn || true")
}

func (m *testMachine) property(t *testing.T, unit, name string) string {
	t.Helper()
	return strings.TrimSpace(m.MustRun(t, "systemctl", "show", "--value", "--property="+name, unit))
}
