//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	canaryURL = "http://canary.versions.localhost:8080/"
	// Where a revision has traffic, one instance runs always.
	tagsConf = "autoscale: {min: 1, max: 4, metric: concurrency, target: 20, stable_window: 6s, scale_down_delay: 0s, scale_to_zero_after: 1s}\n"
)

// Hosts of their own lead to single revisions, and clients stick to one while traffic is split.
func TestTags(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.MustFail(t, 1, "sh", "-c", "cd /srv && mkdir versions && touch versions/main.py && cd versions && fnctl deploy main:app --no-traffic")
	m.deployTagged(t, 1, tagsConf)
	m.deployTagged(t, 2, neverAsleep("a tag alone is to cost no process", tagsConf), "--no-traffic", "--tag", "canary")
	t.Run("hosts", func(t *testing.T) { testTagHosts(t, m) })
	t.Run("rules", func(t *testing.T) { testHostRules(t, m) })
	t.Run("no process", func(t *testing.T) { testTagCostsNothing(t, m) })
	t.Run("refused", func(t *testing.T) { testTagRefused(t, m) })
	t.Run("sticky", func(t *testing.T) { testSticky(t, m) })
	t.Run("under load", func(t *testing.T) { testTagsUnderLoad(t, m) })
	t.Run("reboot", func(t *testing.T) {
		m.Reboot(t)
		m.mustLead(t, canaryURL, 2)
		m.mustLead(t, versionsURL, 1)
	})
	t.Run("deploy", func(t *testing.T) { testTagSurvivesDeploy(t, m) })
	t.Run("pause", func(t *testing.T) { testTagPaused(t, m) })
	t.Run("no traffic yet", func(t *testing.T) { testNoTrafficYet(t, m) })
	t.Run("remove", func(t *testing.T) {
		m.MustRun(t, "fnctl", "remove", "versions")
		if left := m.MustRun(t, "sh", "-c", "ls -d /etc/systemd/system/fn-versions* /etc/systemd/system/*/fn-versions* /run/fnctl/instances/versions* 2>/dev/null || true"); left != "" {
			t.Errorf("it leaves\n%s", left)
		}
	})
}

func (m *testMachine) deployTagged(t *testing.T, n int, config string, flags ...string) {
	t.Helper()
	m.WriteFile(t, "/srv/versions/jcloud.yml", config)
	m.WriteFile(t, "/srv/versions/main.py", fmt.Sprintf(versionsApp, n))
	m.MustRunIn(t, "/srv/versions", "fnctl", append([]string{"deploy", "main:app"}, flags...)...)
}

// mustLead expects that a host leads to one version and no other.
func (m *testMachine) mustLead(t *testing.T, url string, n int) {
	t.Helper()
	want := fmt.Sprintf("v%d", n)
	eventually(t, 30*time.Second, url+" leads to "+want, func() bool {
		a, err := fetch(t.Context(), m.Client(), url)
		return err == nil && a.code == http.StatusOK && a.body == want
	})
	for range 20 {
		if a := m.mustGet(t, url); a.body != want {
			t.Fatalf("%s: got %s, want %s", url, a.body, want)
		}
	}
}

// statesOf are those of the instances of one revision.
func (m *testMachine) statesOf(t *testing.T, revision string) string {
	t.Helper()
	s := m.status(t, "versions")
	for _, r := range s.Revisions {
		if r.Name == revision {
			s.Revisions = s.Revisions[:0]
			s.Revisions = append(s.Revisions, r)
			return s.states()
		}
	}
	return ""
}

func testTagHosts(t *testing.T, m *testMachine) {
	m.mustLead(t, versionsURL, 1)
	m.mustLead(t, canaryURL, 2)
	m.mustLead(t, "http://00002.versions.localhost:8080/", 2)
	m.mustLead(t, "http://00001.versions.localhost:8080/", 1)
	a, err := fetch(t.Context(), m.Client(), "http://00003.versions.localhost:8080/")
	if err != nil || a.code != http.StatusNotFound || !strings.Contains(a.body, "fnctl traffic versions --tag TAG=00003") {
		t.Errorf("got %d %q, %v", a.code, a.body, err)
	}
	if list := m.revisions(t, "versions"); list[0].Traffic != 0 || list[0].Served || list[1].Traffic != 100 {
		t.Errorf("got %+v", list)
	}
	if out := m.MustRun(t, "fnctl", "status", "versions"); !strings.Contains(out, "versions-00002 http://canary.versions.localhost:8080") {
		t.Errorf("status doesn't say where the tag leads:\n%s", out)
	}
}

