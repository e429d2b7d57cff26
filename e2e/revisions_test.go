//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	versionsURL  = "http://versions.localhost:8080/"
	versionsConf = "autoscale: {min: 0, max: 4, metric: concurrency, target: 20, stable_window: 6s, scale_down_delay: 0s}\n"
	versionsApp  = `
async def app(scope, receive, send):
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"v%d"})
`
)

// Going back, splitting and cleaning up cost no request.
func TestRevisions(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.deployVersion(t, 1)
			m.deployVersion(t, 2)
			only(t, machine.Trixie, suite, "nothing before the first", func(t *testing.T) { testNothingBefore(t, m) })
			t.Run("under load", func(t *testing.T) { testRevisionsUnderLoad(t, m) })
			only(t, machine.Bookworm, suite, "split", func(t *testing.T) { testSplit(t, m) })
			only(t, machine.Bookworm, suite, "each scaled by itself", func(t *testing.T) { testSplitScale(t, m) })
			t.Run("no process without traffic", func(t *testing.T) { testNoProcess(t, m) })
			t.Run("source gone", func(t *testing.T) { testSourceGone(t, m) })
			only(t, machine.Trixie, suite, "cannot start", func(t *testing.T) { testRollbackFails(t, m) })
			t.Run("killed", func(t *testing.T) { testTrafficKilled(t, m) })
			t.Run("reboot", func(t *testing.T) { testSplitComesBack(t, m) })
			only(t, machine.Bookworm, suite, "garbage", func(t *testing.T) { testGarbage(t, m) })
		})
	}
}

func (m *testMachine) deployVersion(t *testing.T, n int) {
	t.Helper()
	m.WriteFile(t, "/srv/versions/jcloud.yml", versionsConf)
	m.WriteFile(t, "/srv/versions/main.py", fmt.Sprintf(versionsApp, n))
	m.MustRunIn(t, "/srv/versions", "fnctl", "deploy", "main:app")
	m.mustServe(t, n)
}

// mustServe expects every answer of some to be of one version. The gateway may take a moment to see a new route.
func (m *testMachine) mustServe(t *testing.T, n int) {
	t.Helper()
	want := fmt.Sprintf("v%d", n)
	eventually(t, 5*time.Second, want+" answers", func() bool { return m.mustGet(t, versionsURL).body == want })
	for range 20 {
		if a := m.mustGet(t, versionsURL); a.body != want {
			t.Fatalf("got %s, want %s", a.body, want)
		}
	}
}

// keptRevision is the part of "fnctl revisions NAME -o json" that the tests, and the scripts of users, rely on.
type keptRevision struct {
	Name      string     `json:"name"`
	App       string     `json:"app"`
	Traffic   int        `json:"traffic"`
	Served    bool       `json:"served"`
	Instances []instance `json:"instances"`
	Bytes     int64      `json:"bytes"`
	Failed    *struct {
		Reason string `json:"reason"`
	} `json:"failed"`
}

