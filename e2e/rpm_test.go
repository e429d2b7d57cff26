//go:build e2e

package e2e

import (
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	rpmFile  = "/var/tmp/fnctl.rpm"
	nextFile = "/var/tmp/next.rpm"
)

// The RPM, by Debian's rpm: its scriptlets do what those of the .deb do. Debian's packages, of which rpm knows nothing, are
// what it needs.
func TestRPM(t *testing.T) {
	t.Parallel()
	m := boot(t, machine.Bookworm)
	before := m.files(t)
	m.CopyIn(t, rpmPath(t), rpmFile)
	m.CopyIn(t, filepath.Join(machine.Root(), "dist/next.rpm"), nextFile)
	m.CopyIn(t, debPath(t), "/var/tmp/fnctl.deb")
	t.Run("the files of the deb", func(t *testing.T) { testRPMFiles(t, m) })
	t.Run("install", func(t *testing.T) { testRPMInstall(t, m) })
	t.Run("upgrade", func(t *testing.T) { testRPMUpgrade(t, m) })
	t.Run("erase", func(t *testing.T) { testRPMErase(t, m) })
	t.Run("install again", func(t *testing.T) { testRPMInstallAgain(t, m) })
	t.Run("erase without functions", func(t *testing.T) { testRPMEraseAll(t, m, before) })
}

// rpmPath is what make rpm has made.
func rpmPath(t *testing.T) string {
	t.Helper()
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	pattern := filepath.Join(machine.Root(), "dist/fnctl-*."+arch+".rpm")
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: got %v, want one: run make rpm first", pattern, found)
	}
	return found[0]
}

func (m *testMachine) rpm(t *testing.T, args ...string) string {
	t.Helper()
	return m.MustRun(t, "rpm", append([]string{"--force-debian", "--nodeps"}, args...)...)
}

// Where the two families of distributions want different files.
var onlyIn = map[string][]string{
	"rpm": {"/usr/share/zsh/site-functions/_fnctl"},
	"deb": {"/usr/share/zsh/vendor-completions/_fnctl", "/usr/share/doc/fnctl/changelog.gz", "/usr/share/lintian/overrides/fnctl"},
}

func testRPMFiles(t *testing.T, m *testMachine) {
	listed := map[string]map[string]string{}
	for kind, list := range map[string][]string{
		"rpm": {"rpm", "--query", "--package", "--queryformat", `[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILESIZES} - - %{FILENAMES}\n]`, rpmFile},
		"deb": {"dpkg-deb", "--contents", "/var/tmp/fnctl.deb"},
	} {
		files := map[string]string{}
		for line := range strings.Lines(m.MustRun(t, list[0], list[1:]...)) {
			f := strings.Fields(line)
			if path := strings.TrimPrefix(f[5], "."); f[0][0] != 'd' { // only the .deb has directories of others
				files[path] = strings.Join(f[:3], " ")
			}
		}
		for _, path := range onlyIn[kind] {
			if files[path] == "" {
				t.Errorf("the %s has no %s", kind, path)
			}
			delete(files, path)
		}
		listed[kind] = files
	}
	if len(listed["deb"]) < 40 {
		t.Fatalf("the deb has only %d files", len(listed["deb"]))
	}
	for path, want := range listed["deb"] {
		if got := listed["rpm"][path]; got != want {
			t.Errorf("%s: in the deb it is %q, in the RPM %q", path, want, got)
		}
	}
	for path := range listed["rpm"] {
		if listed["deb"][path] == "" {
			t.Errorf("only the RPM has %s", path)
		}
	}
}

func testRPMInstall(t *testing.T, m *testMachine) {
	m.rpm(t, "--install", rpmFile)
	m.deploy(t, "ping", serverless, "main:app")
	testPackageInstalled(t, m)
	if got := m.rpm(t, "--verify", "fnctl"); got != "" {
		t.Errorf("rpm --verify:\n%s", got)
	}
	if got := m.MustRun(t, "rpm", "--query", "--configfiles", "fnctl"); got != settingsFile+"\n" {
		t.Errorf("the files of settings are %s", got)
	}
}

