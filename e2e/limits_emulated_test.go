//go:build e2e && emulated

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// inEmulation tells the test that it is on the emulated machine already.
const inEmulation = "FNCTL_EMULATED"

const emulationTimeout = 40 * time.Minute

// A function cannot take more than its limits, and one that tries harms no other. It takes a kernel with all controllers of
// control groups and with project quotas: so this test has itself run on an emulated machine.
func TestLimits(t *testing.T) {
	if os.Getenv(inEmulation) == "" {
		emulate(t, machine.Bookworm)
		return
	}
	m := &testMachine{machine.Here()}
	m.Install(t, debPath(t))
	m.waitActive(t, hostUnit)
	if mounts := m.MustRun(t, "grep", " cgroup2 ", "/proc/mounts"); !strings.Contains(mounts, "favordynmods") {
		t.Errorf("control groups are mounted without favordynmods: %s", mounts)
	}
	m.MustRun(t, "systemctl", "start", "fn.slice")
	const ninety = `test $(cat /sys/fs/cgroup/fn.slice/memory.max) -lt $(awk '/^MemTotal:/ {print int($2*1024*0.91)}' /proc/meminfo)`
	m.MustRun(t, "sh", "-c", ninety)
	m.deploy(t, "glutton", "")
	m.MustRunIn(t, "/srv/glutton", "fnctl", "deploy", "--name", "other")
	defer func() {
		if t.Failed() {
			t.Log(m.MustRun(t, "journalctl", "--no-pager", "--lines=300"))
		}
	}()
	other := m.mainPID(t, "fn-other-00001@1.service")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *testMachine)
	}{
		{"memory", testMemory}, {"memory asleep", testMemoryAsleep}, {"processor", testProcessor}, {"processes", testProcesses},
		{"disk", testDisk}, {"xfs", testXFS}, {"devices", testDevices},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, m)
			m.mustGet(t, "http://other.localhost:8080/write")
			if pid := m.mainPID(t, "fn-other-00001@1.service"); pid != other {
				t.Errorf("the other function was process %s, and is %s", other, pid)
			}
		})
	}
	t.Run("network", func(t *testing.T) { testOpenPorts(t, m) })
}

// emulate runs this test on an emulated machine.
func emulate(t *testing.T, suite string) {
	ctx, cancel := context.WithTimeout(t.Context(), emulationTimeout)
	defer cancel()
	dir := t.TempDir()
	build := exec.CommandContext(ctx, "go", "test", "-c", "-tags", "e2e,emulated", "-o", filepath.Join(dir, "emulated.test"), "./e2e")
	build.Dir, build.Env = machine.Root(), append(os.Environ(), "CGO_ENABLED=0") // the machine may have another C library
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the test: %v\n%s", err, out)
	}
	script := "#!/bin/sh\nexport FNCTL_ROOT=$PWD " + inEmulation + "=1\n" +
		"exec ./emulated.test -test.run '^" + t.Name() + "$' -test.v -test.timeout " + emulationTimeout.String() + "\n"
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "testdata/functions"), os.DirFS(function(""))); err != nil {
		t.Fatal(err)
	}
	deb, err := os.ReadFile(debPath(t))
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "dist"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "dist", filepath.Base(debPath(t))), deb, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, err := machine.Emulate(ctx, suite, dir, t.Output())
	if err != nil || code != 0 {
		t.Fatalf("on the emulated machine: exit code %d, %v", code, err)
	}
}

// take asks the glutton to take something.
func (m *testMachine) take(t *testing.T, what string) map[string]any {
	t.Helper()
	got := m.mustGetObject(t, "http://glutton.localhost:8080/"+what)
	t.Logf("%s: %v", what, got)
	return got
}