// A function has what is below a domain, a path of another one's address, and what nobody has.
func testHostRules(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", "hosts: ['*.tenants.example.com', versions.localhost/api, '*']\nstrip_prefix: true\nautoscale: {min: 0, scale_to_zero_after: 1s}\n", "main:app")
	for _, asked := range []struct{ host, path, prefix string }{
		{"a.tenants.example.com", "/headers", ""},
		{"versions.localhost", "/api/headers", "/api"},
		{"203.0.113.7:8080", "/headers", ""},
	} {
		out := m.MustRun(t, "curl", "-sf", "-H", "Host: "+asked.host, "http://127.0.0.1:8080"+asked.path)
		if !strings.Contains(out, `"x-forwarded-host":"`+asked.host+`"`) || strings.Contains(out, "x-forwarded-prefix") != (asked.prefix != "") ||
			!strings.Contains(out, `"x-forwarded-prefix":"`+asked.prefix+`"`) && asked.prefix != "" {
			t.Errorf("%s%s: got %s", asked.host, asked.path, out)
		}
	}
	m.mustLead(t, versionsURL, 1)
	for host, owner := range map[string]string{"*": "echo", "versions.localhost/api": "echo", "*.localhost": "all functions", "*.echo.localhost": "echo"} {
		if out := m.mustFailIn(t, "/srv/versions", "fnctl", "deploy", "main:app", "--host", host); !strings.Contains(out.Stderr, owner) {
			t.Errorf("--host %s: %s", host, out.Stderr)
		}
	}
	m.MustRun(t, "fnctl", "remove", "echo")
}

// Without traffic a revision runs only while somebody asks for it, whatever its min says.
func testTagCostsNothing(t *testing.T, m *testMachine) {
	for range 2 {
		eventually(t, 30*time.Second, "the tagged revision is at zero", func() bool { return atZero(m.statesOf(t, "versions-00002")) })
		if states := m.statesOf(t, "versions-00001"); states != "ready" {
			t.Errorf("the one with traffic is %s", states)
		}
		if a := m.mustGet(t, canaryURL); a.body != "v2" || a.header.Get("Fnctl-Cold-Start") == "" {
			t.Errorf("got %+v, want a cold start", a)
		}
	}
	m.mustServe(t, 1)
}

func testTagRefused(t *testing.T, m *testMachine) {
	for command, want := range map[string]string{
		"fnctl traffic versions --tag next=7":        "versions has no revision 00007",
		"fnctl traffic versions --untag next":        "versions has no tag next",
		"fnctl rollback versions":                    "versions has no revision before 00001 to go back to",
		"cd /srv/versions && fnctl env versions set": "KEY=VALUE",
	} {
		out, _ := m.Run(t.Context(), "sh", "-c", command)
		if out.Code == 0 || !strings.Contains(out.Stderr, want) {
			t.Errorf("%s: got %d %q, want %q", command, out.Code, out.Stderr, want)
		}
	}
	if out := m.MustRun(t, "sh", "-c", "fnctl traffic versions --tag canary=2 2>&1"); !strings.Contains(out, "nothing to change") {
		t.Errorf("got %s", out)
	}
	m.mustLead(t, canaryURL, 2)
}

// askAs sends a field along and returns what answers, with the cookie that it sets.
func (m *testMachine) askAs(t *testing.T, name, value string) (body, cookie string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, versionsURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(name, value)
	client := m.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data := make([]byte, 2)
	if _, err := resp.Body.Read(data); resp.StatusCode != http.StatusOK {
		t.Fatalf("got %s, %v", resp.Status, err)
	}
	cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	return string(data), cookie
}

