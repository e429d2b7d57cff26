//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	crashURL  = "http://crash.localhost:8080/"
	crashConf = "command: [./hello-go]\ninstance: C3\nautoscale: {min: 0, max: 1, stable_window: 6s, scale_down_delay: 0s}\n"
	crashDir  = "/var/lib/fnctl/functions/crash"
)

// bootCrash boots a machine with a function whose answers name its revision, and the means to harm commands.
func bootCrash(t *testing.T, suite string) *testMachine {
	t.Helper()
	m := bootInstalled(t, suite)
	m.buildIn(t, "e2e/fault", "/usr/local/bin/fault")
	m.buildIn(t, "testdata/functions/hello-go", "/srv/crash/hello-go")
	m.WriteFile(t, "/srv/crash/jcloud.yml", crashConf)
	m.command(t, "fnctl deploy; fnctl deploy --force; fnctl deploy --force")
	return m
}

// command runs a script in the app's directory. $LAST and $BEFORE are the numbers of the last two revisions.
func (m *testMachine) command(t *testing.T, script string) machine.Result {
	t.Helper()
	out, err := m.RunIn(t.Context(), "/srv/crash", "bash", "-c", `set -- `+crashDir+`/revisions/0*; LAST=${@: -1} BEFORE=${@: -2:1}; LAST=${LAST##*/} BEFORE=${BEFORE##*/}
		`+script)
	if out.Code < 0 {
		t.Fatal(err)
	}
	return out
}

// harm runs a command with harm done to it, and returns the changes that it has made, one a line.
func (m *testMachine) harm(t *testing.T, how, command string) (changes string, out machine.Result) {
	t.Helper()
	out = m.command(t, "fault -log /run/changes "+how+" "+command)
	return m.MustRun(t, "cat", "/run/changes"), out
}

// route is the function's route as it is on disk, empty if there is none.
func (m *testMachine) route(t *testing.T) string {
	t.Helper()
	return m.command(t, "cat "+crashDir+"/route.json 2>/dev/null").Stdout
}

// routed lists the revisions that a route reaches, without those of a paused function.
func routed(t *testing.T, route string) (revisions []string, paused bool) {
	t.Helper()
	if route == "" {
		return nil, false
	}
	var r struct {
		Paused  bool `json:"paused"`
		Traffic []struct {
			Revision string `json:"revision"`
		} `json:"traffic"`
	}
	if err := json.Unmarshal([]byte(route), &r); err != nil {
		t.Fatalf("%v: %s", err, route)
	}
	if r.Paused {
		return nil, true
	}
	for _, share := range r.Traffic {
		revisions = append(revisions, share.Revision)
	}
	return revisions, false
}

// mustFollowRoute expects answers to come from where the route says. The gateway may take a moment to see a new one.
func (m *testMachine) mustFollowRoute(t *testing.T, when string) {
	t.Helper()
	revisions, paused := routed(t, m.route(t))
	want := 200
	if paused {
		want = 503
	} else if len(revisions) == 0 {
		want = 404
	}
	var a answer
	var err error
	for deadline := time.Now().Add(slack); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		a, err = fetch(t.Context(), m.Client(), crashURL)
		if err == nil && a.code == want && (want != 200 || slices.Contains(revisions, answeredBy(a))) {
			return
		}
	}
	t.Fatalf("%s: got %d %q, %v; want %d by %s", when, a.code, a.body, err, want, revisions)
}

// answeredBy is the revision that has answered: hello-go tells its host's name, which is that of the instance.
func answeredBy(a answer) string {
	name := strings.TrimSpace(strings.TrimPrefix(a.body, "Hello from "))
	return name[:max(0, strings.LastIndex(name, "-"))]
}

// mustBeTidy expects nothing on the machine that nobody needs.
func (m *testMachine) mustBeTidy(t *testing.T, when string) {
	t.Helper()
	revisions, _ := routed(t, m.route(t))
	want := ""
	for _, revision := range revisions {
		want += "boot: fn-" + revision + "@1.socket\n"
	}
	var left string
	// The activator may be about to remove the copy of the app of an instance that has just ended.
	for deadline := time.Now().Add(slack); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if left = m.untidy(t); left == want {
			return
		}
	}
	t.Fatalf("%s: what nobody needs is left:\n%s\nwant:\n%s", when, left, want)
}

// untidy lists what nobody needs, and what is armed at boot.
func (m *testMachine) untidy(t *testing.T) string {
	t.Helper()
	return m.command(t, `fnctl gc --dry-run 2>/dev/null | grep -v '^Nothing to remove$'
		systemctl --failed --no-legend --plain
		find /var/lib/fnctl /etc/systemd/system /var/cache/private /run/fnctl -name '.?*' -not -path '*/venvs/[!.]*/*'
		ls /etc/systemd/system/fnctl.target.wants | grep fn-crash- | sed 's/^/boot: /'`).Stdout
}

// settle waits until only what has traffic has units and copies of the app, and expects nothing that nobody needs.
func (m *testMachine) settle(t *testing.T) {
	t.Helper()
	m.awaitDrained(t)
	m.mustBeTidy(t, "at last")
}

// awaitDrained waits until only what has traffic has units and copies of the app.
func (m *testMachine) awaitDrained(t *testing.T) {
	t.Helper()
	revisions, _ := routed(t, m.route(t))
	var left string
	for deadline := time.Now().Add(60*time.Second + slack); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		left = m.command(t, `systemctl list-units --plain --no-legend 'fn-crash-*@*' | sed 's/^fn-//; s/ .*//'; ls /var/cache/private/fnctl /run/fnctl/instances`).Stdout
		stray := slices.DeleteFunc(strings.Fields(left), func(name string) bool {
			revision, _, isInstance := strings.Cut(name, "@")
			return !isInstance || slices.Contains(revisions, revision)
		})
		if len(stray) == 0 {
			return
		}
	}
	t.Fatalf("only %s is to have instances:\n%s", revisions, left)
}

// pulse asks the function a few times a second whether it is still there.
type pulse struct {
	cancel func()
	done   chan []error
	sent   int
}

const pulseInterval = 25 * time.Millisecond

func (m *testMachine) startPulse(t *testing.T) *pulse {
	t.Helper()
	stop := make(chan struct{})
	p := &pulse{cancel: func() { close(stop) }, done: make(chan []error, 1)}
	client, ctx := m.Client(), t.Context()
	go func() {
		var errs []error
		for {
			select {
			case <-stop:
				p.done <- errs
				return
			case <-ctx.Done():
				p.done <- errs
				return
			case <-time.After(pulseInterval):
			}
			a, err := fetch(ctx, client, crashURL)
			if err == nil && a.code != 200 {
				err = fmt.Errorf("%d %s", a.code, a.body)
			}
			if err != nil && ctx.Err() == nil {
				errs = append(errs, fmt.Errorf("%s: %w", time.Now().Format("05.000"), err))
			}
			p.sent++
		}
	}()
	return p
}

// stop expects that all requests were answered.
func (p *pulse) stop(t *testing.T) {
	t.Helper()
	p.cancel()
	if errs := <-p.done; len(errs) > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", len(errs), p.sent, errs[0])
	}
}
