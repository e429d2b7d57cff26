//go:build e2e && emulated

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Two machines, of which one is a network namespace behind a pair of interfaces; and the addresses of a cloud beyond it.
const (
	firewallUnit = "fnctl-firewall.service"
	twoMachines  = `set -e
ip netns add outside
ip link add name fnctl0 type veth peer name fnctl1 netns outside
ip address add 10.77.0.1/24 dev fnctl0
ip address add fd77::1/64 dev fnctl0 nodad
ip link set fnctl0 up
ip -n outside address add 10.77.0.2/24 dev fnctl1
ip -n outside address add fd77::2/64 dev fnctl1 nodad
ip -n outside address add 169.254.169.254/32 dev fnctl1
ip -n outside address add fd00:ec2::254/128 dev fnctl1 nodad
ip -n outside address add 8.8.8.8/32 dev fnctl1
ip -n outside link set lo up
ip -n outside link set fnctl1 up
ip route add 169.254.169.254/32 dev fnctl0
ip route add 8.8.8.8/32 dev fnctl0
ip route add fd00:ec2::254/128 dev fnctl0
for port in 53 80; do
	systemd-run --quiet --unit=outside-$port --property=NetworkNamespacePath=/run/netns/outside python3 -m http.server --bind :: $port
done`
)

// testOpenPorts: what a function listens on is closed to the network, and the cloud's keys are closed to functions; all else is open.
func testOpenPorts(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", twoMachines)
	defer m.MustRun(t, "sh", "-c", "systemctl stop outside-53 outside-80; ip netns delete outside")
	m.waitOutside(t)
	m.deploy(t, "open", "")
	port := m.portOf(t)
	if got := m.reachedFromOutside(t, port); len(got) > 0 {
		t.Errorf("from outside a function is reached at %q", got)
	}
	m.MustRun(t, "curl", "-sf", "http://127.0.0.1:"+port)
	m.MustRun(t, "curl", "-sf", "http://10.77.0.1:"+port)
	m.mustFindNetwork(t, "ok", "")

	t.Run("functions go out", func(t *testing.T) {
		for address, want := range map[string]bool{
			"10.77.0.2 80": true, "fd77::2 80": true, "169.254.169.254 53": true,
			"169.254.169.254 80": false, "fd00:ec2::254 80": false, "::ffff:169.254.169.254 80": false,
		} {
			if got := m.connects(t, address); got != want {
				t.Errorf("the function reaches %s: %t", address, got)
			}
		}
		const fetch = "http://169.254.169.254/"
		m.MustRun(t, "systemctl", "start", "dbus.socket") // systemd-run takes it
		m.MustRun(t, "curl", "-sf", fetch)
		m.MustFail(t, 7, "systemd-run", "--quiet", "--wait", "--pipe", "--slice=fnctl-build.slice", "curl", "-s", fetch)
	})
	t.Run("rules of the administrator", func(t *testing.T) {
		m.WriteFile(t, "/etc/fnctl/firewall.d/open.nft",
			"add rule inet fnctl allow_input tcp dport "+port+" accept\nadd rule inet fnctl allow_output ip daddr 169.254.169.254 accept\n")
		m.MustRun(t, "systemctl", "reload", firewallUnit)
		if got := m.reachedFromOutside(t, port); len(got) != 2 {
			t.Errorf("from outside a function is reached at %q only", got)
		}
		if !m.connects(t, "169.254.169.254 80") || m.connects(t, "fd00:ec2::254 80") {
			t.Error("the rule for one address has another effect")
		}
		m.MustRun(t, "rm", "/etc/fnctl/firewall.d/open.nft")
		m.MustRun(t, "systemctl", "reload", firewallUnit)
		m.mustBeClosed(t)
	})
	for _, event := range []struct{ name, script string }{
		{"firewall of the machine restarted", "systemctl restart nftables"},
		{"firewall of the machine reloaded", "systemctl reload-or-restart nftables"},
		{"slice stopped", "systemctl stop fnctl-activator; systemctl stop fn.slice; systemctl start fnctl-activator"},
		{"daemons restarted", "systemctl restart fnctl-gateway fnctl-activator"},
	} {
		t.Run(event.name, func(t *testing.T) {
			m.MustRun(t, "sh", "-c", event.script)
			// systemctl waits for the unit that it was told, and not for ours, which follows.
			eventually(t, 10*time.Second, "the rules are there", func() bool { return m.hasRules(t) })
			m.mustBeClosed(t)
		})
	}
	t.Run("internet", func(t *testing.T) { testOpenToInternet(t, m) })
	t.Run("without it", func(t *testing.T) {
		m.MustRun(t, "systemctl", "stop", firewallUnit)
		if got := m.reachedFromOutside(t, m.portOf(t)); len(got) != 2 || !m.connects(t, "169.254.169.254 80") {
			t.Errorf("from outside a function is reached at %q only: this test proves nothing", got)
		}
		m.mustFindNetwork(t, "warning", "")
		m.MustRun(t, "systemctl", "start", firewallUnit)
		m.mustBeClosed(t)
	})
	// As docs/isolation.md says: no connection is tracked. Without the kernel's module there is no such file.
	m.MustRun(t, "sh", "-c", "count=/proc/sys/net/netfilter/nf_conntrack_count; ! test -e $count || test $(cat $count) = 0")
	m.MustRun(t, "fnctl", "remove", "open")
}

