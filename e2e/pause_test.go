//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	pausable   = "timeout: 2m\nautoscale: {min: 2, max: 4, metric: concurrency, target: 1000}\n"
	pausedText = " is paused: try again later\n"
)

// A function is paused and resumed, restarted, and given other variables, and no request fails but those that are told why.
func TestPause(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.deploy(t, "echo", pausable, "main:app")
			t.Run("under load", func(t *testing.T) { testPauseUnderLoad(t, m) })
			t.Run("reboot", func(t *testing.T) { testPausedReboot(t, m) })
			only(t, machine.Bookworm, suite, "deploy while paused", func(t *testing.T) { testDeployPaused(t, m) })
			t.Run("restart", func(t *testing.T) { testRestart(t, m) })
			only(t, machine.Bookworm, suite, "nothing changed", func(t *testing.T) { testUnchanged(t, m) })
			only(t, machine.Trixie, suite, "env", func(t *testing.T) { testEnv(t, m) })
			only(t, machine.Bookworm, suite, "secret", func(t *testing.T) { testSecret(t, m) })
			only(t, machine.Bookworm, suite, "recreate", func(t *testing.T) { testRecreate(t, m) })
			only(t, machine.Bookworm, suite, "overlap", func(t *testing.T) { testSingle(t, m) })
			only(t, machine.Bookworm, suite, "killed while alone", func(t *testing.T) { testKilledHold(t, m) })
			only(t, machine.Trixie, suite, "at zero", func(t *testing.T) { testPauseAtZero(t, m) })
		})
	}
}

// paused reports whether an answer is that of a paused function.
func (a answer) paused(function string) bool {
	return a.code == http.StatusServiceUnavailable && a.body == function+pausedText && a.header.Get("Retry-After") != ""
}

// verdicts counts what came of requests.
type verdicts struct {
	function               string // that is asked
	mu                     sync.Mutex
	served, paused, failed int
	slowest                time.Duration // of those that were refused
	first                  string        // of the failed
}

func (v *verdicts) add(a answer, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil && a.code == http.StatusOK:
		v.served++
	case err == nil && a.paused(v.function):
		v.paused++
		v.slowest = max(v.slowest, a.took)
	default:
		if v.failed++; v.failed == 1 {
			v.first = string(rune('0'+a.code/100)) + "xx " + a.body
			if err != nil {
				v.first = err.Error()
			}
		}
	}
}

// count is how many there were.
func (v *verdicts) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.served + v.paused + v.failed
}

// ask asks for a URL with some clients until the context ends.
func (v *verdicts) ask(ctx context.Context, m *testMachine, url string, clients int) *sync.WaitGroup {
	var group sync.WaitGroup
	for n := range clients {
		client := m.Client()
		client.Transport.(*http.Transport).DisableKeepAlives = n%2 == 1
		group.Go(func() {
			for ctx.Err() == nil {
				v.add(fetch(context.WithoutCancel(ctx), client, url))
				think(ctx)
			}
			client.CloseIdleConnections()
		})
	}
	return &group
}

func testPauseUnderLoad(t *testing.T, m *testMachine) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	short, long := verdicts{function: "echo"}, verdicts{function: "echo"}
	asking := short.ask(ctx, m, echoURL+"/headers", 4)
	var running sync.WaitGroup
	for range 10 {
		running.Go(func() { long.add(fetch(t.Context(), m.Client(), echoURL+"/sleep?seconds=6")) })
	}
	m.waitInFlight(t, "echo", 10)
	m.MustRun(t, "fnctl", "pause", "echo")
	eventually(t, 2*time.Second, "requests are refused", func() bool {
		a, err := fetch(t.Context(), m.Client(), echoURL+"/headers")
		return err == nil && a.paused("echo")
	})
	if n := long.count(); n > 0 {
		t.Errorf("requests are refused when %d of those that ran have ended", n)
	}
	running.Wait()
	if long.served != 10 {
		t.Errorf("of 10 requests that ran %d were finished, the first other: %s", long.served, long.first)
	}
	m.mustBePaused(t)
	m.MustRun(t, "fnctl", "pause", "echo")
	m.MustRun(t, "fnctl", "resume", "echo")
	m.MustRun(t, "fnctl", "resume", "echo")
	m.mustGetSoon(t)
	cancel()
	asking.Wait()
	t.Logf("%d served, %d refused, the slowest refusal took %v", short.served, short.paused, short.slowest)
	if short.failed > 0 || short.paused == 0 || short.served == 0 {
		t.Errorf("%d failed, the first: %s", short.failed, short.first)
	}
	eventually(t, 10*time.Second, "two are ready", func() bool { return m.status(t, "echo").areReady(2) })
}

func (m *testMachine) mustGetSoon(t *testing.T) {
	t.Helper()
	eventually(t, 5*time.Second, "echo serves", func() bool {
		a, err := fetch(t.Context(), m.Client(), echoURL+"/headers")
		return err == nil && a.code == http.StatusOK
	})
}

