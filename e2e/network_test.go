//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Addresses that the machine is given, so that it answers there itself.
const (
	resolver = "10.77.0.53"
	metadata = "169.254.169.254"
)

var (
	publicAddresses  = []string{"8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"}
	privateAddresses = []string{
		"10.77.0.1", "100.64.0.7", "172.16.0.1", "192.168.7.7", "198.18.0.1", metadata, "168.63.129.16", "fd77::1", "fd00:ec2::254", "64:ff9b::a4d:1", "2002:a4d:1::1",
		resolver,
	}
	loopback = []string{"127.0.0.1", "::1"}
	// mapped is a form of the first private address.
	mapped = "::ffff:10.77.0.1"
)

// reachMain is told addresses, and tells to which it can send a datagram, and from which it gets an answer.
const reachMain = `
import asyncio, errno, json, socket, urllib.parse
from concurrent.futures import ThreadPoolExecutor

def came_of(attempt):
    try:
        return "done" if attempt() else "nothing"
    except TimeoutError:
        return "timeout"
    except OSError as e:
        return errno.errorcode[e.errno]

def datagram(host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        return s.sendto(b"x", (host, 9))

def stream(host):
    with socket.create_connection((host, 8000), timeout=5) as s:
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return s.recv(1)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    hosts = urllib.parse.parse_qs(scope["query_string"].decode()).get("host", [])
    loop, body = asyncio.get_running_loop(), {}
    with ThreadPoolExecutor(len(hosts) + 1) as pool:
        streams = {host: loop.run_in_executor(pool, came_of, lambda host=host: stream(host)) for host in hosts}
        for host in hosts:
            body["datagram " + host] = came_of(lambda: datagram(host))
            body["stream " + host] = await streams[host]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
`

// An instance with network: internet reaches the public internet and its machine's loopback, and no private network. Where systemd
// cannot keep it to that, it is not deployed, and does not start.
func TestPrivateNetworks(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.WriteFile(t, "/srv/reach/main.py", reachMain)
			t.Run("without BPF", func(t *testing.T) { testWithoutBPF(t, m) })
			m.AllowBPF(true)
			m.rebootNow(t)
			t.Run("host", func(t *testing.T) { // or the rest would prove nothing
				m.deployReach(t, "host", "network: host\n")
				m.mustReach(t, "host", append(privateAddresses, mapped), true)
			})
			for name, config := range map[string]string{"internet": "network: internet\n", "strict": "network: internet\nisolation: strict\n"} {
				t.Run(name, func(t *testing.T) {
					m.deployReach(t, name, config)
					m.mustReach(t, name, append(publicAddresses, loopback...), true)
					m.mustReach(t, name, append(privateAddresses, mapped), false)
				})
			}
			t.Run("port", func(t *testing.T) {
				m.deploy(t, "open", "command: [python3, main.py]\nnetwork: internet\n")
				port := attemptsOf(t, m.mustGet(t, "http://open.localhost:8080/").body)["port"]
				m.MustRun(t, "curl", "-sf", "http://127.0.0.1:"+port)
				const fromPrivate = "--interface 10.77.0.1 --max-time 3 -sf -o /dev/null http://127.0.0.1:"
				m.MustRun(t, "sh", "-c", "curl "+fromPrivate+"8000")
				m.MustFail(t, 28, "sh", "-c", "curl "+fromPrivate+port)
			})
			t.Run("resolver", func(t *testing.T) { testPrivateResolver(t, m) })
			t.Run("without BPF again", func(t *testing.T) { testNoStart(t, m) })
		})
	}
}

func (m *testMachine) rebootNow(t *testing.T) {
	t.Helper()
	m.Reboot(t)
	m.waitActive(t, gatewayUnit)
	var script strings.Builder
	for _, address := range append(privateAddresses, publicAddresses...) {
		size := "/32"
		if strings.Contains(address, ":") {
			size = "/128 nodad"
		}
		script.WriteString("ip address add dev lo " + address + size + "\n")
	}
	m.MustRun(t, "sh", "-ec", script.String()+"systemd-run --quiet --unit=everywhere python3 -m http.server --bind :: 8000\n"+
		"until curl -sf -o /dev/null http://127.0.0.1:8000/; do sleep 0.1; done")
}

// deployReach deploys the function under a name.
func (m *testMachine) deployReach(t *testing.T, name, config string, args ...string) string {
	t.Helper()
	m.WriteFile(t, "/srv/reach/jcloud.yml", config)
	out := m.MustRunIn(t, "/srv/reach", "sh", "-c", "fnctl deploy main:app --name reach-"+name+" "+strings.Join(args, " ")+" 2>&1")
	return out
}