func (m *testMachine) revisions(t *testing.T, name string) []keptRevision {
	t.Helper()
	var list []keptRevision
	if err := json.Unmarshal([]byte(m.MustRun(t, "fnctl", "revisions", name, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func testNothingBefore(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "rollback", "versions")
	out := m.MustFail(t, 1, "fnctl", "rollback", "versions")
	if !strings.Contains(out.Stderr, "versions has no revision before 00001 to go back to") {
		t.Errorf("got %q", out.Stderr)
	}
	out = m.MustFail(t, 1, "fnctl", "rollback", "versions", "7")
	if !strings.Contains(out.Stderr, "versions has no revision 00007") {
		t.Errorf("got %q", out.Stderr)
	}
	m.mustServe(t, 1)
	m.MustRun(t, "fnctl", "rollback", "versions", "2")
	m.mustServe(t, 2)
}

func testRevisionsUnderLoad(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, versionsURL, 4)
	for range 3 {
		started := time.Now()
		out := m.MustRun(t, "sh", "-c", "fnctl rollback versions 2>&1")
		t.Logf("rolled back in %v:\n%s", time.Since(started).Round(time.Millisecond), out)
		m.mustServe(t, 1)
		m.MustRun(t, "fnctl", "traffic", "versions", "00001=50", "versions-00002=50")
		m.MustRun(t, "fnctl", "traffic", "versions", "1=0", "2=100")
		m.mustServe(t, 2)
	}
	traffic.stop(t)
}

// 2,000 requests split 90 to 10: within four standard deviations, which chance leaves once in 16,000 runs.
func testSplit(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "traffic", "versions", "1=90", "2=10")
	eventually(t, 5*time.Second, "v1 answers", func() bool { return m.mustGet(t, versionsURL).body == "v1" })
	const n = 2000
	got := map[string]int{}
	client := m.Client()
	for range n {
		a, err := fetch(t.Context(), client, versionsURL)
		if err != nil {
			t.Fatal(err)
		}
		got[a.body]++
	}
	most := 4 * math.Sqrt(n*0.9*0.1)
	if off := math.Abs(float64(got["v2"]) - n*0.1); off > most || got["v1"]+got["v2"] != n {
		t.Errorf("got %v, want 90 to 10", got)
	}
	t.Logf("%v", got)
	if out := m.MustRun(t, "fnctl", "traffic", "versions", "-o", "json"); !strings.Contains(out, `"percent": 90`) {
		t.Errorf("traffic prints %s", out)
	}
}

// Bounds hold for each revision with traffic, and the activator keeps each alive.
func testSplitScale(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "scale", "versions", "--min", "2")
	eventually(t, 30*time.Second, "both revisions have two ready instances", func() bool {
		s := m.status(t, "versions")
		return len(s.Revisions) == 2 && s.areReady(4) && s.Scale.Ready == 4 && s.Scale.Desired == 4 && s.Scale.Min == 4
	})
	out := m.MustRun(t, "fnctl", "status", "versions")
	for _, want := range []string{"scale of versions-00001: 2 ready, 2 desired (min 2, max 4)", "scale of versions-00002: 2 ready, 2 desired"} {
		if !strings.Contains(out, want) {
			t.Errorf("status doesn't say %q:\n%s", want, out)
		}
	}
	m.MustRun(t, "fnctl", "scale", "versions", "--reset")
	eventually(t, 60*time.Second, "both revisions are at zero", func() bool {
		return atZero(m.statesOf(t, "versions-00001")) && atZero(m.statesOf(t, "versions-00002"))
	})
	got := map[string]bool{}
	for range 200 {
		got[m.mustGet(t, versionsURL).body] = true
	}
	if !got["v1"] || !got["v2"] {
		t.Errorf("after zero only %v answer", got)
	}
}

func testNoProcess(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "traffic", "versions", "2=100")
	eventually(t, 30*time.Second, "only the second has instances", func() bool {
		list := m.revisions(t, "versions")
		return len(list) == 2 && list[0].Name == "versions-00002" && list[0].Traffic == 100 && len(list[0].Instances) > 0 &&
			list[1].Traffic == 0 && len(list[1].Instances) == 0 && list[1].Served && list[1].Bytes > 0
	})
	// The activator removes the copy of the app after the instance has ended.
	eventually(t, 10*time.Second, "what has no traffic has no copy, no socket, no link", func() bool {
		return m.MustRun(t, "sh", "-c", "ls -d /var/cache/private/fnctl/versions-00001@* /run/fnctl/instances/versions-00001@* /etc/systemd/system/fnctl.target.wants/fn-versions-00001@* 2>/dev/null || true") == ""
	})
}

// What a revision needs, it has; and the next deploy doesn't take a number again.
func testSourceGone(t *testing.T, m *testMachine) {
	m.MustRun(t, "rm", "-r", "/srv/versions")
	started := time.Now()
	m.MustRun(t, "fnctl", "rollback", "versions")
	t.Logf("without load rolled back in %v", time.Since(started).Round(time.Millisecond))
	m.mustServe(t, 1)
	m.deployVersion(t, 3)
	if list := m.revisions(t, "versions"); list[0].Name != "versions-00003" || list[0].Traffic != 100 {
		t.Errorf("got %+v", list)
	}
}

// What cannot start leaves everything as it was.
func testRollbackFails(t *testing.T, m *testMachine) {
	eventually(t, 30*time.Second, "only the last has instances", func() bool { return len(m.status(t, "versions").Revisions) == 1 })
	const app = "/var/lib/fnctl/functions/versions/revisions/00001/app/main.py"
	m.MustRun(t, "sh", "-c", "cp "+app+" /root/kept && echo 'raise SystemExit(\"worn out\")' > "+app)
	m.MustRun(t, "fnctl", "scale", "versions", "--min", "1")
	traffic := m.startTraffic(t, versionsURL, 4)
	m.waitAwake(t, "versions")
	before := footprint(t, m)
	for _, command := range []string{"fnctl rollback versions 1", "fnctl traffic versions 1=10 2=20 3=70"} {
		out := m.MustFail(t, 1, "sh", "-c", command)
		if !strings.Contains(out.Stderr, "start versions-00001: it ended with exit status 1") || !strings.Contains(out.Stderr, "worn out") {
			t.Errorf("%s: got %q", command, out.Stderr)
		}
		m.mustServe(t, 3)
		if after := footprint(t, m); after != before {
			t.Errorf("%s leaves something behind:\n%s\nbefore:\n%s", command, after, before)
		}
	}
	traffic.stop(t)
	m.MustRun(t, "cp", "/root/kept", app)
	m.MustRun(t, "fnctl", "scale", "versions", "--reset")
}