// mustBePaused expects that nothing of the function runs or listens, and that everyone is told.
func (m *testMachine) mustBePaused(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "nothing of echo is left", func() bool {
		s := m.status(t, "echo")
		return s.Phase == "Paused" && s.states() == ""
	})
	if left := m.MustRun(t, "sh", "-c", "ls /run/fnctl/instances /etc/systemd/system/fnctl.target.wants | grep '^fn-echo\\|^echo' || true"); left != "" {
		t.Errorf("of a paused function there is %s", left)
	}
	if text := m.MustRun(t, "fnctl", "status", "echo"); !strings.Contains(text, "; paused") || strings.Contains(text, "doesn't answer") {
		t.Errorf("status prints %s", text)
	}
	if out := m.MustRun(t, "fnctl", "list", "--phase", "paused"); !strings.Contains(out, "echo") {
		t.Errorf("list prints %s", out)
	}
}

func testPausedReboot(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "pause", "echo")
	m.Reboot(t)
	eventually(t, 30*time.Second, "it is paused still", func() bool {
		a, err := fetch(t.Context(), m.Client(), echoURL+"/headers")
		return err == nil && a.paused("echo")
	})
	m.mustBePaused(t)
	m.MustRun(t, "systemctl", "restart", "fnctl-activator", "fnctl-gateway")
	m.mustBePaused(t)
	m.MustRun(t, "fnctl", "resume", "echo")
	m.mustGetSoon(t)
	m.Reboot(t)
	eventually(t, 30*time.Second, "it serves still", func() bool {
		a, err := fetch(t.Context(), m.Client(), echoURL+"/headers")
		return err == nil && a.code == http.StatusOK
	})
}

func testDeployPaused(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "pause", "echo")
	m.MustRunIn(t, "/srv/echo", "fnctl", "deploy", "main:app", "--force")
	// What served before the pause ends when the activator has drained it.
	newest := "fn-" + m.revisions(t, "echo")[0].Name + "@*"
	if left := m.MustRun(t, "systemctl", "list-units", "--plain", "--no-legend", newest); left != "" {
		t.Errorf("a deploy of a paused function leaves what proved it:\n%s", left)
	}
	m.mustBePaused(t)
	m.MustRun(t, "fnctl", "resume", "echo")
	m.mustGetSoon(t)
}

func testRestart(t *testing.T, m *testMachine) {
	eventually(t, 30*time.Second, "two are ready", func() bool { return m.status(t, "echo").areReady(2) })
	revisions := len(m.revisions(t, "echo"))
	traffic := m.startTraffic(t, echoURL+"/headers", 4)
	long := m.startTraffic(t, echoURL+"/sleep?seconds=1", 20)
	for range 2 {
		before := m.pids(t)
		t.Log(m.MustRun(t, "sh", "-c", "fnctl restart echo 2>&1"))
		eventually(t, 30*time.Second, "others run", func() bool {
			now := m.pids(t)
			for pid := range now {
				if before[pid] {
					return false
				}
			}
			return len(now) >= 2 && m.status(t, "echo").areReady(2)
		})
	}
	traffic.stop(t)
	long.stop(t)
	if n := len(m.revisions(t, "echo")); n != revisions {
		t.Errorf("there are %d revisions after restarts, want %d", n, revisions)
	}
}

// pids are the main processes of all instances.
func (m *testMachine) pids(t *testing.T) map[string]bool {
	t.Helper()
	pids := map[string]bool{}
	for _, pid := range strings.Fields(m.MustRun(t, "systemctl", "show", "--property=MainPID", "--value", "fn-echo-*@*.service")) {
		if pid != "0" {
			pids[pid] = true
		}
	}
	return pids
}

