//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/e2e/machine"
)

// One function cannot read, or write, what belongs to another.
func TestIsolation(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.WriteFile(t, "/srv/secrets", "TOKEN=sesame-1\n")
	m.deploy(t, "ping", "env: {PASSWORD: sesame-1}\n", "main:app", "--secret", "/srv/secrets")
	m.deploy(t, "echo", "", "main:app")
	pid := strings.TrimSpace(m.MustRun(t, "systemctl", "show", "--value", "--property=MainPID", "fn-ping-00001@1.service"))
	for _, file := range []string{
		"/var/lib/fnctl/functions/ping/revisions/00001/app/main.py",
		"/var/lib/fnctl/functions/ping/revisions/00001/credentials/TOKEN",
		"/var/lib/fnctl/functions/echo/revisions/00001/env",
		"/var/cache/fnctl/ping-00001@1/main.py",
		"/var/cache/private/fnctl/ping-00001@1/main.py",
		"/var/lib/private/fnctl-data/ping",
		"/proc/" + pid + "/environ",
		"/etc/shadow",
		"/root/.bashrc",
	} {
		a, err := fetch(t.Context(), m.Client(), "http://echo.localhost:8080/read?file="+url.QueryEscape(file))
		if err != nil || a.code != http.StatusInternalServerError {
			t.Errorf("read %s: %d %q %v", file, a.code, a.body, err)
		}
	}
	for _, file := range []string{
		"/etc/systemd/system/fn-evil.service", "/run/fnctl/instances/evil", "/var/lib/fnctl/functions/x", "/usr/bin/fnctl",
		"/var/lib/fnctl-data/ping/x",
	} {
		a, err := fetch(t.Context(), m.Client(), "http://echo.localhost:8080/write?text=x&file="+url.QueryEscape(file))
		if err != nil || a.code != http.StatusInternalServerError {
			t.Errorf("write %s: %d %q %v", file, a.code, a.body, err)
		}
	}
	if leak := m.MustRun(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "grep -rls '[s]esame-1' /etc /var /run /tmp || true"); leak != "" {
		t.Errorf("everybody can read a variable in:\n%s", leak)
	}
	// The same files through the same app, where they are its own: so the refusals are the sandbox's, not the app's.
	m.mustGet(t, "http://echo.localhost:8080/read?file=main.py")
	m.mustGet(t, "http://echo.localhost:8080/write?text=x&file=$JCLOUD_WORKSPACE/x")
	for _, socket := range []string{"/run/fnctl/instances/ping-00001@1.sock", "/run/fnctl/gateway.sock", "/run/fnctl/activator.sock", "/run/systemd/private"} {
		mode := strings.TrimSpace(m.MustRun(t, "stat", "-c", "%U:%G %a", socket))
		if mode != "root:fnctl 660" && !strings.HasPrefix(mode, "root:root ") {
			t.Errorf("%s is %s: others can connect", socket, mode)
		}
	}
}
