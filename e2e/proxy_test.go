//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/e2e/machine"
)

// A proxy on the same machine is believed because it may open a socket, and nobody else is.
func TestProxySocket(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Trixie)
	m.deploy(t, "echo", "autoscale: {min: 1, max: 1}\n", "main:app")
	m.MustRun(t, "usermod", "-aG", "fnctl-proxy", "caddy")
	m.MustRun(t, "systemctl", "enable", "fnctl-gateway-proxy.socket")
	m.MustRun(t, "systemctl", "restart", "fnctl-gateway")
	const far = "203.0.113.9"
	client := func(as, group string, how ...string) string {
		t.Helper()
		args := append([]string{"--reuid=" + as, "--regid=" + group, "--clear-groups", "curl", "-sf", "-H", "X-Forwarded-For: 6.6.6.6, " + far}, how...)
		var seen struct {
			Client string `json:"client"`
		}
		if err := json.Unmarshal([]byte(m.MustRun(t, "setpriv", args...)), &seen); err != nil {
			t.Fatal(err)
		}
		return seen.Client
	}
	const socket = "/run/fnctl/proxy.sock"
	for _, gateway := range []string{"restarted", "reloaded"} {
		if got := client("caddy", "fnctl-proxy", "--unix-socket", socket, echoURL+"/headers"); got != far {
			t.Errorf("%s: behind a proxy the client is %s, want %s", gateway, got, far)
		}
		if got := client("nobody", "nogroup", "-4", echoURL+"/headers"); got != "127.0.0.1" {
			t.Errorf("%s: whoever says it comes from elsewhere is %s", gateway, got)
		}
		m.MustFail(t, 7, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "curl", "-s", "--unix-socket", socket, echoURL+"/headers")
		m.reloadGateway(t)
	}
	// What fnctl asks looks like a visitor's request, though the name is in no DNS and nothing here speaks TLS.
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "endpoint: https://{name}.fn.example.com\n")
	m.reloadGateway(t)
	var seen struct {
		Client string `json:"client"`
	}
	text := m.MustRun(t, "fnctl", "invoke", "echo", "/headers")
	if err := json.Unmarshal([]byte(text), &seen); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	t.Log(text)
	if seen.Client != "127.0.0.1" || !strings.Contains(text, "echo.fn.example.com") || !strings.Contains(text, "https") {
		t.Errorf("got %s", text)
	}
	m.MustRun(t, "systemctl", "disable", "--now", "fnctl-gateway-proxy.socket")
	m.MustRun(t, "rm", "-f", socket)
	if text := m.MustRun(t, "fnctl", "invoke", "echo", "/headers", "-H", "Host: echo.fn.example.com"); !strings.Contains(text, "echo.fn.example.com") {
		t.Errorf("without the socket of proxies: %s", text)
	}
}
