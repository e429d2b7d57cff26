//go:build e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// The commands that need a machine to say anything.
func TestCLI(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			t.Run("dry run", func(t *testing.T) { testDryRun(t, m) })
			t.Run("journal", func(t *testing.T) { testJournal(t, m) })
			t.Run("odd lines", func(t *testing.T) { testOddLines(t, m) })
			t.Run("refused answer", func(t *testing.T) { testRefusedAnswer(t, m) })
			only(t, machine.Trixie, suite, "events", func(t *testing.T) { testEventsCommand(t, m) })
			only(t, machine.Bookworm, suite, "scale", func(t *testing.T) { testScaleCommand(t, m) })
			t.Run("failures", func(t *testing.T) { testFailureEvents(t, m) })
		})
	}
}

// What --dry-run prints is what a deploy writes.
func testDryRun(t *testing.T, m *testMachine) {
	m.CopyIn(t, function("ping"), "/srv/ping")
	m.WriteFile(t, "/srv/ping/jcloud.yml", neverAsleep("the events of a start and of an end are looked for", serverless))
	text := m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app", "--dry-run")
	m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app")
	for unit := range strings.SplitSeq(strings.TrimPrefix(text, "# "), "\n\n# /") {
		file, want, _ := strings.Cut(unit, "\n")
		file = "/" + strings.TrimPrefix(file, "/")
		if got := m.MustRun(t, "cat", file); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
		}
	}
	if got := strings.Count(text, "# /etc/systemd/system/"); got != 3 {
		t.Errorf("--dry-run prints %d units, want 3", got)
	}
}

// The daemons log with fields, so that the journal can be asked for a function; the text is as readable as ever.
func testJournal(t *testing.T, m *testMachine) {
	var entry map[string]any
	eventually(t, 10*time.Second, "the activator has logged that it takes over ping", func() bool {
		out := m.MustRun(t, "journalctl", "--output=json", "--lines=1", "_SYSTEMD_UNIT=fnctl-activator.service", "FNCTL_FUNCTION=ping", "FNCTL_EVENT=adopt")
		return json.Unmarshal([]byte(out), &entry) == nil
	})
	for field, want := range map[string]string{"PRIORITY": "6", "FNCTL_REVISION": "ping-00001", "SYSLOG_IDENTIFIER": "fnctl"} {
		if got := entry[field]; got != want {
			t.Errorf("%s: got %v, want %s", field, got, want)
		}
	}
	message := fmt.Sprint(entry["MESSAGE"])
	if !strings.Contains(message, " function=ping ") || strings.Contains(message, "time=") || strings.Contains(message, "level=") {
		t.Errorf("the message is %q", message)
	}
	if text := m.MustRun(t, "journalctl", "--unit=fnctl-gateway.service", "--grep=gateway started"); !strings.Contains(text, "endpoint=") {
		t.Errorf("the gateway's log: %s", text)
	}
}

// event is the part of "fnctl events NAME -o json" that scripts rely on.
type event struct {
	Time     time.Time `json:"time"`
	Event    string    `json:"event"`
	Function string    `json:"function"`
	Revision string    `json:"revision"`
	Instance string    `json:"instance"`
	Why      string    `json:"why"`
}

func (m *testMachine) events(t *testing.T, name string, args ...string) []event {
	t.Helper()
	return parseLines[event](t, m.MustRun(t, "fnctl", append([]string{"events", name, "-o", "json"}, args...)...))
}