// mustGetObject expects 200, and an object.
func (m *testMachine) mustGetObject(t *testing.T, url string) map[string]any {
	t.Helper()
	a := m.mustGet(t, url)
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// testMemory: an instance above the memory of its tier is killed, and the next request is answered.
func testMemory(t *testing.T, m *testMachine) {
	a, err := fetch(t.Context(), m.Client(), "http://glutton.localhost:8080/memory")
	if err != nil || a.code/100 != 5 {
		t.Errorf("got %d %q, %v", a.code, a.body, err)
	}
	t.Logf("%d %s", a.code, a.body)
	m.mustGet(t, "http://glutton.localhost:8080/")
	journal := m.MustRun(t, "journalctl", "--no-pager", "--unit=fn-glutton-00001@*")
	if !strings.Contains(journal, "oom-kill") {
		t.Errorf("it was not killed for its memory:\n%s", journal)
	}
	if events := m.MustRun(t, "fnctl", "events", "glutton"); !strings.Contains(events, "oom-kill") {
		t.Errorf("fnctl events does not tell:\n%s", events)
	}
	if status := m.MustRun(t, "fnctl", "status", "glutton"); !strings.Contains(status, "failures: 1 within an hour") || !strings.Contains(status, "oom-kill") {
		t.Errorf("fnctl status does not tell:\n%s", status)
	}
}

// testMemoryAsleep: an instance whose memory runs out in its sleep is killed there. Nobody waits for it, and another one answers.
func testMemoryAsleep(t *testing.T, m *testMachine) {
	const dir, url = "/srv/sleeper", "http://sleeper.localhost:8080/"
	m.CopyIn(t, function("glutton"), dir)
	m.WriteFile(t, dir+"/jcloud.yml", "command: [/usr/bin/python3, main.py]\nautoscale: {min: 0, max: 2, stable_window: 6s, scale_down_delay: 0s, scale_to_zero_after: 1s}\n")
	m.MustRunIn(t, dir, "fnctl", "deploy")
	asleep, pid := m.waitAsleep(t, "sleeper")
	m.MustRun(t, "sh", "-c", "echo 1M >"+m.cgroup(t, asleep)+"/memory.max")
	m.mustManage(t)
	if a := m.mustGet(t, url); !regexp.MustCompile(`; from=(armed|poised)$`).MatchString(a.header.Get("Fnctl-Cold-Start")) {
		t.Errorf("it was no cold start: %q", a.header.Get("Fnctl-Cold-Start"))
	}
	eventually(t, 10*time.Second, "the journal tells of it", func() bool {
		return strings.Contains(m.MustRun(t, "journalctl", "--no-pager", "--unit="+asleep.Unit), "oom-kill")
	})
	if now := m.mainPID(t, asleep.Unit); now == pid {
		t.Errorf("process %s lives", pid)
	}
	m.mustManage(t)
	m.MustRun(t, "fnctl", "remove", "sleeper", "--purge")
}

// testProcessor: a tenth of a core is what an instance of C1 gets.
func testProcessor(t *testing.T, m *testMachine) {
	if cores := m.take(t, "processor")["cores"].(float64); cores > 0.15 {
		t.Errorf("it had %v of a core, its tier has 0.1", cores)
	}
}

// testProcesses: a fork bomb ends at the limit of its own instance, be it that of processes or of memory.
func testProcesses(t *testing.T, m *testMachine) {
	got := m.take(t, "threads")
	if started := got["started"].(float64); got["failed"] == "never" || started < 100 || started > 400 {
		t.Errorf("threads: got %v", got)
	}
	a, err := fetch(t.Context(), m.Client(), "http://glutton.localhost:8080/processes")
	if err != nil || a.code/100 != 5 && !strings.Contains(a.body, "EAGAIN") {
		t.Errorf("processes: got %d %q, %v", a.code, a.body, err)
	}
	t.Logf("processes: %d %s", a.code, a.body)
	m.mustGet(t, "http://glutton.localhost:8080/")
}

// testDisk: disk_size bounds what a function keeps, in bytes and in files, and it cannot get out of that.
func testDisk(t *testing.T, m *testMachine) {
	if got := m.take(t, "project"); got["failed"] == "never" || got["project"].(float64) == 0 {
		t.Errorf("its files are not counted: %v", got)
	}
	if got := m.take(t, "files"); got["failed"] != "EDQUOT" {
		t.Errorf("files: got %v", got)
	}
	got := m.take(t, "disk")
	if written := got["written"].(float64); got["failed"] != "EDQUOT" || written < 18e6 || written > 20e6 {
		t.Errorf("bytes: got %v", got)
	}
	// A larger disk is one deploy away, and takes what is there along, whatever it is called.
	m.MustRun(t, "sh", "-c", `mkdir -p "/var/lib/private/fnctl-data/glutton/$(printf '\377')/x"`)
	m.MustRunIn(t, "/srv/glutton", "sed", "-i", "s/20M/40M/", "jcloud.yml")
	m.MustRunIn(t, "/srv/glutton", "fnctl", "deploy")
	if written := m.take(t, "disk")["written"].(float64); written < 38e6 || written > 40e6 {
		t.Errorf("after 40M: %v bytes", written)
	}
	m.MustRun(t, "fnctl", "remove", "glutton", "--purge")
	m.deploy(t, "glutton", "")
	if written := m.take(t, "disk")["written"].(float64); written < 18e6 || written > 20e6 {
		t.Errorf("after it was removed: %v bytes", written)
	}
}

// testDevices: a device is there for who has asked for it, with the group that it takes.
func testDevices(t *testing.T, m *testMachine) {
	m.CopyIn(t, function("needy"), "/srv/needy")
	for name, config := range map[string]string{"with": "devices: /dev/loop-control\n", "without": ""} {
		m.WriteFile(t, "/srv/needy/jcloud.yml", "isolation: strict\n"+config)
		m.MustRunIn(t, "/srv/needy", "fnctl", "deploy", "main:app", "--name", "needy-"+name)
		got := attemptsOf(t, m.mustGet(t, "http://needy-"+name+".localhost:8080/").body)
		if (got["devices"] == "done") != (config != "") {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
