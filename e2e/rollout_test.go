//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	candidateURL  = "http://candidate.localhost:8080/"
	candidateConf = "healthcheck: {path: /ready, timeout: %s}\nautoscale: {min: %d, max: 4, metric: concurrency, target: 1000}\n"
	// Of a candidate: its version, what it does when it is loaded, how long it warms up, and the status of its answers.
	candidateApp = `
import time
print("this is v%d", flush=True)
%s
warm = time.monotonic() + %v

async def app(scope, receive, send):
    status, body = %d, b"v%d"
    if scope["path"] == "/ready":
        status, body = (200, b"ready") if time.monotonic() > warm else (503, b"warming up")
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%%d" %% len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
`
)

// candidate is a version of an app that is to be deployed.
type candidate struct {
	version int
	loading string
	min     int
	warmUp  time.Duration
	status  int
	timeout time.Duration
}

func (m *testMachine) writeCandidate(t *testing.T, c candidate) {
	t.Helper()
	m.WriteFile(t, "/srv/candidate/jcloud.yml", fmt.Sprintf(candidateConf, c.timeout, c.min))
	m.WriteFile(t, "/srv/candidate/main.py", fmt.Sprintf(candidateApp, c.version, c.loading, c.warmUp.Seconds(), c.status, c.version))
}

func healthy(version int) candidate {
	return candidate{version: version, min: 1, status: http.StatusOK, timeout: 20 * time.Second}
}

func broken(version int) candidate {
	c := healthy(version)
	c.loading = "raise SystemExit(3)"
	return c
}

// deployCandidate returns what the deploy says.
func (m *testMachine) deployCandidate(t *testing.T, c candidate, args ...string) string {
	t.Helper()
	m.writeCandidate(t, c)
	return m.MustRun(t, "sh", "-c", "cd /srv/candidate && fnctl deploy main:app "+strings.Join(args, " ")+" 2>&1")
}

func (m *testMachine) refuseCandidate(t *testing.T, c candidate, args ...string) string {
	t.Helper()
	m.writeCandidate(t, c)
	return m.MustFail(t, 1, "sh", "-c", "cd /srv/candidate && fnctl deploy main:app "+strings.Join(args, " ")).Stderr
}

// What is not healthy, or turns out to fail, never serves for long, and is there to be looked at.
func TestRollout(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	t.Run("warm-up", func(t *testing.T) { testWarmUp(t, m) })
	t.Run("first deploy fails", func(t *testing.T) { testFirstFails(t, m) })
	t.Run("numbers of the journal", func(t *testing.T) { testNumbersOfTheJournal(t, m) })
	t.Run("unhealthy", func(t *testing.T) { testUnhealthy(t, m) })
	t.Run("failed ones are few", func(t *testing.T) { testFailedAreFew(t, m) })
	t.Run("update with wrk", func(t *testing.T) { testUpdateWithWrk(t, m) })
	t.Run("step by step", func(t *testing.T) { testRolloutSteps(t, m) })
	t.Run("goes back", func(t *testing.T) { testRolloutGoesBack(t, m) })
	t.Run("interrupted", func(t *testing.T) { testRolloutInterrupted(t, m) })
	t.Run("killed", func(t *testing.T) { testRolloutKilled(t, m) })
	t.Run("remove asks", func(t *testing.T) { testRemoveAsks(t, m) })
}

// An app that answers 503 while it warms up gets no request before it is ready.
func testWarmUp(t *testing.T, m *testMachine) {
	c := healthy(1)
	c.warmUp = time.Second
	out := m.deployCandidate(t, c, "--rollout", "5s")
	if !strings.Contains(out, "no gradual rollout: candidate-00001 is the first revision") {
		t.Errorf("a first deploy has nothing to go back to:\n%s", out)
	}
	if a := m.mustGet(t, candidateURL+"ready"); a.body != "ready" {
		t.Errorf("got %q", a.body)
	}
}

func testFirstFails(t *testing.T, m *testMachine) {
	out := m.refuseCandidate(t, broken(9), "--name", "fresh")
	if !strings.Contains(out, "fnctl logs fresh --revision 1 has what it printed") {
		t.Errorf("got %s", out)
	}
	if list := m.MustRun(t, "fnctl", "list"); strings.Contains(list, "fresh") {
		t.Errorf("what never served is listed:\n%s", list)
	}
	if logs := m.MustRun(t, "fnctl", "logs", "fresh", "--revision", "1"); !strings.Contains(logs, "this is v9") {
		t.Errorf("got %s", logs)
	}
}