// Who a client gets is the same in the next gateway, and changes only as far as the split does.
func testSticky(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "traffic", "versions", "1=50", "2=50", "--sticky", "header:X-User")
	eventually(t, 5*time.Second, "v2 answers", func() bool { return m.mustGet(t, versionsURL).body == "v2" })
	everyone := func() map[string]string {
		seen := map[string]string{}
		for n := range 40 {
			user := fmt.Sprint("user-", n)
			seen[user], _ = m.askAs(t, "X-User", user)
		}
		return seen
	}
	before := everyone()
	for _, change := range []string{"true", "systemctl reload " + gatewayUnit, "systemctl restart " + gatewayUnit, "fnctl traffic versions 1=20 2=80"} {
		m.MustRun(t, "timeout", "60", "sh", "-c", change)
		moved := 0
		eventually(t, 5*time.Second, "the split is 20 to 80", func() bool {
			moved = 0
			for user, now := range everyone() {
				if now == "v1" && before[user] == "v2" {
					t.Errorf("after %s: %s goes back", change, user)
				}
				if now != before[user] {
					moved++
				}
			}
			return moved > 0 == strings.HasPrefix(change, "fnctl")
		})
		t.Logf("after %s %d of %d have moved", change, moved, len(before))
	}
	m.MustRun(t, "fnctl", "traffic", "versions", "--sticky", "cookie")
	var cookie string
	eventually(t, 5*time.Second, "a cookie is given", func() bool {
		_, cookie = m.askAs(t, "X-User", "a")
		return cookie != ""
	})
	first, again := m.askAs(t, "Cookie", "a=b; "+cookie)
	for range 20 {
		if now, _ := m.askAs(t, "Cookie", cookie); now != first || again != "" {
			t.Errorf("with %s: got %s after %s", cookie, now, first)
		}
	}
	if out := m.MustRun(t, "fnctl", "traffic", "versions", "1=100", "--sticky", "off", "-o", "json"); !strings.Contains(out, `"sticky": "off"`) || !strings.Contains(out, "canary") {
		t.Errorf("traffic prints %s", out)
	}
}

// A tag that moves costs no request, and neither does traffic that comes and goes.
func testTagsUnderLoad(t *testing.T, m *testMachine) {
	byTag, byName := m.startTraffic(t, canaryURL, 2), m.startTraffic(t, versionsURL, 2)
	for range 2 {
		m.MustRun(t, "fnctl", "traffic", "versions", "--tag", "canary=1")
		m.mustLead(t, canaryURL, 1)
		m.MustRun(t, "fnctl", "traffic", "versions", "--tag", "canary=2", "1=50", "2=50")
		m.mustLead(t, canaryURL, 2)
		m.MustRun(t, "fnctl", "traffic", "versions", "1=100")
	}
	byTag.stop(t)
	byName.stop(t)
	m.mustServe(t, 1)
}

func testTagSurvivesDeploy(t *testing.T, m *testMachine) {
	m.deployTagged(t, 3, tagsConf)
	m.mustServe(t, 3)
	m.mustLead(t, canaryURL, 2)
	if a, err := fetch(t.Context(), m.Client(), "http://00001.versions.localhost:8080/"); err != nil || a.code != http.StatusNotFound {
		t.Errorf("what has neither traffic nor a tag answers: %+v, %v", a, err)
	}
	if out := m.MustRunIn(t, "/srv/versions", "sh", "-c", "fnctl deploy main:app 2>&1"); !strings.Contains(out, "nothing changed") {
		t.Errorf("got %s", out)
	}
	m.MustRun(t, "fnctl", "rollback", "versions")
	m.mustServe(t, 2)
	m.mustLead(t, canaryURL, 2)
	m.MustRun(t, "fnctl", "rollback", "versions", "3")
}

func testTagPaused(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "pause", "versions")
	eventually(t, 30*time.Second, "nothing is left", func() bool { return m.status(t, "versions").states() == "" })
	if a, err := fetch(t.Context(), m.Client(), canaryURL); err != nil || a.code != http.StatusServiceUnavailable {
		t.Errorf("got %+v, %v", a, err)
	}
	m.MustRun(t, "fnctl", "resume", "versions")
	if states := m.statesOf(t, "versions-00002"); !atZero(states) {
		t.Errorf("what has a tag only is %q after the pause", states)
	}
	m.mustServe(t, 3)
	m.mustLead(t, canaryURL, 2)
}

// What is deployed without traffic, and without a tag, is kept and can have some later.
func testNoTrafficYet(t *testing.T, m *testMachine) {
	m.deployTagged(t, 4, tagsConf, "--no-traffic")
	m.mustServe(t, 3)
	m.MustRun(t, "fnctl", "gc")
	eventually(t, 30*time.Second, "it has no instance", func() bool {
		list := m.revisions(t, "versions")
		return list[0].Name == "versions-00004" && !list[0].Served && len(list[0].Instances) == 0
	})
	m.MustRun(t, "fnctl", "traffic", "versions", "4=100", "--untag", "canary")
	m.mustServe(t, 4)
	eventually(t, 30*time.Second, "only the last has instances", func() bool { return len(m.status(t, "versions").Revisions) == 1 })
}
