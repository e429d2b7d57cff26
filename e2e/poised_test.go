//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// waiting has no instance sleep, so that one waits in its sandbox instead.
const waiting = "timeout: 10\nautoscale: {min: 0, max: 3, metric: concurrency, target: 4, stable_window: 6s, scale_down_delay: 0s, scale_to_zero_after: 1s}\nstandby: false\n"

// An instance at zero waits in its finished sandbox, and a request makes it the app, whoever is there to help.
func TestPoised(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.deploy(t, "ping", waiting, "main:app")
			t.Run("becomes the app", func(t *testing.T) { testBecomesApp(t, m) })
			t.Run("without the activator", func(t *testing.T) { testBecomesAppAlone(t, m) })
			t.Run("killed", func(t *testing.T) { testKilledPoised(t, m) })
			t.Run("activator restarts", func(t *testing.T) { testPoisedIsTakenOver(t, m) })
			t.Run("cannot be executed", func(t *testing.T) { testPoisedCannotExecute(t, m) })
			t.Run("restarted", func(t *testing.T) { testRestartPoised(t, m) })
			t.Run("dismissed", func(t *testing.T) { testDismissed(t, m) })
			t.Run("dismissed while requests come", func(t *testing.T) { testDismissedInUse(t, m) })
			t.Run("the next of a loaded one", func(t *testing.T) { testPoisedBesideReady(t, m) })
			t.Run("redeployed", func(t *testing.T) { testRedeployedPoised(t, m) })
			t.Run("reboot", func(t *testing.T) { testRebootPoised(t, m) })
			t.Run("removed", func(t *testing.T) { testRemovedPoised(t, m) })
		})
	}
}

// waitPoised waits until one instance of a function waits in its sandbox, and there is no other, and returns its process.
func (m *testMachine) waitPoised(t *testing.T, name string) (poised instance, pid string) {
	t.Helper()
	eventually(t, 30*time.Second, name+" is poised", func() bool {
		s := m.status(t, name)
		if s.states() != "poised" {
			return false
		}
		for _, r := range s.Revisions {
			for _, i := range r.Instances {
				poised = i
			}
		}
		pid = m.mainPID(t, poised.Unit)
		program, err := m.Run(t.Context(), "readlink", "/proc/"+pid+"/exe") // its sandbox may be about to be made
		return err == nil && strings.TrimSpace(program.Stdout) == "/var/lib/fnctl/poise"
	})
	return poised, pid
}

// becomes asks the function, whose process that waits answers.
func (m *testMachine) becomes(t *testing.T, poised instance, pid string) {
	t.Helper()
	if got := m.mustGet(t, pingAt).header.Get("Fnctl-Cold-Start"); !strings.HasSuffix(got, "; from=poised") {
		t.Errorf("the cold start was %q", got)
	}
	if now := m.mainPID(t, poised.Unit); now != pid {
		t.Errorf("process %s has taken the place of %s", now, pid)
	}
	if env := m.MustRun(t, "sh", "-c", "tr '\\0' '\\n' </proc/"+pid+"/environ"); strings.Contains(env, "FNCTL_POISE") {
		t.Errorf("the app sees the variable:\n%s", env)
	}
}

func testBecomesApp(t *testing.T, m *testMachine) {
	for range 3 {
		poised, pid := m.waitPoised(t, "ping")
		m.becomes(t, poised, pid)
		eventually(t, 10*time.Second, "it is ready, and its mark is gone", func() bool {
			_, none := m.Run(t.Context(), "sh", "-c", "ls /run/fnctl/instances/*.poised")
			return none != nil && m.status(t, "ping").states() == "ready"
		})
	}
	if lines := m.MustRun(t, "fnctl", "events", "ping"); !strings.Contains(lines, "poise") {
		t.Errorf("the events do not tell:\n%s", lines)
	}
}

func testBecomesAppAlone(t *testing.T, m *testMachine) {
	poised, pid := m.waitPoised(t, "ping")
	m.MustRun(t, "systemctl", "kill", "--signal=SIGKILL", "fnctl-activator")
	m.MustRun(t, "systemctl", "stop", "fnctl-activator")
	defer m.MustRun(t, "systemctl", "start", "fnctl-activator")
	m.becomes(t, poised, pid)
	m.MustRun(t, "systemctl", "stop", poised.Unit)
	m.mustGet(t, pingAt) // and its mark is there still
}

// What is killed while it waits leaves an armed instance.
func testKilledPoised(t *testing.T, m *testMachine) {
	poised, pid := m.waitPoised(t, "ping")
	m.MustRun(t, "systemctl", "stop", "fnctl-activator")
	m.MustRun(t, "kill", "-9", pid)
	eventually(t, 10*time.Second, "it has ended", func() bool { return m.mainPID(t, poised.Unit) != pid })
	m.MustRun(t, "systemctl", "start", "fnctl-activator")
	m.mustGet(t, pingAt)
	poised, _ = m.waitPoised(t, "ping")
	m.MustRun(t, "systemctl", "stop", poised.Unit)
	m.mustGet(t, pingAt)
}

// Another activator probes nothing that waits, and starts nothing for it.
func testPoisedIsTakenOver(t *testing.T, m *testMachine) {
	poised, pid := m.waitPoised(t, "ping")
	m.MustRun(t, "systemctl", "kill", "--signal=SIGKILL", "fnctl-activator")
	m.waitActive(t, "fnctl-activator")
	time.Sleep(2 * time.Second) // for as long as it is watched
	again, now := m.waitPoised(t, "ping")
	if again.Unit != poised.Unit || now != pid {
		t.Errorf("%s with process %s has taken the place of %s with %s", again.Unit, now, poised.Unit, pid)
	}
	m.becomes(t, poised, pid)
}

