//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	serverless = "instance: C3\nautoscale: {min: 0, max: 1, metric: rps, target: 1, stable_window: 6s, scale_down_delay: 0s}\n"
	pingURL    = "http://ping.localhost:8080/ping"
)

// The examples that every release must run, on each supported systemd.
func TestServe(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			t.Run("serverless", func(t *testing.T) { testServerless(t, m) })
			t.Run("burst at zero", func(t *testing.T) { testBurstAtZero(t, m) })
			sideBySide(t,
				func() { only(t, machine.Bookworm, suite, "load", func(t *testing.T) { testLoad(t, m) }) },
				func() {
					t.Run("workers", func(t *testing.T) { testWorkers(t, m) })
					t.Run("environment", func(t *testing.T) { testEnvironment(t, m) })
				},
			)
			t.Run("command line", func(t *testing.T) { testCommandLine(t, m) })
			t.Run("remove", func(t *testing.T) { testRemove(t, m) })
		})
	}
}

// Example 1: cold, warm, zero, cold again; nothing is refused.
func testServerless(t *testing.T, m *testMachine) {
	out := m.deploy(t, "ping", neverAsleep("it is about cold starts, and about no process of the app at zero", serverless), "main:app")
	for _, want := range []string{"App ID", "ping", "Phase", "Serving", "http://ping.localhost:8080", "fnctl logs ping", "0.104", "/docs", "/openapi.json"} {
		if !strings.Contains(out, want) {
			t.Errorf("deploy doesn't show %q:\n%s", want, out)
		}
	}
	m.waitZero(t, "ping", 30*time.Second)
	if procs := m.MustRun(t, "sh", "-c", "ps -eo user:20,args | grep '[u]vicorn' | grep -v ' /var/lib/fnctl/poise ' || true"); procs != "" {
		t.Errorf("at zero there are processes of the app:\n%s", procs)
	}
	cold, warm := m.mustGet(t, pingURL), m.mustGet(t, pingURL)
	if cold.body != `{"message":"Ping!"}` {
		t.Errorf("got body %q", cold.body)
	}
	if !regexp.MustCompile(`^[0-9]+ms; from=(armed|poised)$`).MatchString(cold.header.Get("Fnctl-Cold-Start")) || warm.header.Get("Fnctl-Cold-Start") != "" {
		t.Errorf("Fnctl-Cold-Start: cold %q, warm %q", cold.header.Get("Fnctl-Cold-Start"), warm.header.Get("Fnctl-Cold-Start"))
	}
	if warm.took >= cold.took {
		t.Errorf("the warm request took %v, the cold one %v", warm.took, cold.took)
	}
	for _, header := range []string{"X-Request-ID"} {
		if cold.header.Get(header) == "" {
			t.Errorf("no %s on the response", header)
		}
	}
	t.Logf("cold %v, warm %v", cold.took, warm.took)
	m.waitZero(t, "ping", 30*time.Second)
	m.mustGet(t, pingURL)
}

func testBurstAtZero(t *testing.T, m *testMachine) {
	m.waitZero(t, "ping", 30*time.Second)
	client := m.Client()
	var wg sync.WaitGroup
	failed := make(chan string, 100)
	for range 100 {
		wg.Go(func() {
			a, err := fetch(t.Context(), client, pingURL)
			if err != nil || a.code != http.StatusOK {
				failed <- fmt.Sprintf("%d %s %v", a.code, a.body, err)
			}
		})
	}
	wg.Wait()
	close(failed)
	if n := len(failed); n > 0 {
		t.Errorf("%d of 100 requests failed, the first: %s", n, <-failed)
	}
}