// Whatever a command that was killed leaves, requests are answered, and nothing goes on that has no traffic.
func testTrafficKilled(t *testing.T, m *testMachine) {
	traffic := m.startTraffic(t, versionsURL, 2)
	for n := range 8 {
		split := []string{"1=100", "1=50 3=50", "2=100", "3=100"}[n%4]
		m.MustRun(t, "sh", "-c", fmt.Sprintf("timeout --signal=KILL 0.%02d fnctl traffic versions %s 2>/dev/null || true", 3+7*n, split))
	}
	m.MustRun(t, "fnctl", "traffic", "versions", "3=100")
	eventually(t, 60*time.Second, "only the last has instances", func() bool { return len(m.status(t, "versions").Revisions) == 1 })
	traffic.stop(t)
}

func testSplitComesBack(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "traffic", "versions", "1=50", "3=50")
	m.Reboot(t)
	got := map[string]bool{}
	eventually(t, 30*time.Second, "both revisions answer", func() bool {
		a, err := fetch(t.Context(), m.Client(), versionsURL)
		if err == nil && a.code == 200 {
			got[a.body] = true
		}
		return got["v1"] && got["v3"]
	})
	m.MustRun(t, "fnctl", "traffic", "versions", "3=100")
	eventually(t, 30*time.Second, "only the last has instances", func() bool { return len(m.status(t, "versions").Revisions) == 1 })
}

// What is needed stays, what nobody needs goes, and what another command is changing is left alone.
func testGarbage(t *testing.T, m *testMachine) {
	eventually(t, 60*time.Second, "it is at zero, and does not change any more", func() bool {
		states := m.status(t, "versions").states()
		return atZero(states) && len(slices.DeleteFunc(strings.Fields(states), func(state string) bool { return !listens(state) })) == 1
	})
	m.MustRun(t, "fnctl", "gc")
	before := footprint(t, m)
	const revisions, units = "/var/lib/fnctl/functions/versions/revisions", "/etc/systemd/system"
	m.MustRun(t, "sh", "-c", `set -e
		cp -a `+revisions+`/00003 `+revisions+`/00009 && rm `+revisions+`/00009/served
		sed -i s/versions-00003/versions-00009/ `+revisions+`/00009/revision.json
		mkdir -p `+revisions+`/.00010/app && echo > `+revisions+`/.00010/app/main.py
		touch `+revisions+`/../.route.json.123 `+units+`/.fn-versions-00010@.service.123
		cp `+units+`/fn-versions-00003@.service `+units+`/fn-versions-00011@.service
		cp -a `+revisions+`/00003/app /var/cache/private/fnctl/versions-00002@7
		mkdir -p /var/lib/fnctl/functions/half/revisions/00001 && touch `+units+`/fn-half-00001@.service`)
	littered := footprint(t, m)
	dry := m.MustRun(t, "fnctl", "gc", "--dry-run", "-o", "json")
	if after := footprint(t, m); after != littered {
		t.Errorf("a dry run changes something:\n%s", after)
	}
	locked := m.MustRun(t, "flock", "/run/fnctl/locks/versions", "fnctl", "gc")
	if !strings.Contains(locked, "versions is left alone") || strings.Contains(locked, "versions-00009") {
		t.Errorf("got %s", locked)
	}
	for _, want := range []string{"revision versions-00009, which never had traffic", ".00010", ".route.json.123", ".fn-versions-00010@.service.123",
		"units of versions-00011", "copy of the app of versions-00002@7", "half"} {
		if !strings.Contains(dry, want) {
			t.Errorf("a dry run doesn't say %q:\n%s", want, dry)
		}
	}
	m.MustRun(t, "fnctl", "gc")
	if after := footprint(t, m); after != before {
		t.Errorf("after gc:\n%s\nwant:\n%s", after, before)
	}
	m.MustRun(t, "fnctl", "gc", "--keep", "1")
	if list := m.revisions(t, "versions"); len(list) != 2 || list[1].Name != "versions-00002" {
		t.Errorf("of those without traffic one is to stay: %+v", list)
	}
	m.mustServe(t, 3)
}