// testOpenToInternet: with network: internet the other machine's private addresses are closed, too; but for the resolver's port, where
// that is at an address of the cloud's keys.
func testOpenToInternet(t *testing.T, m *testMachine) {
	deploy := func(t *testing.T, keys string, resolver string) {
		m.WriteFile(t, "/etc/resolv.conf", "nameserver "+resolver+"\n")
		m.WriteFile(t, "/srv/open/jcloud.yml", "command: [python3, main.py]\ninstance: C2\nautoscale: {max: 2}\n"+keys)
		m.MustRunIn(t, "/srv/open", "fnctl", "deploy")
	}
	deploy(t, "network: internet\n", "127.0.0.53")
	for address, want := range map[string]bool{
		"8.8.8.8 80": true, "127.0.0.1 8080": true, "10.77.0.2 80": false, "10.77.0.1 8080": false, "fd77::2 80": false, "::ffff:10.77.0.2 80": false,
		"169.254.169.254 53": false, "169.254.169.254 80": false, "fd00:ec2::254 80": false,
	} {
		if got := m.connects(t, address); got != want {
			t.Errorf("the function reaches %s: %t", address, got)
		}
	}
	deploy(t, "network: internet\n", "169.254.169.254")
	if !m.connects(t, "169.254.169.254 53") || m.connects(t, "169.254.169.254 80") || m.connects(t, "10.77.0.2 80") {
		t.Error("the resolver is closed, or more than its port is open")
	}
	m.mustFindNetwork(t, "ok", "")
	m.MustRun(t, "systemctl", "stop", firewallUnit)
	out := m.MustFail(t, 1, "env", "--chdir=/srv/open", "fnctl", "deploy", "--force")
	if !strings.Contains(out.Stderr, "which only nftables could close") {
		t.Errorf("deploy says:\n%s", out.Stderr)
	}
	m.mustFindNetwork(t, "error", "which only nftables could close")
	m.MustRun(t, "systemctl", "start", firewallUnit)
	deploy(t, "", "127.0.0.53")
}

// hasRules reports whether the rules are loaded, and no job of the unit that loads them waits.
func (m *testMachine) hasRules(t *testing.T) bool {
	out, err := m.Run(t.Context(), "sh", "-c", "test -z \"$(systemctl list-jobs --no-legend "+firewallUnit+" | grep -v 'No jobs')\" && nft list table inet fnctl")
	return err == nil && out.Code == 0
}

// waitOutside waits for the servers of the other machine.
func (m *testMachine) waitOutside(t *testing.T) {
	t.Helper()
	for _, url := range []string{"http://10.77.0.2:53/", "http://[fd77::2]/", "http://169.254.169.254/", "http://[fd00:ec2::254]/"} {
		eventually(t, 30*time.Second, url+" answers", func() bool {
			out, err := m.Run(t.Context(), "curl", "-sf", url)
			return err == nil && out.Code == 0
		})
	}
}

// portOf is where the function listens.
func (m *testMachine) portOf(t *testing.T) string {
	t.Helper()
	port, _ := m.openly(t, "")["port"].(string)
	if port == "" {
		t.Fatal("the function doesn't tell its port")
	}
	return port
}

func (m *testMachine) openly(t *testing.T, query string) map[string]any {
	t.Helper()
	return m.mustGetObject(t, "http://open.localhost:8080/"+query)
}

// connects reports whether the function reaches an address.
func (m *testMachine) connects(t *testing.T, address string) bool {
	t.Helper()
	host, port, _ := strings.Cut(address, " ")
	got := m.openly(t, "?host="+host+"&port="+port)
	t.Logf("%s: %v", address, got)
	read, _ := got["read"].(float64)
	return read > 0
}

// reachedFromOutside lists the addresses of this machine at which the other one is answered.
func (m *testMachine) reachedFromOutside(t *testing.T, port string) (reached []string) {
	t.Helper()
	for _, address := range []string{"10.77.0.1", "[fd77::1]"} {
		// It fails where it is refused.
		out, _ := m.Run(t.Context(), "ip", "netns", "exec", "outside", "curl", "-s", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}", "http://"+address+":"+port)
		switch {
		case out.Stdout == fmt.Sprint(http.StatusOK):
			reached = append(reached, address)
		case out.Code != 7: // refused
			t.Errorf("%s: curl ends with %d", address, out.Code)
		}
	}
	return reached
}

// mustBeClosed waits for the function to answer, and asks from outside.
func (m *testMachine) mustBeClosed(t *testing.T) {
	t.Helper()
	if got := m.reachedFromOutside(t, m.portOf(t)); len(got) > 0 {
		t.Errorf("from outside a function is reached at %q", got)
	}
	if m.connects(t, "169.254.169.254 80") {
		t.Error("the function reaches the cloud's keys")
	}
	m.mustFindNetwork(t, "ok", "")
}
