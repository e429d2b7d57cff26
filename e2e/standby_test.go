//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	sleepy = "timeout: 10\nstop_timeout: 60\nautoscale: {min: 0, max: 2, metric: concurrency, target: 1000, stable_window: 6s, scale_down_delay: 0s, scale_to_zero_after: 1s}\n"
	pingAt = "http://ping.localhost:8080/ping"
)

// An instance that has nothing to do is frozen, wakes with the next request whoever is there to help, and can be stopped like any other.
func TestStandby(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.deploy(t, "ping", sleepy, "main:app")
			t.Run("wakes", func(t *testing.T) { testWakes(t, m) })
			t.Run("wakes without the activator", func(t *testing.T) { testWakesAlone(t, m) })
			t.Run("gateways come and go", func(t *testing.T) { testWakesForSuccessor(t, m) })
			t.Run("killed", func(t *testing.T) { testKilledAsleep(t, m) })
			t.Run("stopped by hand", func(t *testing.T) { testStoppedAsleep(t, m) })
			t.Run("redeployed", func(t *testing.T) { testRedeployedAsleep(t, m) })
			t.Run("asked by a command", func(t *testing.T) { testAskedAsleep(t, m) })
			t.Run("confined", func(t *testing.T) { testConfinedAsleep(t, m) })
			t.Run("reboot", func(t *testing.T) { testRebootAsleep(t, m) })
			t.Run("evicted", func(t *testing.T) { testEvicted(t, m) })
			t.Run("removed", func(t *testing.T) { testRemovedAsleep(t, m) })
		})
	}
}

// waitAsleep waits until an instance of a function is frozen, and another one listens, and returns the main process of the first.
func (m *testMachine) waitAsleep(t *testing.T, name string) (asleep instance, pid string) {
	t.Helper()
	eventually(t, 30*time.Second, name+" has an instance in standby", func() bool {
		s := m.status(t, name)
		if states := s.states(); !atZero(states) || strings.Count(states, "standby") != 1 {
			return false
		}
		for _, r := range s.Revisions {
			for _, i := range r.Instances {
				if i.State == "standby" {
					asleep = i
				}
			}
		}
		return true
	})
	return asleep, m.mainPID(t, asleep.Unit)
}

// wakes asks the function, whose instance that sleeps answers: no other process does.
func (m *testMachine) wakes(t *testing.T, url string, asleep instance, pid string) answer {
	t.Helper()
	got := m.mustGet(t, url)
	if from := got.header.Get("Fnctl-Cold-Start"); !strings.HasSuffix(from, "ms; from=standby") {
		t.Errorf("it was no wake: %q", from)
	}
	if now := m.mainPID(t, asleep.Unit); now != pid {
		t.Errorf("process %s has taken the place of %s", now, pid)
	}
	return got
}

// endedByItself expects that an instance had its SIGTERM and has ended in the time that it had, as one that is awake. The arguments are
// journalctl's.
func (m *testMachine) endedByItself(t *testing.T, unit string, args ...string) {
	t.Helper()
	m.MustRun(t, "journalctl", "--sync")
	lines := m.MustRun(t, "journalctl", append([]string{"-u", unit, "-o", "cat"}, args...)...)
	if strings.Contains(lines, "timed out") || !strings.Contains(lines, "Shutting down") {
		t.Errorf("it did not end by itself:\n%s", lines)
	}
}

func testWakes(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	for range 3 {
		asleep, pid := m.waitAsleep(t, "ping")
		for _, p := range asleep.PIDs {
			if where := m.MustRun(t, "cat", fmt.Sprintf("/proc/%d/cgroup", p)); !strings.HasSuffix(strings.TrimSpace(where), asleep.Unit+"/app") {
				t.Errorf("process %d is in %s", p, where)
			}
		}
		before := m.cpuTime(t, asleep)
		time.Sleep(2 * time.Second) // for as long as it is watched
		if used := m.cpuTime(t, asleep); used != before {
			t.Errorf("it used processor time in standby: %s, and %s before", used, before)
		}
		m.wakes(t, pingAt, asleep, pid)
		m.waitAwake(t, "ping")
	}
}

// waitAwake waits until an instance of a function is awake for good: it is not marked any more, and nothing listens beside it.
func (m *testMachine) waitAwake(t *testing.T, name string) {
	t.Helper()
	eventually(t, 10*time.Second, "an instance of "+name+" is awake, and only those that sleep are marked", func() bool {
		marks := m.MustRun(t, "sh", "-c", "ls /run/fnctl/instances | grep '^"+name+"-.*\\.standby$' || true")
		states := m.status(t, name).states()
		return strings.HasPrefix(states, "ready") && strings.Count(marks, "\n") == strings.Count(states, "standby")
	})
}

func (m *testMachine) cpuTime(t *testing.T, of instance) string {
	t.Helper()
	return m.MustRun(t, "grep", "usage_usec", path.Join(m.cgroup(t, of), "cpu.stat"))
}

func (m *testMachine) cgroup(t *testing.T, of instance) string {
	t.Helper()
	return "/sys/fs/cgroup" + strings.TrimSpace(m.MustRun(t, "systemctl", "show", "--value", "-p", "ControlGroup", of.Unit))
}