// A number of which the journal has lines is not taken again, whatever became of its revision: nobody else's logs are among its own.
func testNumbersOfTheJournal(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/silent/jcloud.yml", "command: [./silent]\n")
	m.WriteFile(t, "/srv/silent/silent", "#!/bin/sh\nexit 3\n")
	m.MustRun(t, "chmod", "+x", "/srv/silent/silent")
	for number, deploy := range []func() string{
		2: func() string { return m.refuseCandidate(t, broken(10), "--name", "fresh") },
		3: func() string { return m.mustFailIn(t, "/srv/silent", "fnctl", "deploy", "--name", "fresh").Stderr },
		4: func() string { return m.mustFailIn(t, "/srv/silent", "fnctl", "deploy", "--name", "fresh").Stderr },
		5: func() string { return m.deployCandidate(t, healthy(11), "--name", "fresh") },
		6: func() string {
			m.MustRun(t, "fnctl", "remove", "fresh", "--purge")
			return m.deployCandidate(t, healthy(12), "--name", "fresh")
		},
	} {
		if deploy == nil {
			continue
		}
		if out := deploy(); !strings.Contains(out, fmt.Sprintf("fresh-%05d", number)) {
			t.Errorf("it should be revision %d:\n%s", number, out)
		}
	}
	for revision, want := range map[string]string{"1": "this is v9", "2": "this is v10", "5": "this is v11", "6": "this is v12"} {
		logs := m.MustRun(t, "fnctl", "logs", "fresh", "--revision", revision)
		if !strings.Contains(logs, want) || strings.Count(logs, "this is v") != 1 {
			t.Errorf("logs of revision %s: %s", revision, logs)
		}
	}
	if plan := m.MustRun(t, "sh", "-c", "cd /srv/candidate && fnctl deploy main:app --name fresh --dry-run --force"); !strings.Contains(plan, "fn-fresh-00007@") {
		t.Errorf("it would be another revision than the next:\n%s", plan)
	}
	m.MustRun(t, "fnctl", "remove", "fresh", "--purge")
}

// The old revision serves on, and the new one is kept: its files, its reason and its logs, but no process and no route.
func testUnhealthy(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, candidateURL, 4)
	cold := healthy(2)
	cold.warmUp, cold.timeout = time.Hour, 4*time.Second
	out := m.refuseCandidate(t, cold)
	for _, want := range []string{"start candidate-00002: it was not healthy within 4s (healthcheck.timeout): /ready answers 503 Service Unavailable: warming up",
		"this is v2", "fnctl logs candidate --revision 2"} {
		if !strings.Contains(out, want) {
			t.Errorf("the error doesn't say %q:\n%s", want, out)
		}
	}
	m.mustFailed(t, "candidate-00002", "it was not healthy within 4s")
	if s := m.status(t, "candidate"); len(s.Revisions) != 1 || s.Phase != "Serving" {
		t.Errorf("got %+v", s)
	}
	if logs := m.MustRun(t, "fnctl", "logs", "candidate", "--revision", "2"); !strings.Contains(logs, "this is v2") || strings.Contains(logs, "this is v1") {
		t.Errorf("got %s", logs)
	}
	if left := m.MustRun(t, "sh", "-c", `systemctl list-units --all --plain --no-legend 'fn-candidate-00002@*'
		find /etc/systemd/system/fnctl.target.wants /run/fnctl/instances /var/cache/private/fnctl -name '*candidate-00002*'`); left != "" {
		t.Errorf("there is still\n%s", left)
	}
	if out := m.MustFail(t, 1, "fnctl", "rollback", "candidate"); !strings.Contains(out.Stderr, "has no revision before 00001") {
		t.Errorf("got %s", out.Stderr)
	}
	m.mustServeCandidate(t, 1)
	traffic.stop(t)
	good := healthy(1)
	good.warmUp = time.Second
	if out := m.deployCandidate(t, good); !strings.Contains(out, "nothing changed: candidate-00001") {
		t.Errorf("what serves is deployed again:\n%s", out)
	}
}

// mustFailed expects the newest revision to have failed for a reason.
func (m *testMachine) mustFailed(t *testing.T, name, reason string) {
	t.Helper()
	rev := m.revisions(t, "candidate")[0]
	if rev.Name != name || rev.Traffic != 0 || rev.Failed == nil || !strings.Contains(rev.Failed.Reason, reason) {
		t.Errorf("got %+v, want %s to have failed: %s", rev, name, reason)
	}
	if table := m.MustRun(t, "fnctl", "revisions", "candidate"); !strings.Contains(table, name+" failed at ") {
		t.Errorf("got %s", table)
	}
}

// mustServeCandidate expects every answer to be of one version.
func (m *testMachine) mustServeCandidate(t *testing.T, n int) {
	t.Helper()
	want := fmt.Sprintf("v%d", n)
	eventually(t, 5*time.Second, want+" answers", func() bool { return m.mustGet(t, candidateURL).body == want })
	for range 20 {
		if a := m.mustGet(t, candidateURL); a.body != want {
			t.Fatalf("got %s, want %s", a.body, want)
		}
	}
}