// hasEvents reports whether there are such events, written "event subject", in this order.
func hasEvents(list []event, want ...string) bool {
	for _, e := range list {
		if len(want) == 0 {
			break
		}
		// A star stands for any index.
		if matched, _ := path.Match(want[0], strings.TrimSpace(e.Event+" "+cmp.Or(e.Instance, e.Revision))); matched {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// A cold start and the way back to zero can be read from the events, wherever they come from.
func testEventsCommand(t *testing.T, m *testMachine) {
	m.waitZero(t, "ping", 30*time.Second)
	m.WriteFile(t, "/run/followed", "")
	stop := m.Start(t, "sh", "-c", "exec fnctl events ping -f -n 1 -o json >/run/followed")
	followed := func() []event { return parseLines[event](t, m.MustRun(t, "sed", "-n", "/}$/p", "/run/followed")) }
	eventually(t, 10*time.Second, "-f prints the last event", func() bool { return len(followed()) == 1 })
	m.mustGet(t, pingURL)
	m.waitZero(t, "ping", 30*time.Second)
	cycle := []string{"start ping-00001@*", "ready ping-00001@*", "scale ping-00001", "arm ping-00001@*", "drain ping-00001@*", "stop ping-00001@*"}
	eventually(t, 10*time.Second, "all events are there", func() bool { return hasEvents(m.events(t, "ping"), cycle...) })

	list := m.events(t, "ping")
	if !slices.IsSortedFunc(list, func(a, b event) int { return a.Time.Compare(b.Time) }) {
		t.Error("events are out of order")
	}
	scale := list[slices.IndexFunc(list, func(e event) bool { return e.Event == "scale" })]
	if !strings.Contains(scale.Why, " → ") || scale.Function != "ping" {
		t.Errorf("got %+v, want the numbers and a reason", scale)
	}
	if last := m.events(t, "ping", "-n", "1"); len(last) != 1 || last[0] != list[len(list)-1] {
		t.Errorf("-n 1: got %+v, want %+v", last, list[len(list)-1])
	}
	if future := m.events(t, "ping", "--since=+1h"); len(future) > 0 {
		t.Errorf("of the future: %+v", future)
	}
	if table := m.MustRun(t, "fnctl", "events", "ping"); !strings.Contains(table, "│ scale ") {
		t.Errorf("the table has no decision:\n%s", table)
	}
	eventually(t, 10*time.Second, "-f prints what comes", func() bool { return hasEvents(followed()[1:], cycle...) })
	for _, e := range followed() {
		if !slices.Contains(list, e) {
			t.Errorf("-f has %+v, which the list has not", e)
		}
	}
	if said := stop(syscall.SIGINT); said != "" {
		t.Errorf("-f ended with %q", said)
	}
	if out := m.MustFail(t, 1, "fnctl", "events", "nobody"); !strings.Contains(out.Stderr, "no such function: nobody") {
		t.Errorf("events of a function that is not there: %s", out.Stderr)
	}
	if out := m.MustFail(t, 1, "fnctl", "events", "ping", "--since=soon"); !strings.Contains(out.Stderr, "systemd.time(7)") {
		t.Errorf("a time that is none: %s", out.Stderr)
	}
}

// A change of the bounds is obeyed at once, and outlives a deploy and a restart of the activator.
func testScaleCommand(t *testing.T, m *testMachine) {
	m.waitZero(t, "ping", 30*time.Second)
	ready := func(n int) func() bool {
		return func() bool { s := m.status(t, "ping").Scale; return s.Ready == n && s.Min == n }
	}
	m.MustRun(t, "fnctl", "scale", "ping", "--replicas", "2")
	eventually(t, 10*time.Second, "two instances are ready", ready(2))
	m.MustRunIn(t, "/srv/ping", "fnctl", "deploy", "main:app", "--force")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator.service")
	eventually(t, 20*time.Second, "two instances of the new revision are ready", func() bool {
		s := m.status(t, "ping")
		return len(s.Revisions) == 1 && s.Revisions[0].Name == "ping-00002" && s.Scale.Ready == 2
	})
	if s := m.status(t, "ping").Scale; s.Min != 2 || s.Max != 2 {
		t.Errorf("status says %d to %d, want 2 to 2", s.Min, s.Max)
	}
	m.MustRun(t, "fnctl", "scale", "ping", "--reset")
	m.waitZero(t, "ping", 30*time.Second)
}

// An app that ends by itself is an event with the reason.
func testFailureEvents(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/mortal/main.py", mortal)
	m.WriteFile(t, "/srv/mortal/jcloud.yml", serverless)
	m.MustRunIn(t, "/srv/mortal", "fnctl", "deploy", "main:app")
	m.MustRun(t, "sh", "-c", "fnctl invoke mortal /die || true")
	eventually(t, 10*time.Second, "there is an event of the failure", func() bool {
		return slices.ContainsFunc(m.events(t, "mortal"), func(e event) bool {
			return e.Event == "fail" && e.Function == "mortal" && strings.Contains(e.Why, "status=7")
		})
	})
	for _, e := range m.events(t, "ping") {
		if e.Function != "ping" || e.Event == "fail" { // nor is it one that an instance was drained while it started
			t.Errorf("among the events of ping there is %+v", e)
		}
	}
	// It is well again, and its status tells what was.
	m.MustRun(t, "fnctl", "invoke", "mortal", "/")
	if status := m.MustRun(t, "fnctl", "status", "mortal"); !strings.Contains(status, "failures: 1 within an hour") || !strings.Contains(status, "status=7") {
		t.Errorf("the status does not tell of the failure:\n%s", status)
	}
	if status := m.MustRun(t, "fnctl", "status", "ping"); strings.Contains(status, "failures:") {
		t.Errorf("the status of ping tells of a failure:\n%s", status)
	}
	out, err := m.Run(t.Context(), "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "fnctl", "status", "mortal")
	if err != nil || strings.Contains(out.Stderr, "failures") {
		t.Errorf("who may not read the journal: %v, %s", err, out.Stderr)
	}
}

const mortal = `
import os
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/die":
        os._exit(7)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"alive"})
`