func testUnchanged(t *testing.T, m *testMachine) {
	before := len(m.revisions(t, "echo"))
	deploy := func(args ...string) bool {
		t.Helper()
		var deployed struct {
			Unchanged bool `json:"unchanged"`
		}
		out := m.MustRunIn(t, "/srv/echo", "fnctl", append([]string{"deploy", "main:app", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &deployed); err != nil {
			t.Fatal(err)
		}
		return deployed.Unchanged
	}
	m.MustRun(t, "touch", "/srv/echo/main.py") // times don't count
	if !deploy() || len(m.revisions(t, "echo")) != before {
		t.Errorf("nothing changed, and there are %d revisions instead of %d", len(m.revisions(t, "echo")), before)
	}
	for what, change := range map[string]string{
		"content": "echo '# more' >>/srv/echo/main.py", "mode": "chmod 750 /srv/echo/main.py", "path": "touch /srv/echo/new",
		"configuration": "echo 'labels: {a: b}' >>/srv/echo/jcloud.yml", "units": "echo '# more' >>$(ls /etc/systemd/system/fn-echo-*@.service | tail -n 1)",
	} {
		m.MustRun(t, "sh", "-c", change)
		if deploy() {
			t.Errorf("%s changed, and there is no new revision", what)
		}
		if !deploy() {
			t.Errorf("%s: the second deploy had nothing to change", what)
		}
	}
	if deploy("--force") {
		t.Error("--force made no revision")
	}
}

func (m *testMachine) appEnv(t *testing.T) map[string]string {
	t.Helper()
	return m.envAt(t, echoURL)
}

// envAt is the environment of the instance of echo that a URL leads to.
func (m *testMachine) envAt(t *testing.T, url string) map[string]string {
	t.Helper()
	env := map[string]string{}
	if err := json.Unmarshal([]byte(m.mustGet(t, url+"/env").body), &env); err != nil {
		t.Fatal(err)
	}
	return env
}

func testEnv(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, echoURL+"/headers", 4)
	m.MustRun(t, "fnctl", "env", "echo", "set", "GREETING=hello $world \"`x`\"", "OTHER=1")
	eventually(t, 5*time.Second, "the app sees it", func() bool { return m.appEnv(t)["GREETING"] == "hello $world \"`x`\"" })
	out := m.MustRun(t, "sh", "-c", "fnctl env echo set OTHER=1 2>&1")
	if !strings.Contains(out, "nothing changed") {
		t.Errorf("got %s", out)
	}
	m.MustRun(t, "fnctl", "env", "echo", "unset", "OTHER")
	eventually(t, 5*time.Second, "the app doesn't see it", func() bool { _, is := m.appEnv(t)["OTHER"]; return !is })
	traffic.stop(t)
	if list := m.MustRun(t, "fnctl", "env", "echo", "list"); !strings.Contains(list, "GREETING") || strings.Contains(list, "OTHER") {
		t.Errorf("list prints %s", list)
	}
	files := m.MustRun(t, "sh", "-c", "stat --format=%i /var/lib/fnctl/functions/echo/revisions/*/app/main.py | tail -n 3 | sort -u | wc -l")
	if files := strings.TrimSpace(files); files != "1" {
		t.Errorf("three revisions of the app have %s files, want 1: it was not shared", files)
	}
	m.MustRunIn(t, "/srv/echo", "fnctl", "deploy", "main:app", "--force")
	eventually(t, 5*time.Second, "it outlives a deploy", func() bool { return m.appEnv(t)["GREETING"] != "" })
}

func testSecret(t *testing.T, m *testMachine) {
	const value = "open-sesame-4711"
	// The command itself must not have it among its arguments, nor the shell of the test.
	m.WriteFile(t, "/root/secret", value+"\n")
	m.MustRun(t, "chmod", "600", "/root/secret")
	m.MustRun(t, "fnctl", "secret", "echo", "set", "TOKEN", "--file", "/root/secret")
	m.MustRun(t, "sh", "-c", "fnctl secret echo set SECOND </root/secret")
	eventually(t, 5*time.Second, "the app sees both", func() bool { e := m.appEnv(t); return e["TOKEN"] == value && e["SECOND"] == value })
	if list := m.MustRun(t, "fnctl", "secret", "echo", "list"); list != "SECOND\nTOKEN\n" {
		t.Errorf("list prints %q", list)
	}
	out := m.MustFail(t, 2, "fnctl", "secret", "echo", "set", "TOKEN=hush-hush")
	if strings.Contains(out.Stderr+out.Stdout, "hush-hush") {
		t.Errorf("the error has the value: %s", out.Stderr)
	}
	// What everyone can see, and what everyone can ask for.
	m.WriteFile(t, "/usr/local/bin/look", `#!/bin/sh
ps axeww
systemctl show --all 'fn-echo-*' 'fnctl-*'
grep -rIsh open-sesame /etc /var /run /tmp /usr/local /srv 2>/dev/null
fnctl status echo -o json
`)
	m.MustRun(t, "chmod", "755", "/usr/local/bin/look")
	if seen := m.MustRun(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "look 2>&1 | grep -v 'grep -rIsh' || true"); strings.Contains(seen, value) {
		t.Errorf("everyone can see the secret: %s", seen)
	}
	if seen := m.MustRun(t, "sh", "-c", "journalctl --no-pager | grep open-sesame | grep -v look || true"); seen != "" {
		t.Errorf("the journal has the secret: %s", seen)
	}
	if seen := m.MustRun(t, "sh", "-c", "find /var/lib/fnctl -path '*/credentials/*' -o -name env -o -name config.env | xargs stat --format=%a | sort -u"); seen != "600\n" {
		t.Errorf("the files' modes are %s", seen)
	}
	m.MustRun(t, "fnctl", "secret", "echo", "unset", "SECOND")
	eventually(t, 5*time.Second, "the app doesn't see it", func() bool { e := m.appEnv(t); return e["TOKEN"] == value && e["SECOND"] == "" })
}

// Without a process there is nothing to restart, and what is resumed goes back to zero.
func testPauseAtZero(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", neverAsleep("without a process there is nothing to restart", serverless), "main:app")
	m.waitZero(t, "echo", 60*time.Second)
	if out := m.MustRun(t, "sh", "-c", "fnctl restart echo 2>&1"); !strings.Contains(out, "nothing to restart: no instance of echo runs") {
		t.Errorf("got %s", out)
	}
	m.MustRun(t, "fnctl", "pause", "echo")
	m.mustBePaused(t)
	m.MustRun(t, "fnctl", "resume", "echo")
	m.mustGetSoon(t)
	m.waitZero(t, "echo", 60*time.Second)
	m.mustGetSoon(t)
}