// What cannot be executed is told as of an armed instance.
func testPoisedCannotExecute(t *testing.T, m *testMachine) {
	m.waitPoised(t, "ping")
	m.MustRun(t, "sh", "-c", "chmod -x /usr/bin/python3.1*")
	restored := false
	restore := func() {
		if !restored {
			m.MustRun(t, "sh", "-c", "chmod +x /usr/bin/python3.1*")
			restored = true
		}
	}
	defer restore()
	eventually(t, 30*time.Second, "the reason is told", func() bool {
		got, err := fetch(t.Context(), m.Client(), pingAt)
		return err == nil && got.code == http.StatusServiceUnavailable && strings.Contains(m.MustRun(t, "fnctl", "status", "ping"), "cannot be executed: status 203/EXEC")
	})
	restore()
	eventually(t, 60*time.Second, "it answers", func() bool {
		got, err := fetch(t.Context(), m.Client(), pingAt)
		return err == nil && got.code == http.StatusOK
	})
	m.waitPoised(t, "ping")
}

// A restart has what waits begin anew, and is of nothing else.
func testRestartPoised(t *testing.T, m *testMachine) {
	_, pid := m.waitPoised(t, "ping")
	if out := m.MustRun(t, "sh", "-c", "fnctl restart ping 2>&1"); !strings.Contains(out, "nothing to restart: no instance of ping runs") {
		t.Errorf("got %s", out)
	}
	eventually(t, 10*time.Second, "it has ended", func() bool {
		_, err := m.Run(t.Context(), "test", "-e", "/proc/"+pid)
		return err != nil
	})
	m.mustGet(t, pingAt)
}

// Without any that may wait, what waits ends, and is armed.
func testDismissed(t *testing.T, m *testMachine) {
	m.waitPoised(t, "ping")
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "poised: {count: 0}\n")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator")
	eventually(t, 10*time.Second, "it is armed", func() bool { return m.status(t, "ping").states() == "armed" })
	m.mustGet(t, pingAt)
	m.MustRun(t, "rm", "/etc/fnctl/fnctl.yml")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator")
	m.waitPoised(t, "ping")
}

// No request is lost to the signal that ends what waits.
func testDismissedInUse(t *testing.T, m *testMachine) {
	for round := range 4 {
		_, pid := m.waitPoised(t, "ping")
		var both sync.WaitGroup
		both.Go(func() {
			time.Sleep(time.Duration(round) * 700 * time.Microsecond) // before, while, and after the request comes
			_, _ = m.Run(context.WithoutCancel(t.Context()), "kill", "-URG", pid)
		})
		got, err := fetchOnce(t.Context(), m.Client(), pingAt)
		both.Wait()
		if err != nil || got.code != http.StatusOK {
			t.Fatalf("round %d: got %+v, %v", round, got, err)
		}
	}
}

// A loaded function has its next instance in its sandbox, which no request starts, and more load does.
func testPoisedBesideReady(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", waiting, "main:app")
	hold := func(n int) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var held sync.WaitGroup
		for range n {
			held.Go(func() {
				for ctx.Err() == nil {
					_, _ = fetch(ctx, m.Client(), "http://echo.localhost:8080/sleep?seconds=2")
				}
			})
		}
		return func() { cancel(); held.Wait() }
	}
	some := hold(3)
	defer some()
	var pid string
	eventually(t, 40*time.Second, "the next one waits", func() bool {
		s := m.status(t, "echo")
		if s.states() != "poised ready" {
			return false
		}
		for _, i := range s.Revisions[0].Instances {
			if i.State == "poised" {
				pid = fmt.Sprint(i.PIDs[0])
			}
		}
		return true
	})
	for range 100 {
		m.mustGet(t, "http://echo.localhost:8080/headers")
	}
	if s := m.status(t, "echo"); s.states() != "poised ready" {
		t.Errorf("requests have started it: %s", s.states())
	}
	more := hold(5)
	defer more()
	eventually(t, 40*time.Second, "it has become the app", func() bool {
		for _, i := range m.status(t, "echo").Revisions[0].Instances {
			if len(i.PIDs) > 0 && fmt.Sprint(i.PIDs[0]) == pid {
				return i.State == "ready"
			}
		}
		return false
	})
	more()
	some()
	m.waitPoised(t, "echo")
	m.MustRun(t, "fnctl", "remove", "echo", "--yes")
}

func testRedeployedPoised(t *testing.T, m *testMachine) {
	poised, pid := m.waitPoised(t, "ping")
	m.WriteFile(t, "/srv/ping/new.txt", "new")
	m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app")
	m.mustGet(t, pingAt)
	eventually(t, 30*time.Second, "what waited has ended", func() bool {
		return strings.TrimSpace(m.MustRun(t, "systemctl", "show", "--value", "-p", "ActiveState", poised.Unit)) == "inactive"
	})
	if _, err := m.Run(t.Context(), "test", "-e", "/proc/"+pid); err == nil {
		t.Error("its process is there")
	}
}

func testRebootPoised(t *testing.T, m *testMachine) {
	m.waitPoised(t, "ping")
	m.Reboot(t)
	poised, pid := m.waitPoised(t, "ping")
	m.becomes(t, poised, pid)
}

func testRemovedPoised(t *testing.T, m *testMachine) {
	m.waitPoised(t, "ping")
	m.MustRun(t, "fnctl", "remove", "ping", "--yes")
	if left, none := m.Run(t.Context(), "sh", "-c", "ls -d /run/fnctl/instances/ping* /sys/fs/cgroup/fn.slice/fn-ping.slice/*.service; pgrep --exact poise"); none == nil || left.Stdout != "" {
		t.Errorf("left: %s", left.Stdout)
	}
}