func testFailedAreFew(t *testing.T, m *testMachine) {
	m.refuseCandidate(t, broken(3))
	// Who says so may try it again, and it is proved again.
	if out := m.MustFail(t, 1, "fnctl", "rollback", "candidate", "3"); !strings.Contains(out.Stderr, "it ended with exit status 3") {
		t.Errorf("got %s", out.Stderr)
	}
	if out := m.MustRun(t, "fnctl", "gc", "--keep", "1"); !strings.Contains(out, "revision candidate-00002, which failed") {
		t.Errorf("got %s", out)
	}
	if list := m.revisions(t, "candidate"); len(list) != 2 || list[0].Name != "candidate-00003" || list[1].Name != "candidate-00001" {
		t.Errorf("got %+v", list)
	}
	m.mustServeCandidate(t, 1)
}

var wrkFailed = regexp.MustCompile(`(?m)^\s*(Non-2xx|Socket errors|unable).*`)

// 200 connections that are kept, 200 that are not, and whoever asks in a loop, see one version after the other and no failure. With
// min: 3, three instances run when the route is switched.
func testUpdateWithWrk(t *testing.T, m *testMachine) {
	wrk := func(args ...string) func(syscall.Signal) string {
		return m.Start(t, "wrk", append(args, "-t1", "-c200", "-d8s", "--timeout", "10s", "-H", "Host: candidate.localhost", "http://127.0.0.1:8080/")...)
	}
	kept, anew := wrk(), wrk("-H", "Connection: close")
	versions := m.Start(t, "sh", "-c", `while :; do curl -sS --fail-with-body -H "Host: candidate.localhost" http://127.0.0.1:8080/ || echo failed; echo; done >/run/versions`)
	seen := m.Start(t, "sh", "-c", `until grep -q candidate-00004 /var/lib/fnctl/functions/candidate/route.json; do sleep 0.005; done
		systemctl list-units --plain --no-legend --state=running 'fn-candidate-00004@*.service' | wc -l`)
	c := healthy(4)
	c.min = 3
	m.deployCandidate(t, c)
	if running := strings.TrimSpace(seen(syscall.Signal(0))); running != "3" {
		t.Errorf("%q instances ran when the route was switched, want 3", running)
	}
	m.deployCandidate(t, healthy(5))
	eventually(t, 10*time.Second, "v5 answers in the loop, too", func() bool {
		return strings.TrimSpace(m.MustRun(t, "sh", "-c", "grep -c v5 /run/versions || true")) != "0"
	})
	versions(syscall.SIGKILL)
	got := ""
	for line := range strings.Lines(m.MustRun(t, "cat", "/run/versions")) {
		if line = strings.TrimSpace(line); !strings.HasSuffix(got, line) {
			got += line
		}
	}
	if got != "v1v4v5" {
		t.Errorf("in a loop: got %s, want v1, then v4, then v5", got)
	}
	for name, stop := range map[string]func(syscall.Signal) string{"kept connections": kept, "new connections": anew} {
		out := stop(syscall.Signal(0)) // it ends by itself
		if bad := wrkFailed.FindString(out); bad != "" || !strings.Contains(out, "requests in") {
			t.Errorf("wrk, %s: %s\n%s", name, bad, out)
		}
		t.Logf("wrk, %s:\n%s", name, out)
	}
}

// New and old side by side, and no request fails.
func testRolloutSteps(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, candidateURL, 4)
	started := time.Now()
	out := m.deployCandidate(t, healthy(6), "--rollout", "5s")
	took := time.Since(started)
	traffic.stop(t)
	for _, want := range []string{"rollout: 1 % → candidate-00006, ", "rollout: 51 % → candidate-00006, ", "rollout: 90 % → candidate-00006, ", "0 % failed (old 0 %)"} {
		if !strings.Contains(out, want) {
			t.Errorf("the rollout doesn't say %q:\n%s", want, out)
		}
	}
	if took < 5*time.Second {
		t.Errorf("it took %v", took)
	}
	m.mustServeCandidate(t, 6)
}

// codes asks again and again until it is stopped, and counts the answers by their status.
func (m *testMachine) codes(t *testing.T, url string, clients int) (stop func() map[int]int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var mu sync.Mutex
	var asking sync.WaitGroup
	counts := map[int]int{}
	for range clients {
		client := m.Client()
		asking.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				a, err := fetch(context.WithoutCancel(ctx), client, url)
				if err != nil {
					a.code = 0
				}
				mu.Lock()
				counts[a.code]++
				mu.Unlock()
			}
		})
	}
	return func() map[int]int {
		cancel()
		asking.Wait()
		return counts
	}
}

