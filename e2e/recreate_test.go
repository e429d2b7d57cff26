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
	t.Logf("%d served, %d refused", asked.served, asked.paused)
	if asked.failed > 0 || asked.paused == 0 || asked.served == 0 {
		t.Errorf("%d failed, the first: %s", asked.failed, asked.first)
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

// mustFailIn runs a command in a directory that must exit with 1.
func (m *testMachine) mustFailIn(t *testing.T, dir, name string, args ...string) machine.Result {
	t.Helper()
	return m.MustFail(t, 1, "env", append([]string{"--chdir=" + dir, name}, args...)...)
}
