//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// The harness is what every other test here stands on, so it has a test of its own.
func TestMachine(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := boot(t, suite)
			t.Run("run", func(t *testing.T) { testRun(t, m) })
			t.Run("units", func(t *testing.T) { testUnits(t, m) })
			t.Run("files", func(t *testing.T) { testFiles(t, m) })
			t.Run("start", func(t *testing.T) { testStart(t, m) })
			t.Run("network", func(t *testing.T) { testNetwork(t, m) })
			t.Run("reboot", func(t *testing.T) { testPowerCycle(t, m, m.Reboot) })
			t.Run("power loss", func(t *testing.T) { testPowerCycle(t, m, m.PowerLoss) })
		})
	}
}

// Whatever way a test ends, nothing of its machine is left.
func TestMachineAbandoned(t *testing.T) {
	t.Parallel()
	test := exec.Command(os.Args[0], "-test.run=^TestAbandonMachine$", "-test.v")
	test.Env = append(os.Environ(), abandon+"=1")
	out, err := test.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := test.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = test.Process.Kill() }) // dead already, unless this test failed
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		dir, _ = strings.CutPrefix(lines.Text(), "machine in ")
		if dir == lines.Text() {
			dir = ""
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "console.log")); err != nil {
		t.Fatalf("the machine did not boot: %v", err)
	}
	if err := test.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the machine's directory and lock are gone", func() bool {
		left, _ := filepath.Glob(dir + "*")
		return len(left) == 0
	})
	_ = test.Wait() // it was killed
	if left, _ := filepath.Glob("/sys/fs/cgroup/*/fnctl-test-" + filepath.Base(dir) + "*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

const abandon = "FNCTL_TEST_ABANDON"

// Not a test, but the other half of TestMachineAbandoned.
func TestAbandonMachine(t *testing.T) {
	if os.Getenv(abandon) == "" {
		t.Skip("only runs for TestMachineAbandoned")
	}
	m := boot(t, machine.Bookworm)
	fmt.Println("machine in " + m.Dir())
	select {}
}

func testRun(t *testing.T, m *testMachine) {
	if got, want := m.MustRun(t, "cat", "/proc/1/comm"), "systemd\n"; got != want {
		t.Errorf("PID 1 is %q, want %q", got, want)
	}
	out := m.MustFail(t, 3, "sh", "-c", "echo out; echo err >&2; exit 3")
	if out.Stdout != "out\n" || out.Stderr != "err\n" {
		t.Errorf("got %+v", out)
	}
	if got := m.MustRun(t, "systemctl", "is-system-running"); got != "running\n" {
		t.Errorf("system is %q\n%s", got, m.MustRun(t, "systemctl", "--failed", "--no-pager"))
	}
}

// Two machines must not see each other's units: that takes a cgroup for each.
func testUnits(t *testing.T, m *testMachine) {
	m.MustRun(t, "systemd-run", "--unit=busy", "--quiet", "sh", "-c", "while :; do :; done")
	defer m.MustRun(t, "systemctl", "stop", "busy")
	procs := m.MustRun(t, "cat", "/sys/fs/cgroup/system.slice/busy.service/cgroup.procs")
	pid := m.MustRun(t, "systemctl", "show", "--value", "--property=MainPID", "busy")
	if procs != pid {
		t.Errorf("cgroup of the unit has processes %q, want %q", procs, pid)
	}
	eventually(t, 10*time.Second, "CPU time is counted", func() bool {
		usage := m.MustRun(t, "systemctl", "show", "--value", "--property=CPUUsageNSec", "busy")
		return len(strings.TrimSpace(usage)) >= len("100000000")
	})
}

func testFiles(t *testing.T, m *testMachine) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "one", "sub/b": "two"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	m.CopyIn(t, dir, "/srv/copy")
	m.CopyIn(t, filepath.Join(dir, "a"), "/srv/other/c")
	m.WriteFile(t, "/srv/with space/d", "100 % $literal\n")
	got := m.MustRunIn(t, "/srv", "sh", "-c", "cat copy/a copy/sub/b other/c 'with space/d'; stat -c %a copy/a other/c")
	if want := "onetwoone100 % $literal\n640\n640\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func testStart(t *testing.T, m *testMachine) {
	stop := m.Start(t, "sh", "-c", "trap 'echo bye; exit' TERM; touch /run/started; while :; do sleep 0.1; done")
	eventually(t, 10*time.Second, "command has started", func() bool {
		out, _ := m.Run(t.Context(), "test", "-e", "/run/started")
		return out.Code == 0
	})
	if got := stop(syscall.SIGTERM); !strings.HasSuffix(got, "bye\n") {
		t.Errorf("got %q", got)
	}
}

func testNetwork(t *testing.T, m *testMachine) {
	serve(t, m)
	client := m.Client()
	defer client.CloseIdleConnections()
	var requests sync.WaitGroup
	for range 50 {
		requests.Go(func() {
			if body, err := get(client, "http://anything.localhost:8080/etc/hostname"); body != "fnctl-test\n" {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
	requests.Wait()

	if _, err := get(http.DefaultClient, "http://127.0.0.1:8080/etc/hostname"); err == nil {
		t.Error("the machine's port is open on the host")
	}
	unix := m.UnixClient("/run/nginx.sock")
	defer unix.CloseIdleConnections()
	if body, err := get(unix, "http://unix/etc/hostname"); body != "fnctl-test\n" {
		t.Errorf("got %q, %v", body, err)
	}
}

// What is enabled runs again after the machine was down, on the disk that was there, and answers.
func testPowerCycle(t *testing.T, m *testMachine, cycle func(*testing.T)) {
	m.WriteFile(t, "/etc/systemd/system/marker.service", "[Service]\nType=oneshot\nExecStart=touch /run/marker\n"+
		"[Install]\nWantedBy=multi-user.target\n")
	m.MustRun(t, "systemctl", "enable", "--quiet", "marker")
	m.MustRun(t, "sh", "-c", "rm -f /run/marker; touch /run/volatile")
	before := m.MustRun(t, "cat", "/proc/sys/kernel/random/boot_id")
	cycle(t)
	if after := m.MustRun(t, "cat", "/proc/sys/kernel/random/boot_id"); after == before {
		t.Errorf("boot id is still %s", after)
	}
	m.MustRun(t, "test", "-e", "/run/marker")
	m.MustRun(t, "test", "!", "-e", "/run/volatile")
	serve(t, m)
	client := m.Client()
	defer client.CloseIdleConnections()
	if body, err := get(client, "http://127.0.0.1:8080/etc/hostname"); body != "fnctl-test\n" {
		t.Errorf("got %q, %v", body, err)
	}
	if journal := m.Journal(100_000); !strings.Contains(journal, "marker.service") {
		t.Errorf("journal does not tell of marker.service:\n%s", journal)
	}
}

// serve runs an HTTP server on the machine that serves its files.
func serve(t *testing.T, m *testMachine) {
	t.Helper()
	m.WriteFile(t, "/etc/nginx/sites-enabled/default",
		"server { listen 127.0.0.1:8080; listen unix:/run/nginx.sock; root /; }\n")
	m.MustRun(t, "rm", "-f", "/run/nginx.sock") // a power loss leaves it
	m.MustRun(t, "systemctl", "start", "nginx")
}

func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