// A revision that is healthy and fails is found out while it has one percent of the traffic.
func testRolloutGoesBack(t *testing.T, m *testMachine) {
	stop := m.codes(t, candidateURL, 4)
	bad := healthy(7)
	bad.status = http.StatusInternalServerError
	started := time.Now()
	out := m.refuseCandidate(t, bad, "--rollout", "30s")
	t.Logf("went back after %v:\n%s", time.Since(started).Round(time.Millisecond), out)
	m.mustServeCandidate(t, 6)
	counts := stop()
	t.Logf("answers by status: %v", counts)
	if counts[200] < 100 || counts[500] < 1 || counts[500] > counts[200]/10 || len(counts) != 2 {
		t.Errorf("got %v", counts)
	}
	for _, want := range []string{"roll out candidate-00007: stopped at ", "(100.0 %), of the old revision's ", "went back: the traffic of candidate is as before", "--revision 7"} {
		if !strings.Contains(out, want) {
			t.Errorf("the error doesn't say %q:\n%s", want, out)
		}
	}
	m.mustFailed(t, "candidate-00007", "stopped at ")
	m.waitOneCandidate(t)
}

// waitOneCandidate waits until the revision that serves is the only one with instances: while a command changes the function, those of
// another stay.
func (m *testMachine) waitOneCandidate(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, "no other revision has an instance", func() bool { return len(m.status(t, "candidate").Revisions) == 1 })
}

// startRollout begins a rollout of a good revision, and waits until it has some of the traffic.
func (m *testMachine) startRollout(t *testing.T, version int) (stop func(syscall.Signal) string) {
	t.Helper()
	m.waitOneCandidate(t)
	m.writeCandidate(t, healthy(version))
	stop = m.Start(t, "env", "--chdir=/srv/candidate", "fnctl", "deploy", "main:app", "--rollout", "60s")
	eventually(t, 20*time.Second, "traffic is split", func() bool {
		s := m.status(t, "candidate")
		return len(s.Revisions) == 2 && s.Revisions[1].Traffic > 0
	})
	return stop
}

func testRolloutInterrupted(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, candidateURL, 4)
	stop := m.startRollout(t, 8)
	for _, command := range []string{"scale candidate --max 4", "restart candidate", "rollback candidate", "remove candidate --yes", "deploy main:app --name candidate"} {
		out := m.MustFail(t, 1, "sh", "-c", "cd /srv/candidate && fnctl "+command+" --no-wait")
		if !regexp.MustCompile(`^fnctl: error: another command is changing candidate \(pid [0-9]+, fnctl deploy\)\n`).MatchString(out.Stderr) {
			t.Errorf("%s: got %q", command, out.Stderr)
		}
	}
	out := stop(syscall.SIGINT)
	if !strings.Contains(out, "stopped at 1 %: interrupted") || !strings.Contains(out, "went back") {
		t.Errorf("got %s", out)
	}
	m.mustServeCandidate(t, 6)
	m.mustFailed(t, "candidate-00008", "interrupted")
	traffic.stop(t)
}

// What kills the command leaves the split as it is; the next deploy ends it.
func testRolloutKilled(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, candidateURL, 4)
	m.startRollout(t, 9)(syscall.SIGKILL)
	if s := m.status(t, "candidate"); s.Phase != "Serving" || s.Revisions[0].Traffic != 99 || s.Revisions[1].Traffic != 1 {
		t.Errorf("got %+v", s)
	}
	m.deployCandidate(t, healthy(10))
	m.mustServeCandidate(t, 10)
	traffic.stop(t)
	m.MustRun(t, "fnctl", "rollback", "candidate", "7")
	if rev := m.revisions(t, "candidate")[3]; rev.Name != "candidate-00007" || rev.Failed != nil || rev.Traffic != 100 {
		t.Errorf("who serves has not failed: %+v", rev)
	}
}

func testRemoveAsks(t *testing.T, m *testMachine) {
	out := m.MustFail(t, 1, "sh", "-c", `printf 'n\n' | script -qec "fnctl remove candidate" /dev/null`).Stdout
	for _, want := range []string{"remove candidate, with all its revisions? Its data stays in /var/lib/private/fnctl-data/candidate. [y/N]", "candidate is not removed"} {
		if !strings.Contains(out, want) {
			t.Errorf("it doesn't say %q:\n%s", want, out)
		}
	}
	m.status(t, "candidate")
	m.MustRun(t, "sh", "-c", `printf 'y\n' | script -qec "fnctl remove candidate" /dev/null`)
	m.MustFail(t, 1, "fnctl", "status", "candidate")
}