func testWakesAlone(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, pid := m.waitAsleep(t, "ping")
	m.MustRun(t, "systemctl", "kill", "--signal=SIGKILL", "fnctl-activator")
	m.MustRun(t, "systemctl", "stop", "fnctl-activator")
	defer m.MustRun(t, "systemctl", "start", "fnctl-activator")
	m.wakes(t, pingAt, asleep, pid)
	if got := m.mustGet(t, pingAt).header.Get("Fnctl-Cold-Start"); got != "" { // nobody has had it sleep again
		t.Errorf("the next request has waited: %s", got)
	}
	if now := m.mainPID(t, asleep.Unit); now != pid {
		t.Errorf("process %s has taken the place of %s", now, pid)
	}
}

func testWakesForSuccessor(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, pid := m.waitAsleep(t, "ping")
	m.MustRun(t, "systemctl", "reload", "fnctl-gateway")
	m.wakes(t, pingAt, asleep, pid)
	asleep, pid = m.waitAsleep(t, "ping")
	m.MustRun(t, "systemctl", "kill", "--signal=SIGKILL", "fnctl-gateway")
	eventually(t, 10*time.Second, "the function answers", func() bool {
		got, err := fetch(t.Context(), m.Client(), pingAt)
		return err == nil && got.code == http.StatusOK
	})
	if now := m.mainPID(t, asleep.Unit); now != pid {
		t.Errorf("process %s has taken the place of %s", now, pid)
	}
}

// What dies in its sleep starts anew.
func testKilledAsleep(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, pid := m.waitAsleep(t, "ping")
	m.MustRun(t, "kill", "-9", pid)
	eventually(t, 10*time.Second, "it has ended", func() bool { return m.mainPID(t, asleep.Unit) != pid })
	m.mustGet(t, pingAt)
	asleep, _ = m.waitAsleep(t, "ping")
	m.MustRun(t, "systemctl", "kill", "--signal=SIGKILL", asleep.Unit)
	m.mustGet(t, pingAt)
}

// A stop sees the instance end as it would awake: nobody waits for stop_timeout, and nothing is killed.
func testStoppedAsleep(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, _ := m.waitAsleep(t, "ping")
	m.MustRun(t, "systemctl", "stop", asleep.Unit)
	m.endedByItself(t, asleep.Unit)
	m.mustGet(t, pingAt)
}

func testRedeployedAsleep(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, _ := m.waitAsleep(t, "ping")
	m.WriteFile(t, "/srv/ping/new.txt", "new")
	m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app")
	m.mustGet(t, pingAt)
	eventually(t, 30*time.Second, "the old instance has ended, without being killed", func() bool {
		return strings.TrimSpace(m.MustRun(t, "systemctl", "show", "--value", "-p", "ActiveState", asleep.Unit)) == "inactive"
	})
	m.endedByItself(t, asleep.Unit)
}

// A command that asks what serves wakes it.
func testAskedAsleep(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, pid := m.waitAsleep(t, "ping")
	serving, before := m.revisions(t, "ping")[0].Name, m.revisions(t, "ping")[1].Name
	m.MustRun(t, "fnctl", "traffic", "ping", serving+"=50", before+"=50")
	if now := m.mainPID(t, asleep.Unit); now != pid {
		t.Errorf("process %s has taken the place of %s", now, pid)
	}
	m.MustRun(t, "fnctl", "traffic", "ping", serving+"=100")
	m.mustGet(t, pingAt)
}

// An app can neither leave the group in which it is frozen, nor thaw itself, nor make others.
func testConfinedAsleep(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, pid := m.waitAsleep(t, "ping")
	m.wakes(t, pingAt, asleep, pid)
	in := m.cgroup(t, asleep)
	for _, try := range []string{
		"mkdir " + in + "/other", "echo 0 >" + in + "/cgroup.procs", "echo 1 >" + in + "/app/cgroup.freeze", "echo 1 >" + in + "/cgroup.freeze",
	} {
		user := strings.TrimSpace(m.MustRun(t, "stat", "-c", "%u", "/proc/"+pid))
		as := []string{"--target", pid, "--mount", "--user", "setpriv", "--reuid", user, "--regid", user, "--clear-groups", "sh", "-c", try}
		if _, err := m.Run(t.Context(), "nsenter", as...); err == nil {
			t.Errorf("%s: it can", try)
		}
	}
}

func testRebootAsleep(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, _ := m.waitAsleep(t, "ping")
	m.Reboot(t)
	m.endedByItself(t, asleep.Unit, "-b", "-1")
	m.mustGet(t, pingAt)
}

// With a smaller share of the memory, what sleeps goes.
func testEvicted(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, _ := m.waitAsleep(t, "ping")
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "standby: {memory: 0.01%}\n")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator")
	eventually(t, 10*time.Second, "it does not sleep any more", func() bool {
		states := m.status(t, "ping").states()
		return atZero(states) && !strings.Contains(states, "standby")
	})
	if lines := m.MustRun(t, "fnctl", "events", "ping"); !strings.Contains(lines, "evict") {
		t.Errorf("the events do not tell:\n%s", lines)
	}
	m.endedByItself(t, asleep.Unit)
	m.MustRun(t, "rm", "/etc/fnctl/fnctl.yml")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator")
}

func testRemovedAsleep(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, _ := m.waitAsleep(t, "ping")
	m.MustRun(t, "fnctl", "remove", "ping")
	m.endedByItself(t, asleep.Unit)
	if left, none := m.Run(t.Context(), "sh", "-c", "ls -d /run/fnctl/instances/ping* /sys/fs/cgroup/fn.slice/fn-ping.slice/*.service"); none == nil || left.Stdout != "" {
		t.Errorf("left: %s", left.Stdout)
	}
}
