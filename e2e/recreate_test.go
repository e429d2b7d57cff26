//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const lonelyURL = "http://lonely.localhost:8080/"

// An app that holds a port cannot start beside itself: a deploy says who has the port, and how it can be done.
func testRecreate(t *testing.T, m *testMachine) {
	m.deploy(t, "lonely", "autoscale: {min: 1, max: 1}\n", "main:app")
	out := m.mustFailIn(t, "/srv/lonely", "fnctl", "deploy", "main:app", "--force")
	for _, want := range []string{"port 9100 is held by lonely-00001@1", "fnctl deploy --recreate"} {
		if !strings.Contains(out.Stderr, want) {
			t.Errorf("no %q in %s", want, out.Stderr)
		}
	}
	// One more of the same revision finds it taken, too, and nobody looks on.
	m.MustRun(t, "fnctl", "scale", "lonely", "--min", "2", "--max", "2")
	eventually(t, 30*time.Second, "the status says why the second instance does not start", func() bool {
		return strings.Contains(m.MustRun(t, "fnctl", "status", "lonely"), "port 9100 is held by lonely-00001@1: instances share the network of the machine; only one instance can have it")
	})
	m.MustRun(t, "fnctl", "scale", "lonely", "--reset")
	pids := func() string {
		return m.MustRun(t, "systemctl", "show", "--property=MainPID", "--value", "fn-lonely-*@*.service")
	}
	before := pids()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := verdicts{function: "lonely"}
	asking := asked.ask(ctx, m, lonelyURL, 4)
	m.MustRunIn(t, "/srv/lonely", "fnctl", "deploy", "main:app", "--force", "--recreate")
	served := asked.count()
	eventually(t, 10*time.Second, "it serves again", func() bool { return asked.count() > served+20 })
	m.WriteFile(t, "/srv/lonely/broken.env", "BROKEN=1\n")
	m.mustFailIn(t, "/srv/lonely", "fnctl", "deploy", "main:app", "--recreate", "--env", "broken.env")
	eventually(t, 10*time.Second, "what served before serves", func() bool {
		a, err := fetch(t.Context(), m.Client(), lonelyURL)
		return err == nil && a.code == http.StatusOK
	})
	cancel()
	asking.Wait()
	t.Logf("%d served", asked.served)
	if asked.failed > 0 || asked.paused > 0 || asked.served == 0 {
		t.Errorf("%d failed, the first: %s", asked.failed+asked.paused, asked.first)
	}
	if pids() == before {
		t.Errorf("process %s was there before the deploys", before)
	}
	if list := m.revisions(t, "lonely"); list[0].Failed == nil || list[1].Traffic != 100 {
		t.Errorf("the revisions are %+v", list)
	}
	m.MustRun(t, "fnctl", "pause", "lonely")
	m.MustRunIn(t, "/srv/lonely", "fnctl", "deploy", "main:app", "--force", "--recreate")
	if text := m.MustRun(t, "fnctl", "status", "lonely"); !strings.Contains(text, "; paused") {
		t.Errorf("a deploy resumes a paused function: %s", text)
	}
}

// An app that holds a port, and has said so, is replaced by whatever command, and by the activator, without a request that fails and without
// two that run at once: the second would say that the port is taken.
func testSingle(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "resume", "lonely")
	m.WriteFile(t, "/srv/lonely/jcloud.yml", "overlap: false\nliveness_timeout: 2\nautoscale: {min: 0, stable_window: 6s, scale_down_delay: 0s}\n")
	since := strings.TrimSpace(m.MustRun(t, "date", "+%Y-%m-%d %H:%M:%S.%6N"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := verdicts{function: "lonely"}
	asking := asked.ask(ctx, m, lonelyURL, 4)
	goOn := func(after string) {
		served := asked.count()
		eventually(t, 20*time.Second, "it serves after "+after, func() bool { return asked.count() > served+20 })
	}
	m.MustRunIn(t, "/srv/lonely", "fnctl", "deploy", "main:app")
	goOn("a deploy")
	for _, args := range [][]string{
		{"env", "lonely", "set", "COLOR=blue"}, {"restart", "lonely"}, {"rollback", "lonely"}, {"restart", "lonely", "--no-wait"},
	} {
		m.MustRun(t, "fnctl", args...)
		goOn(args[0])
	}
	m.mustFailIn(t, "/srv/lonely", "fnctl", "deploy", "main:app", "--env", "broken.env")
	goOn("a deploy that fails")
	for _, refused := range [][]string{
		{"deploy", "main:app", "--force", "--no-traffic"}, {"deploy", "main:app", "--force", "--rollout", "10s"},
		{"traffic", "lonely", "--tag", "old=1"}, {"scale", "lonely", "--max", "2"},
	} {
		if out := m.mustFailIn(t, "/srv/lonely", "fnctl", refused...); !strings.Contains(out.Stderr, "overlap: false") {
			t.Errorf("fnctl %v says %s", refused, out.Stderr)
		}
	}
	m.MustRun(t, "systemctl", "kill", "--signal=STOP", "--kill-whom=main", "fn-lonely-*@*.service")
	goOn("it has stopped to read")
	cancel()
	asking.Wait()
	t.Logf("%d served", asked.served)
	if asked.failed > 0 || asked.paused > 0 {
		t.Errorf("%d failed, the first: %s", asked.failed+asked.paused, asked.first)
	}
	m.waitZero(t, "lonely", 60*time.Second)
	if a, err := fetch(t.Context(), m.Client(), lonelyURL); err != nil || a.code != http.StatusOK {
		t.Errorf("at zero: %+v, %v", a, err)
	}
	if lines := m.MustRun(t, "sh", "-c", "journalctl --output=cat --since='"+since+"' --unit='fn-lonely-*' | grep -i 'in use' || true"); lines != "" {
		t.Errorf("two ran at once: %s", lines)
	}
}

// A deploy that is killed while it holds the function gives it back.
func testKilledHold(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", "cd /srv/lonely && fnctl deploy main:app --force --verbose >/dev/null 2>&1 & pid=$!; "+
		"while ! test -e /run/fnctl/held/lonely; do sleep 0.01; done; kill -KILL $pid")
	if a, err := fetch(t.Context(), m.Client(), lonelyURL); err != nil || a.code != http.StatusOK {
		t.Errorf("after a deploy was killed: %+v, %v", a, err)
	}
}

// mustFailIn runs a command in a directory that must exit with 1.
func (m *testMachine) mustFailIn(t *testing.T, dir, name string, args ...string) machine.Result {
	t.Helper()
	return m.MustFail(t, 1, "env", append([]string{"--chdir=" + dir, name}, args...)...)
}
