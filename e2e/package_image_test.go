//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const helloURL = "http://hello-go.localhost:8080/"

// An image is built: the package is installed in a chroot, where no systemd runs, of a minimal Debian without D-Bus and
// Python. What boots from it serves. The root of the machine stands for that of the image.
func TestPackageImage(t *testing.T) {
	t.Parallel()
	m := boot(t, machine.Trixie)
	m.minimize(t)
	m.CopyIn(t, debPath(t), "/var/tmp/fnctl.deb")
	before := m.allFiles(t)
	t.Run("chroot", func(t *testing.T) { testImageChroot(t, m) })
	t.Run("boot", func(t *testing.T) { testImageBoot(t, m) })
	t.Run("minimal system", func(t *testing.T) { testMinimalSystem(t, m) })
	t.Run("boot with functions", func(t *testing.T) { testBootWithFunctions(t, m) })
	t.Run("purge", func(t *testing.T) { testPurgeLeaves(t, m, before) })
}

// minimize takes away what a minimal Debian lacks.
func (m *testMachine) minimize(t *testing.T) {
	t.Helper()
	m.MustRun(t, "sh", "-c", "systemctl stop dbus.socket dbus.service; dpkg --purge --force-depends dbus dbus-bin dbus-daemon dbus-system-bus-common libnss-systemd; rm -rf /run/dbus /usr/bin/python3*; systemctl daemon-reload")
	m.MustFail(t, 127, "env", "dbus-daemon")
	m.MustFail(t, 127, "env", "python3")
}

func testImageChroot(t *testing.T, m *testMachine) {
	const script = `mkdir /mnt/image && mount --bind / /mnt/image && mount -t proc proc /mnt/image/proc
trap 'umount /mnt/image/proc /mnt/image && rmdir /mnt/image' EXIT
chroot /mnt/image dpkg --install /var/tmp/fnctl.deb`
	out, err := m.Run(t.Context(), "unshare", "--mount", "sh", "-e", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	if said := strings.ToLower(out.Stdout + out.Stderr); strings.Contains(said, "fail") || strings.Contains(said, "error") {
		t.Errorf("it says:\n%s", said)
	}
	m.MustRun(t, "systemctl", "daemon-reload")
	for _, unit := range packageUnits {
		if got := m.property(t, unit, "ActiveState"); got != "inactive" {
			t.Errorf("%s is %s: who builds an image wants nothing started", unit, got)
		}
		if got := m.MustRun(t, "systemctl", "is-enabled", unit); got != "enabled\n" {
			t.Errorf("%s is %q", unit, got)
		}
	}
}

func testImageBoot(t *testing.T, m *testMachine) {
	m.Reboot(t)
	m.waitPackageUnits(t)
	if failed := m.MustRun(t, "systemctl", "--failed", "--no-legend", "--plain"); failed != "" {
		t.Errorf("failed units:\n%s", failed)
	}
}

// An executable is deployed and serves without Python and D-Bus; a Python app is refused with what is missing.
func testMinimalSystem(t *testing.T, m *testMachine) {
	m.CopyIn(t, function("hello-go"), "/srv/hello-go")
	m.build(t, "hello-go", "/srv/hello-go/hello-go")
	m.MustRunIn(t, "/srv/hello-go", "fnctl", "deploy")
	m.mustGet(t, helloURL)
	m.waitZero(t, "hello-go", 40*time.Second)
	m.mustGet(t, helloURL)
	m.CopyIn(t, function("ping"), "/srv/ping")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/ping", "fnctl", "deploy", "main:app")
	if !strings.Contains(out.Stderr, "python3") || !strings.Contains(out.Stderr, "hint: ") {
		t.Errorf("a Python app without Python: %s", out.Stderr)
	}
	out = m.MustFail(t, 1, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "fnctl", "status", "hello-go")
	if !strings.Contains(out.Stderr, "bus") {
		t.Errorf("another user than root without D-Bus: %s", out.Stderr)
	}
	if failed := m.MustRun(t, "systemctl", "--failed", "--no-legend", "--plain"); failed != "" {
		t.Errorf("failed units:\n%s", failed)
	}
}

// Functions answer after a boot, which has not waited for them: nothing that a login or multi-user.target needs comes after
// one of them.
func testBootWithFunctions(t *testing.T, m *testMachine) {
	m.Reboot(t)
	m.mustGet(t, helloURL)
	if failed := m.MustRun(t, "systemctl", "--failed", "--no-legend", "--plain"); failed != "" {
		t.Errorf("failed units:\n%s", failed)
	}
	for _, target := range []string{"sysinit.target", "sockets.target", "basic.target", "multi-user.target"} {
		for _, unit := range strings.Fields(m.property(t, target, "After")) {
			if strings.HasPrefix(unit, "fn-") || unit == "fnctl.target" {
				t.Errorf("%s waits for %s", target, unit)
			}
		}
	}
	for unit, needed := range map[string]string{
		"fnctl.target": "sysinit.target", gatewayUnit: "sysinit.target", "fnctl-activator.service": "fnctl-gateway-status.socket",
		m.MustRun(t, "sh", "-c", "systemctl list-units --no-legend --plain 'fn-*.socket' | cut -d' ' -f1 | tr -d '\n'"): "basic.target",
	} {
		if got := m.property(t, unit, "After"); !strings.Contains(" "+got+" ", " "+needed+" ") {
			t.Errorf("%s is ordered after %s, not after %s", unit, got, needed)
		}
	}
}

// A purge leaves the users, as is the custom, and what is not the package's.
func testPurgeLeaves(t *testing.T, m *testMachine, before string) {
	m.MustRun(t, "dpkg", "--purge", "fnctl")
	was := map[string]bool{}
	for file := range strings.Lines(before) {
		was[file] = true
	}
	for file := range strings.Lines(m.allFiles(t)) {
		if !was[file] {
			t.Errorf("left behind: %s", file)
		}
	}
	if users := m.MustRun(t, "grep", "fnctl", "/etc/passwd"); strings.Count(users, "\n") != 2 { // the gateway's, and that of certificates
		t.Errorf("the users that are left:\n%s", users)
	}
}

// allFiles lists every file of the machine that is not in motion anyway, and every unit.
func (m *testMachine) allFiles(t *testing.T) string {
	t.Helper()
	return m.MustRun(t, "sh", "-c", `find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp -o -path /var/tmp -o -path /srv -o -path /var/log -o -path /var/cache/man \) -prune -o -print
find /run -name '*fn*'
systemctl list-unit-files --no-legend --plain | cut -d' ' -f1,2`)
}
