//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"testing"
)

const settingsFile = "/etc/fnctl/fnctl.yml"

// Another version is installed, up and down, while requests come; settings are kept if somebody has changed them, and follow
// the package if not.
func testPackageVersions(t *testing.T, m *testMachine) {
	current := "/var/tmp/" + filepath.Base(debPath(t))
	version := m.MustRun(t, "dpkg-query", "--show", "--showformat=${Version}", "fnctl")
	previous := m.previousDeb(t, current)
	shipped := m.MustRun(t, "cat", settingsFile)

	m.mustGet(t, pingURL)
	instance := m.oneInstance(t, "ping")
	traffic := m.startTraffic(t, pingURL, 1)
	change := func(deb, version string) {
		t.Helper()
		// Where both have changed the settings dpkg would ask, and this is the answer of who runs it unattended.
		m.MustRun(t, "dpkg", "--install", "--force-confold", deb)
		if got := m.MustRun(t, "dpkg-query", "--show", "--showformat=${Version}", "fnctl"); got != version {
			t.Fatalf("version %s is installed, not %s", got, version)
		}
		testPackageInstalled(t, m)
		if got := m.oneInstance(t, "ping"); !slices.Equal(got.PIDs, instance.PIDs) {
			t.Errorf("the instance was restarted: its processes were %v and are %v", instance.PIDs, got.PIDs)
		}
	}
	settings := func() string { return m.MustRun(t, "cat", settingsFile) }

	change(previous, "0.0.1")
	if got := settings(); got != shipped+"# previous\n" {
		t.Errorf("settings that nobody has changed do not follow the package:\n%s", got)
	}
	const mine = "gateway: {max_queue: 77}\n"
	m.WriteFile(t, settingsFile, mine)
	change(current, version)
	if got := settings(); got != mine {
		t.Errorf("my settings are gone:\n%s", got)
	}
	traffic.stop(t)
	m.MustRun(t, "mv", settingsFile+".dpkg-dist", settingsFile)
	m.MustRun(t, "rm", previous)
}

// previousDeb makes a package of an older version, with other settings, of one that is on the machine.
func (m *testMachine) previousDeb(t *testing.T, deb string) string {
	t.Helper()
	const script = `cd /var/tmp && dpkg-deb --raw-extract "$1" previous
sed -i 's/^Version: .*/Version: 0.0.1/' previous/DEBIAN/control
echo '# previous' >>previous/etc/fnctl/fnctl.yml
rm previous/DEBIAN/md5sums
dpkg-deb --root-owner-group -Znone --build previous previous.deb && rm -r previous`
	m.MustRun(t, "sh", "-e", "-c", script, "sh", deb)
	return "/var/tmp/previous.deb"
}