// An upgrade hands over to the next gateway and leaves the instances alone, and what the administrator has changed.
func testRPMUpgrade(t *testing.T, m *testMachine) {
	const mine = "gateway: {max_queue: 77}\n"
	m.WriteFile(t, settingsFile, mine)
	m.MustRun(t, "systemctl", "disable", "fnctl-activator.service")
	traffic := m.startTraffic(t, pingURL, 4)
	m.mustGet(t, pingURL)
	instance := m.oneInstance(t, "ping")
	socket, gateway := m.property(t, "fnctl-gateway.socket", "InvocationID"), m.property(t, gatewayUnit, "MainPID")
	activator := m.property(t, "fnctl-activator.service", "InvocationID")
	m.rpm(t, "--upgrade", nextFile)
	if m.property(t, "fnctl-gateway.socket", "InvocationID") != socket {
		t.Error("the gateway's socket was restarted")
	}
	m.checkSucceeded(t, gateway)
	m.waitActive(t, "fnctl-activator.service")
	if m.property(t, "fnctl-activator.service", "InvocationID") == activator {
		t.Error("the old activator runs on")
	}
	if got := m.oneInstance(t, "ping"); !slices.Equal(got.PIDs, instance.PIDs) {
		t.Errorf("the instance was restarted: its processes were %v and are %v", instance.PIDs, got.PIDs)
	}
	traffic.stop(t)
	if got := m.MustRun(t, "cat", settingsFile); got != mine {
		t.Errorf("my settings are gone:\n%s", got)
	}
	if out, _ := m.Run(t.Context(), "systemctl", "is-enabled", "fnctl-activator.service"); out.Stdout != "disabled\n" {
		t.Errorf("what was disabled is %s", out.Stdout)
	}
	if got := m.MustRun(t, "rpm", "--query", "fnctl"); !strings.Contains(got, "+next") || strings.Count(got, "\n") != 1 {
		t.Errorf("installed is %s", got)
	}
}

// Functions stop with the platform and stay deployed.
func testRPMErase(t *testing.T, m *testMachine) {
	m.rpm(t, "--erase", "fnctl")
	if got := m.MustRun(t, "systemctl", "list-units", "--no-legend", "--plain", "fn*"); got != "" {
		t.Errorf("units are still there:\n%s", got)
	}
	if got := m.MustRun(t, "sh", "-c", "systemctl list-unit-files --no-legend --plain 'fnctl*' || true"); got != "" {
		t.Errorf("units are still there:\n%s", got)
	}
	m.MustRun(t, "test", "-e", settingsFile+".rpmsave")
	m.MustRun(t, "test", "-e", "/var/lib/fnctl/functions/ping/route.json")
}

func testRPMInstallAgain(t *testing.T, m *testMachine) {
	m.rpm(t, "--install", nextFile)
	testPackageInstalled(t, m)
}

// With its functions removed before, an RPM leaves only what is the administrator's.
func testRPMEraseAll(t *testing.T, m *testMachine, before string) {
	m.MustRun(t, "fnctl", "remove", "ping", "--purge")
	m.rpm(t, "--erase", "fnctl")
	allowed := regexp.MustCompile(`^/(etc/fnctl(/fnctl\.yml\.rpmsave)?|run/fnctl(/.*)?|var/lib/fnctl(/functions)?|var/cache/fnctl|var/cache/private/fnctl|` +
		`var/lib/fnctl-data|var/lib/private/fnctl-data)$`)
	was := map[string]bool{}
	for file := range strings.Lines(before) {
		was[file] = true
	}
	left := ""
	for file := range strings.Lines(m.files(t)) {
		if !was[file] && !allowed.MatchString(strings.TrimSpace(file)) {
			left += file
		}
	}
	if left != "" {
		t.Errorf("left behind:\n%s", left)
	}
}
