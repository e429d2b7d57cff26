//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Each ailment of a machine is found, and named with its remedy.
func TestDoctor(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.deploy(t, "echo", serverless, "main:app")
	eventually(t, 10*time.Second, "the function serves", func() bool { return m.status(t, "echo").Phase == "Serving" })
	t.Run("healthy", func(t *testing.T) {
		out := m.MustRun(t, "fnctl", "doctor")
		for _, want := range []string{"✓ systemd: version 252", "✓ gateway: it answers", "✓ ports: those of the gateway", "✓ activator: it answers", "✓ functions: 1 function: 1 Serving", "✓ leftovers"} {
			if !strings.Contains(out, want) {
				t.Errorf("there is no %q in\n%s", want, out)
			}
		}
		if strings.Contains(out, "✗") {
			t.Errorf("errors on a healthy machine:\n%s", out)
		}
	})
	t.Run("as another user", func(t *testing.T) {
		if out := m.MustRun(t, "setpriv", "--reuid=nobody", "--clear-groups", "fnctl", "doctor"); strings.Contains(out, "✗") {
			t.Errorf("errors on a healthy machine:\n%s", out)
		}
	})
	const variables = "/var/lib/fnctl/functions/echo/revisions/00001/env"
	const revision = "/var/lib/fnctl/functions/echo/revisions/00001/revision.json"
	for _, c := range []struct{ name, do, undo, check, verdict, text, remedy string }{
		{
			"a gateway that is not started", "systemctl stop fnctl-gateway.socket fnctl-gateway.service", "systemctl start fnctl-gateway.socket fnctl-gateway.service",
			"gateway", "error", "nothing listens for requests", "systemctl enable --now",
		},
		{
			"a port that is taken", "systemctl stop fnctl-gateway.socket fnctl-gateway.service; systemd-run -q --unit=thief python3 -m http.server 8080 --bind 127.0.0.1; " +
				"until ss -ltn | grep -q 127.0.0.1:8080; do sleep 0.05; done; systemctl start fnctl-gateway.socket || true",
			"systemctl stop thief; systemctl start fnctl-gateway.socket fnctl-gateway.service",
			"gateway", "error", "has failed: resources", "does another program have the port?",
		},
		{
			"another program at the address in IPv6", "systemctl stop fnctl-gateway.socket fnctl-gateway.service; systemd-run -q --unit=thief python3 -m http.server 8080 --bind ::1; " +
				"until ss -ltn | grep -qF '[::1]:8080'; do sleep 0.05; done; systemctl start fnctl-gateway.socket fnctl-gateway.service && curl -sf -H 'Host: echo.localhost' http://127.0.0.1:8080/headers",
			"systemctl stop thief; systemctl restart fnctl-gateway",
			"ports", "error", "[::1]:8080 is held by thief.service", "systemctl restart fnctl-gateway",
		},
		{
			"a gateway that has not taken the address in IPv6", "systemctl stop fnctl-gateway.socket fnctl-gateway.service; systemd-run -q --unit=thief python3 -m http.server 8080 --bind ::1; " +
				"until ss -ltn | grep -qF '[::1]:8080'; do sleep 0.05; done; systemctl start fnctl-gateway.socket fnctl-gateway.service; systemctl stop thief",
			"systemctl restart fnctl-gateway",
			"ports", "warning", "doesn't listen on [::1]:8080", "systemctl restart fnctl-gateway",
		},
		{
			"a dead activator", "systemctl stop fnctl-activator", "systemctl start fnctl-activator",
			"activator", "error", "is not started", "systemctl enable --now fnctl-activator",
		},
		{
			"a daemon of another version", "cp /usr/bin/fnctl /usr/bin/fnctl.new && mv /usr/bin/fnctl.new /usr/bin/fnctl", "systemctl reload fnctl-gateway; systemctl restart fnctl-activator",
			"activator", "warning", "not the program that is installed", "systemctl restart fnctl-activator",
		},
		{
			"a setting that cannot be", "mv /etc/fnctl/fnctl.yml /etc/fnctl/kept; echo 'endpont: x' >/etc/fnctl/fnctl.yml", "mv /etc/fnctl/kept /etc/fnctl/fnctl.yml",
			"settings", "error", "fnctl.yml:1:1", "mend it",
		},
		{
			"variables that others may read", "chmod 644 " + variables, "chmod 600 " + variables,
			"permissions", "error", "other users may read " + variables, "chmod 600 " + variables,
		},
		{
			"a function that the gateway cannot read", "chmod 700 /var/lib/fnctl/functions/echo", "systemd-tmpfiles --create fnctl.conf",
			"permissions", "error", "/var/lib/fnctl/functions/echo has the mode 0700", "systemd-tmpfiles",
		},
		{
			"settings that the gateway cannot read", "chmod 600 /etc/fnctl/fnctl.yml", "chmod 644 /etc/fnctl/fnctl.yml",
			"permissions", "error", "/etc/fnctl/fnctl.yml has the mode 0600", "chmod 644",
		},
		{
			"a clock that is behind", "cp -a " + revision + " /root/; sed -i 's/\"created\": \"20/\"created\": \"21/' " + revision, "mv /root/revision.json " + revision,
			"clock", "error", "behind", "timedatectl",
		},
		{
			"a route of a later version", "cp -a /var/lib/fnctl/functions/echo/route.json /root/; sed -i 's/\"format\": 1/\"format\": 99/' /var/lib/fnctl/functions/echo/route.json",
			"mv /root/route.json /var/lib/fnctl/functions/echo/route.json",
			"functions", "error", "it has format 99, and this one knows 3", "install the later version of fnctl again",
		},
		{
			"a route that is damaged", "cp -a /var/lib/fnctl/functions/echo/route.json /root/; echo '{' >/var/lib/fnctl/functions/echo/route.json",
			"mv /root/route.json /var/lib/fnctl/functions/echo/route.json",
			"functions", "error", "route.json", "fnctl deploy",
		},
		{
			"a cache without programs", "mount --bind /var/cache /var/cache && mount -o remount,bind,noexec /var/cache", "umount -l /var/cache",
			"execution", "error", "/var/cache is mounted noexec", "without noexec",
		},
		{
			"units of another version", "echo '# another' >>/etc/systemd/system/fn-echo-00001@.service", "sed -i '/^# another$/d' /etc/systemd/system/fn-echo-00001@.service",
			"units", "warning", "1 function", "fnctl upgrade --all",
		},
		{
			"leftovers", "mkdir -p /var/cache/private/fnctl/gone-00001@1", "fnctl gc",
			"leftovers", "warning", "1 item", "fnctl gc",
		},
		{
			"no Python", "mv /usr/bin/python3 /usr/bin/python3.kept", "mv /usr/bin/python3.kept /usr/bin/python3",
			"Python", "warning", "there is no /usr/bin/python3", "apt-get install python3",
		},
		{
			"a full disk", "mount -t tmpfs -o size=1M none /var/log && systemctl restart systemd-journald", "umount -l /var/log && systemctl restart systemd-journald",
			"disks", "error", "/var/log has", "fnctl gc",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m.MustRun(t, "sh", "-c", c.do)
			defer func() {
				m.MustRun(t, "sh", "-c", c.undo)
				eventually(t, 10*time.Second, "the machine is well again", func() bool { return len(diagnose(t, m, "error")) == 0 })
			}()
			for _, f := range diagnose(t, m, c.verdict) {
				if f.Check == c.check && strings.Contains(f.Text, c.text) && strings.Contains(f.Remedy, c.remedy) {
					return
				}
			}
			t.Errorf("not found; all that is: %+v", diagnose(t, m, ""))
		})
	}
}

// diagnosis is the part of "fnctl doctor -o json" that scripts rely on.
type diagnosis struct{ Check, Verdict, Text, Remedy string }

// diagnose lists what the doctor finds of one verdict; empty means all.
func diagnose(t *testing.T, m *testMachine, verdict string) []diagnosis {
	t.Helper()
	out, err := m.Run(t.Context(), "fnctl", "doctor", "-o", "json")
	var all, some []diagnosis
	if parsed := json.Unmarshal([]byte(out.Stdout), &all); parsed != nil {
		t.Fatalf("%v (%v): %s%s", parsed, err, out.Stdout, out.Stderr)
	}
	errors := 0
	for _, f := range all {
		if f.Verdict == "error" {
			errors++
		}
		if verdict == "" || f.Verdict == verdict {
			some = append(some, f)
		}
	}
	if want := min(errors, 1); out.Code != want {
		t.Errorf("exit status %d with %d errors, want %d", out.Code, errors, want)
	}
	return some
}