// mustReach expects a function to reach all of some addresses, or none.
func (m *testMachine) mustReach(t *testing.T, name string, addresses []string, want bool) {
	t.Helper()
	got := attemptsOf(t, m.mustGet(t, "http://reach-"+name+".localhost:8080/?"+url.Values{"host": addresses}.Encode()).body)
	if len(got) != 2*len(addresses) {
		t.Errorf("%s: got %v", name, got)
	}
	for attempt, came := range got {
		switch {
		case want && came != "done":
			t.Errorf("%s: %s: %s", name, attempt, came)
		case !want && strings.HasPrefix(attempt, "datagram") && came != "EPERM", !want && strings.HasPrefix(attempt, "stream") && came != "timeout":
			t.Errorf("%s: %s: %s", name, attempt, came)
		}
	}
}

const cannotKeep = "network: internet: this machine cannot keep instances out of private networks"

// testWithoutBPF: what cannot be kept is refused before anything is made.
func testWithoutBPF(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/reach/jcloud.yml", "network: internet\n")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/reach", "fnctl", "deploy", "main:app")
	if !strings.Contains(out.Stderr, cannotKeep) || !strings.Contains(out.Stderr, "journalctl -u fnctl-internet.service") {
		t.Errorf("deploy says:\n%s", out.Stderr)
	}
	m.MustRun(t, "sh", "-c", "! test -e /var/lib/fnctl/functions/reach/revisions/00001; ! ls /etc/systemd/system/fn-reach*")
	for _, user := range []string{"root", "nobody"} { // who is told what root has found
		out := m.MustRun(t, "setpriv", "--reuid="+user, "--clear-groups", "sh", "-c", "fnctl validate /srv/reach/jcloud.yml 2>&1")
		if !strings.Contains(out, "warning: "+cannotKeep) || !strings.Contains(out, "is valid") {
			t.Errorf("validate says to %s:\n%s", user, out)
		}
	}
	if journal := m.MustRun(t, "journalctl", "--no-pager", "-u", "fnctl-internet"); !strings.Contains(journal, "127.0.0.2 can be sent to, which is denied") {
		t.Errorf("the journal says:\n%s", journal)
	}
}

// testPrivateResolver: the resolver stays open, and the deploy says so; where the keys of the cloud are, too, only with nftables.
func testPrivateResolver(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/etc/resolv.conf", "# nameserver 10.77.0.1\nnameserver "+resolver+"\nnameserver 8.8.8.8\nnameserver 127.0.0.1\n")
	if out := m.deployReach(t, "internet", "network: internet\n"); !strings.Contains(out, "warning: network: internet: "+resolver+" of /etc/resolv.conf stays open") {
		t.Errorf("deploy says:\n%s", out)
	}
	m.mustReach(t, "internet", []string{resolver}, true)
	m.mustReach(t, "internet", []string{"10.77.0.1", metadata}, false)
	m.WriteFile(t, "/etc/resolv.conf", "nameserver 10.77.0.1\n")
	m.mustFindNetwork(t, "warning", "reach-internet-00002 cannot ask 10.77.0.1")
	m.deployReach(t, "internet", "network: internet\n")
	m.mustReach(t, "internet", []string{"10.77.0.1"}, true)
	m.mustReach(t, "internet", []string{resolver}, false)

	m.WriteFile(t, "/etc/resolv.conf", "nameserver "+metadata+"\n")
	m.WriteFile(t, "/srv/reach/jcloud.yml", "network: internet\n")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/reach", "fnctl", "deploy", "main:app", "--name", "reach-internet")
	if !strings.Contains(out.Stderr, "which only nftables could close: there is no nft") || !strings.Contains(out.Stderr, "systemd-resolved") {
		t.Errorf("deploy says:\n%s", out.Stderr)
	}
	m.MustRun(t, "rm", "/etc/resolv.conf")
}

// testNoStart: what was deployed does not start where it could not be kept in its network, and others do.
func testNoStart(t *testing.T, m *testMachine) {
	m.AllowBPF(false)
	m.rebootNow(t)
	m.mustGet(t, "http://reach-host.localhost:8080/")
	eventually(t, time.Minute, "the function is refused with the reason", func() bool {
		a, err := fetch(t.Context(), m.Client(), "http://reach-internet.localhost:8080/")
		return err == nil && a.code == http.StatusServiceUnavailable && strings.Contains(a.body, "fnctl-internet.service")
	})
	if running := m.MustRun(t, "systemctl", "list-units", "--state=running", "--no-legend", "fn-reach-*.service"); !strings.Contains(running, "reach-host") || strings.Count(running, "\n") != 1 {
		t.Errorf("what runs:\n%s", running)
	}
	m.mustFindNetwork(t, "error", cannotKeep)
	m.AllowBPF(true)
	m.rebootNow(t)
	m.mustReach(t, "internet", []string{resolver, metadata}, false)
}

// mustFindNetwork expects a verdict of the doctor's, with a text.
func (m *testMachine) mustFindNetwork(t *testing.T, verdict, text string) {
	t.Helper()
	for _, found := range diagnose(t, m, verdict) {
		if found.Check == "network" && strings.Contains(found.Text, text) {
			return
		}
	}
	t.Errorf("the doctor does not find the network %s: %+v", verdict, diagnose(t, m, ""))
}