// Example 2: CPU load makes a second instance, and short requests are answered by both; afterwards there is one.
func testLoad(t *testing.T, m *testMachine) {
	m.deploy(t, "load", "instance: C3\nautoscale: {min: 1, max: 2, metric: cpu, target: 10, stable_window: 6s, scale_down_delay: 0s}\n", "main:app")
	long := m.Command(t.Context(), "curl", "-s", "http://load.localhost:8080/load/60000000")
	if err := long.Start(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	client := m.Client()
	eventually(t, 60*time.Second, "two host names answer", func() bool {
		a, err := fetch(t.Context(), client, "http://load.localhost:8080/load/1")
		if err != nil || a.code != http.StatusOK {
			t.Fatalf("a short request: %d %s %v", a.code, a.body, err)
		}
		var body struct {
			Hostname string `json:"hostname"`
		}
		if err := json.Unmarshal([]byte(a.body), &body); err != nil {
			t.Fatal(err)
		}
		seen[body.Hostname] = true
		return len(seen) == 2
	})
	for host := range seen {
		if !strings.HasPrefix(host, "load-00001-") {
			t.Errorf("host name %q doesn't start with the revision's name", host)
		}
	}
	if err := long.Wait(); err != nil {
		t.Errorf("the long request: %v", err)
	}
	eventually(t, 60*time.Second, "one instance is left that is awake", func() bool { return len(m.status(t, "load").awake()) == 1 })
	m.MustRun(t, "fnctl", "remove", "load")
}

// Example 3: workers are processes, and status lists those that really run.
func testWorkers(t *testing.T, m *testMachine) {
	m.deploy(t, "workers", "", "main:app")
	pids := map[string]bool{}
	client := m.Client()
	eventually(t, 20*time.Second, "two workers answer", func() bool {
		// Many at once: one after the other would all go through one connection, to one worker.
		answers := make(chan string, 32)
		var wg sync.WaitGroup
		for range cap(answers) {
			wg.Go(func() {
				a, err := fetch(t.Context(), client, "http://workers.localhost:8080/pid")
				if err != nil || a.code != http.StatusOK {
					t.Errorf("%d %s %v", a.code, a.body, err)
				}
				answers <- a.body
			})
		}
		wg.Wait()
		close(answers)
		for body := range answers {
			pids[body] = true
		}
		return len(pids) >= 2 || t.Failed()
	})
	if len(pids) != 2 {
		t.Errorf("%d processes answer, want 2: %v", len(pids), pids)
	}
	listed := m.oneInstance(t, "workers").PIDs
	for body := range pids {
		found := false
		for _, pid := range listed {
			found = found || strings.Contains(body, fmt.Sprint(pid))
		}
		if !found {
			t.Errorf("process %s answered and is not in %v", body, listed)
		}
	}
	m.MustRun(t, "fnctl", "remove", "workers")
}

// Values arrive literally, and secrets only where they belong.
func testEnvironment(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/env", "PRICE=$1234\nPERCENT=100%n\nQUOTED='a \"b\" \\c `d`'\nLINES=\"one\\ntwo\"\n")
	m.WriteFile(t, "/srv/secrets", "TOKEN=hush-$HOME-%i\n")
	m.deploy(t, "echo", "env: {FROM_CONFIG: \"x=$y %h\"}\nautoscale: {min: 0}\n", "main:app", "--env", "/srv/env", "--secret", "/srv/secrets")
	var env map[string]string
	if err := json.Unmarshal([]byte(m.mustGet(t, "http://echo.localhost:8080/env").body), &env); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"PRICE": "$1234", "PERCENT": "100%n", "QUOTED": "a \"b\" \\c `d`", "LINES": "one\ntwo", "TOKEN": "hush-$HOME-%i",
		"FROM_CONFIG": "x=$y %h", "K_SERVICE": "echo", "K_REVISION": "echo-00001", "HOSTNAME": "echo-00001-1", "OMP_NUM_THREADS": "1",
	} {
		if got := env[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if port, is := env["PORT"]; is {
		t.Errorf("an app that gets a socket has PORT %s", port)
	}
	if env["JCLOUD_WORKSPACE"] == "" {
		t.Error("there is no JCLOUD_WORKSPACE")
	}
	leak := m.MustRun(t, "sh", "-c", `{ journalctl --no-pager; cat /etc/systemd/system/fn-*; systemctl show 'fn-echo*'; ps axww; } | grep -c '[h]ush-' || true`)
	if strings.TrimSpace(leak) != "0" {
		t.Errorf("the secret is in %s lines of the journal, the units, systemd's properties or the process list", leak)
	}
	modes := m.MustRun(t, "sh", "-c", "cd /var/lib/fnctl/functions/echo/revisions/00001 && stat -c %a env config.env credentials/*")
	if modes != "600\n600\n600\n600\n" {
		t.Errorf("modes of the environment files: %q", modes)
	}
	testDirectories(t, m)
	m.MustRun(t, "fnctl", "remove", "echo", "--purge")
}

// The working directory is writable and private to an instance; the workspace outlives revisions.
func testDirectories(t *testing.T, m *testMachine) {
	m.mustGet(t, "http://echo.localhost:8080/write?file=main.py&text=%23")
	m.mustGet(t, "http://echo.localhost:8080/write?file=$JCLOUD_WORKSPACE/kept&text=kept")
	m.MustRun(t, "sh", "-c", "! grep -q '^#$' /var/lib/fnctl/functions/echo/revisions/00001/app/main.py")
	m.MustRunIn(t, "/srv/echo", "fnctl", "deploy", "main:app", "--force")
	if a := m.mustGet(t, "http://echo.localhost:8080/read?file=$JCLOUD_WORKSPACE/kept"); a.body != "kept" {
		t.Errorf("the next revision reads %q in the workspace", a.body)
	}
	var env map[string]string
	if err := json.Unmarshal([]byte(m.mustGet(t, "http://echo.localhost:8080/env").body), &env); err != nil {
		t.Fatal(err)
	}
	if env["TOKEN"] != "hush-$HOME-%i" || env["PRICE"] != "$1234" || env["K_REVISION"] != "echo-00002" {
		t.Errorf("a deploy without --env and --secret has TOKEN %q, PRICE %q in %s", env["TOKEN"], env["PRICE"], env["K_REVISION"])
	}
}

func testCommandLine(t *testing.T, m *testMachine) {
	var list []status
	if err := json.Unmarshal([]byte(m.MustRun(t, "fnctl", "list", "-o", "json")), &list); err != nil || len(list) != 1 || list[0].Name != "ping" {
		t.Errorf("list: %+v, %v", list, err)
	}
	if out := m.MustRun(t, "fnctl", "list", "--phase", "Failed"); out != "No apps found\n" {
		t.Errorf("list --phase Failed: %q", out)
	}
	if out := m.MustRun(t, "fnctl", "invoke", "ping", "/ping"); out != `{"message":"Ping!"}` {
		t.Errorf("invoke: %q", out)
	}
	if out := m.MustRun(t, "fnctl", "logs", "ping", "--since", "-10min"); !strings.Contains(out, "GET /ping") {
		t.Errorf("logs don't have the app's lines:\n%s", out)
	}
	if out := m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app", "--dry-run"); !strings.Contains(out, "# /etc/systemd/system/fn-ping-00002@.service") {
		t.Errorf("dry run:\n%s", out)
	}
	a, err := fetch(t.Context(), m.Client(), "http://nobody.localhost:8080/")
	if err != nil || a.code != http.StatusNotFound || !strings.Contains(a.body, "nobody.localhost") {
		t.Errorf("an unknown host: %d %q %v", a.code, a.body, err)
	}
	m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app", "--host", "ping.example.com")
	m.mustGet(t, pingURL)
	if out := m.MustRun(t, "curl", "-sf", "-H", "Host: Ping.Example.com:8080", "http://127.0.0.1:8080/ping"); out != `{"message":"Ping!"}` {
		t.Errorf("by its own host: %q", out)
	}
}

// After a removal nothing of the function is left but its data.
func testRemove(t *testing.T, m *testMachine) {
	if out := m.MustRun(t, "fnctl", "remove", "ping"); !strings.Contains(out, "ping removed successfully!") {
		t.Errorf("got %q", out)
	}
	left := m.MustRun(t, "sh", "-c", `systemctl list-units --all --plain --no-legend 'fn-*'
		find /etc/systemd/system /var/lib/fnctl /var/cache/fnctl /var/cache/private /run/fnctl/instances -name '*ping*'`)
	if left != "" {
		t.Errorf("left behind:\n%s", left)
	}
	m.MustFail(t, 1, "fnctl", "remove", "ping")
	m.MustRun(t, "fnctl", "remove", "ping", "--purge")
	m.MustRun(t, "test", "!", "-e", "/var/lib/private/fnctl-data/ping")
}
