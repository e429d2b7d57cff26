//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// A function with units of another version gets those of this one, with all that it had, and no request fails.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Trixie)
	m.deploy(t, "ping", serverless, "main:app")
	m.WriteFile(t, "/srv/secrets", "TOKEN=sesame\n")
	m.deploy(t, "echo", pausable, "main:app", "--secret", "/srv/secrets")
	m.MustRun(t, "fnctl", "env", "echo", "set", "COLOUR=blue")
	upgrade := func(args ...string) (list []struct {
		Name string   `json:"name"`
		From []string `json:"from"`
		To   string   `json:"to"`
	}) {
		t.Helper()
		out := m.MustRun(t, "fnctl", append([]string{"upgrade", "--all", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		return list
	}
	if list := upgrade(); len(list) != 0 {
		t.Errorf("nothing is of another version: %+v", list)
	}
	m.MustRun(t, "sh", "-c", "echo '# of another version' >>/etc/systemd/system/fn-echo-00002@.service")
	if list := upgrade("--dry-run"); len(list) != 1 || list[0].Name != "echo" || list[0].From[0] != "echo-00002" || list[0].To != "" {
		t.Errorf("a dry run: %+v", list)
	}
	if out, _ := m.Run(t.Context(), "fnctl", "doctor"); !strings.Contains(out.Stdout, "fnctl upgrade --all") || strings.Contains(out.Stdout, "group fnctl") {
		t.Errorf("the doctor says nothing of it, or too much:\n%s", out.Stdout)
	}
	m.checkGroups(t, 7)
	m.MustRun(t, "sh", "-c", "chgrp fnctl /run/fnctl/instances/echo-00002@*.sock") // as earlier versions had it
	m.checkGroups(t, 0)
	if out, _ := m.Run(t.Context(), "fnctl", "doctor"); !strings.Contains(out.Stdout, "members of the group fnctl may ask ") {
		t.Errorf("the doctor says nothing of the group:\n%s", out.Stdout)
	}
	traffic := m.startTraffic(t, echoURL+"/headers", 4)
	if list := upgrade(); len(list) != 1 || list[0].To != "echo-00003" {
		t.Errorf("got %+v", list)
	}
	eventually(t, 30*time.Second, "only the new revision has instances", func() bool { return len(m.status(t, "echo").Revisions) == 1 })
	traffic.stop(t)
	m.checkGroups(t, 7)
	if env := m.appEnv(t); env["COLOUR"] != "blue" || env["TOKEN"] != "sesame" || env["K_REVISION"] != "echo-00003" {
		t.Errorf("the upgraded revision %s has COLOUR=%s and the right secret: %t", env["K_REVISION"], env["COLOUR"], env["TOKEN"] == "sesame")
	}
	if out := m.MustRun(t, "fnctl", "upgrade", "echo", "ping"); out != "Nothing to upgrade\n" {
		t.Errorf("once more: %s", out)
	}
	out := m.MustFail(t, 2, "fnctl", "upgrade")
	if !strings.Contains(out.Stderr, "NAME is missing, or --all") {
		t.Errorf("without a name: %s", out.Stderr)
	}
	m.MustFail(t, 1, "fnctl", "upgrade", "nobody")
}

// checkGroups asks as a member of the group fnctl: metrics always, and an instance with the given success of curl, where 7 is none.
func (m *testMachine) checkGroups(t *testing.T, instance int) {
	t.Helper()
	member := []string{"--reuid=nobody", "--regid=nogroup", "--groups=fnctl", "curl", "-sf", "-o", "/dev/null", "--unix-socket"}
	m.MustRun(t, "setpriv", append(member, "/run/fnctl/gateway.sock", "http://x/metrics")...)
	socket := strings.Fields(m.MustRun(t, "sh", "-c", "ls -v /run/fnctl/instances/echo-*.sock"))
	out, _ := m.Run(t.Context(), "setpriv", append(member, socket[len(socket)-1], "http://echo.localhost/headers")...)
	if out.Code != instance {
		t.Errorf("a member of the group fnctl asks an instance: curl ends with %d, want %d", out.Code, instance)
	}
}
