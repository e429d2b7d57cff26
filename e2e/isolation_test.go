//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/e2e/machine"
)

// One function cannot read, write, see, signal or be another, nor the platform, nor gain a privilege.
func TestIsolation(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.prepareVictim(t)
			m.CopyIn(t, function("hostile"), "/srv/hostile")
			pid := m.mainPID(t, "fn-ping-00001@1.service")
			for _, profile := range []string{"default", "strict"} {
				t.Run(profile, func(t *testing.T) { testHostile(t, m, profile, pid) })
			}
			t.Run("files", func(t *testing.T) { testFilesOfOthers(t, m) })
			t.Run("exposure", func(t *testing.T) { testExposure(t, m) })
			t.Run("relaxations", func(t *testing.T) { testRelaxations(t, m) })
			t.Run("opened paths", func(t *testing.T) { testOpenedPaths(t, m) })
			t.Run("usual", func(t *testing.T) { testUsual(t, m) })
			if suite == machine.Trixie {
				t.Run("servers", func(t *testing.T) { testServers(t, m) })
			}
			// Last, because nothing is left whole.
			t.Run("root can", func(t *testing.T) { testRootCan(t, m, pid) })
		})
	}
}

// prepareVictim deploys a function that has all that can be stolen.
func (m *testMachine) prepareVictim(t *testing.T) {
	t.Helper()
	m.WriteFile(t, "/srv/secrets", "TOKEN=sesame-1\n")
	m.deploy(t, "ping", "env: {PASSWORD: sesame-1}\n", "main:app", "--secret", "/srv/secrets")
	m.MustRun(t, "sh", "-c", "echo sesame-1 >/var/lib/fnctl-data/ping/data && touch /var/tmp/marker /root/marker && mkdir -m 755 /home/somebody && echo x >/home/somebody/marker")
	m.MustRun(t, "python3", "-c", sharedByAll)
	m.WriteFile(t, "/srv/ping/.env", "PASSWORD=for-everybody\n")
	m.MustRun(t, "sh", "-c", "cp /usr/bin/id /usr/local/bin/whoami-root && chmod 4755 /usr/local/bin/whoami-root")
}

// sharedByAll makes what everybody may read: shared memory, a queue and a segment.
const sharedByAll = `
import ctypes, os
os.umask(0)
open("/dev/shm/marker", "w").write("marker")
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mq_open(b"/marker", os.O_CREAT | os.O_RDWR, 0o666, None) >= 0
assert libc.shmget(0x666E, 4096, 0o1666) >= 0
`

func (m *testMachine) mainPID(t *testing.T, unit string) string {
	t.Helper()
	return strings.TrimSpace(m.MustRun(t, "systemctl", "show", "--value", "--property=MainPID", unit))
}

// refused are the errors that tell that something is not allowed, or not there for this user.
var refused = []string{"EPERM", "EACCES", "EROFS", "ENOENT", "ENXIO", "EAFNOSUPPORT", "EPROTONOSUPPORT", "EADDRINUSE", "ECONNREFUSED"}

// gatewayPort is what an instance may do, unless it has a network of its own.
const gatewayPort = "reach the gateway's port"

func testHostile(t *testing.T, m *testMachine, profile, pid string) {
	name := "hostile-" + profile
	m.MustRunIn(t, "/srv/hostile", "sh", "-c", "echo 'isolation: "+profile+"' >>jcloud.yml")
	m.MustRunIn(t, "/srv/hostile", "fnctl", "deploy", "main:app", "--name", name)
	m.MustRunIn(t, "/srv/hostile", "sed", "-i", "/isolation/d", "jcloud.yml")
	a := m.mustGet(t, fmt.Sprintf("http://%s.localhost:8080/?victim=ping&pid=%s", name, pid))
	attempts := attemptsOf(t, a.body)
	if len(attempts) < 50 {
		t.Errorf("there were only %d attempts", len(attempts))
	}
	if reached := attempts[gatewayPort] == "done"; reached != (profile == "default") {
		t.Errorf("%s: %s", gatewayPort, attempts[gatewayPort])
	}
	delete(attempts, gatewayPort)
	if profile == "default" {
		delete(attempts, "reach a socket in /run") // of databases
		delete(attempts, "read its project")       // a deploy warns of it
	}
	if profile == "strict" {
		delete(attempts, "bind the gateway's port") // of a loopback of its own
	}
	for attempt, result := range attempts {
		if !slices.Contains(refused, result) {
			t.Errorf("%s: %s", attempt, result)
		}
	}
	// What functions run on outlives them.
	if score := strings.TrimSpace(m.MustRun(t, "cat", "/proc/"+pid+"/oom_score_adj")); score != "500" {
		t.Errorf("its oom_score_adj is %s", score)
	}
	if got := m.mainPID(t, "fn-ping-00001@1.service"); got != pid {
		t.Errorf("the victim was process %s, and is %s", pid, got)
	}
}

func attemptsOf(t *testing.T, text string) map[string]string {
	t.Helper()
	var attempts map[string]string
	if err := json.Unmarshal([]byte(text), &attempts); err != nil {
		t.Fatal(err)
	}
	return attempts
}

// testFilesOfOthers looks for what everybody can read.
func testFilesOfOthers(t *testing.T, m *testMachine) {
	if leak := m.MustRun(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "grep -rls '[s]esame-1' /etc /var /run /tmp || true"); leak != "" {
		t.Errorf("everybody can read a variable in:\n%s", leak)
	}
	for socket, want := range map[string]string{
		"/run/fnctl/instances/ping-00001@1.sock": "root:fnctl-gateway 660", "/run/fnctl/gateway.sock": "root:fnctl 660",
		"/run/fnctl/activator.sock": "root:fnctl 660", "/run/systemd/private": "root:root ",
	} {
		if mode := strings.TrimSpace(m.MustRun(t, "stat", "-c", "%U:%G %a", socket)); !strings.HasPrefix(mode, want) {
			t.Errorf("%s is %s: others can connect", socket, mode)
		}
	}
}

// testExposure has systemd's own opinion.
func testExposure(t *testing.T, m *testMachine) {
	for name, most := range map[string]float64{"hostile-default": 2.5, "hostile-strict": 1.0} {
		unit := "fn-" + name + "-00001@1.service"
		out := m.MustRun(t, "systemd-analyze", "security", "--no-pager", unit)
		_, text, _ := strings.Cut(out, "Overall exposure level for "+unit+": ")
		var exposure float64
		if _, err := fmt.Sscan(text, &exposure); err != nil || exposure > most {
			t.Errorf("%s: exposure %v, want at most %v (%v)\n%s", name, exposure, most, err, out)
		}
		t.Logf("%s: exposure %v", name, exposure)
	}
}

// testRelaxations has a function do what strict takes from it, once the key gives it.
func testRelaxations(t *testing.T, m *testMachine) {
	m.CopyIn(t, function("needy"), "/srv/needy")
	for name, config := range map[string]string{
		"strict":  "isolation: strict\n",
		"network": "isolation: strict\nnetwork: host\n",
		"memory":  "isolation: strict\nexecutable_memory: true\n",
		"default": "",
		"nothing": "network: none\nexecutable_memory: false\n",
	} {
		m.WriteFile(t, "/srv/needy/jcloud.yml", config+"autoscale: {min: 0, metric: rps}\n")
		m.MustRunIn(t, "/srv/needy", "fnctl", "deploy", "main:app", "--name", "needy-"+name)
		got := attemptsOf(t, m.mustGet(t, "http://needy-"+name+".localhost:8080/").body)
		for need, has := range map[string]bool{
			"network": name == "default" || name == "network",
			"memory":  name == "default" || name == "memory",
			"devices": false, // a container has none: TestLimits has them
		} {
			if (got[need] == "done") != has {
				t.Errorf("%s: %s: got %s", name, need, got[need])
			}
		}
	}
}

// openedMain tries to read and to write what read_only_paths opens, and what is beside it.
const openedMain = `
import errno, json, os

def came_of(attempt):
    try:
        attempt()
        return "done"
    except OSError as e:
        return errno.errorcode[e.errno]

async def app(scope, receive, send):
    if scope["type"] == "http":
        body = json.dumps({
            "read": came_of(lambda: open("/home/media/models/model").read()),
            "write": came_of(lambda: open("/home/media/models/model", "w")),
            "make": came_of(lambda: open("/home/media/models/other", "w")),
            "beside": came_of(lambda: os.stat("/home/media/private")),
            "list": ",".join(os.listdir("/home/media")),
        }).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
`

// What is opened is read, and nothing else; a program that functions do not see is refused before anything starts.
func testOpenedPaths(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", "mkdir -p /home/media/models /home/media/private && echo m >/home/media/models/model && chmod 777 /home/media/models && chmod 666 /home/media/models/model")
	m.WriteFile(t, "/srv/opened/main.py", openedMain)
	for _, profile := range []string{"default", "strict"} {
		m.WriteFile(t, "/srv/opened/jcloud.yml", "isolation: "+profile+"\nread_only_paths: [/home/media/models]\nautoscale: {min: 0}\n")
		m.MustRunIn(t, "/srv/opened", "fnctl", "deploy", "main:app")
		got := attemptsOf(t, m.mustGet(t, "http://opened.localhost:8080/").body)
		if want := map[string]string{"read": "done", "write": "EROFS", "make": "EROFS", "beside": "ENOENT", "list": "models"}; !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", profile, got, want)
		}
	}
	m.MustRun(t, "chmod", "750", "/home/media")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/opened", "fnctl", "deploy", "main:app")
	if !strings.Contains(out.Stderr, "other users of the machine cannot read /home/media/models: /home/media has the mode 0750") {
		t.Errorf("a closed directory: %s", out.Stderr)
	}
	m.MustRun(t, "fnctl", "remove", "opened", "--purge")
	m.MustRun(t, "sh", "-c", "cp /bin/sleep /home/media/tool && ln -s /home/media/tool /usr/local/bin/tool")
	m.WriteFile(t, "/srv/hidden/jcloud.yml", "command: [tool, '60']\n")
	out = m.MustFail(t, 1, "env", "--chdir=/srv/hidden", "fnctl", "deploy")
	if !strings.Contains(out.Stderr, "/usr/local/bin/tool is a link to /home/media/tool, and functions see nothing of /home") || !strings.Contains(out.Stderr, "read_only_paths") {
		t.Errorf("a program in a home: %s", out.Stderr)
	}
	m.MustRun(t, "sh", "-c", "rm /usr/local/bin/tool; rm -r /home/media; ! test -e /var/lib/fnctl/functions/hidden")
}

// testRootCan shows that the attempts are real ones: who is not confined succeeds.
func testRootCan(t *testing.T, m *testMachine, pid string) {
	attempts := attemptsOf(t, m.MustRunIn(t, "/srv/hostile", "python3", "main.py", "ping", pid))
	for _, attempt := range []string{
		"read its snapshot", "read its secrets", "read its variables", "read its working copy", "read its data", "write its data",
		"read its environment", "read its command line", "list its files", "see processes of others", "signal it", "trace it",
		"connect to its socket", "join its control group", "connect to the gateway", "connect to the activator", "connect to PID 1",
		"connect to D-Bus", "bind an instance's socket", "bind a low port", "write a unit", "write a route", "write to /",
		"write to /var/tmp of all", "read the shadow", "read a home", "read an open home", "become root", "become another", "run a set-user-ID program",
		"make a set-user-ID program", "mount", "leave its root", "make a mount namespace", "set the host name",
		"read its project", "see its name", "read its description", "write elsewhere", "lock for all", "read shared memory", "read the queue of another", "read a shared segment", "notify PID 1",
		"forge fields of the journal", "take streams of the journal", "reach a socket in /run",
		"send raw packets", "see every packet", "have a higher priority", "switch off address randomization",
	} {
		if got := attempts[attempt]; got != "done" {
			t.Errorf("%s: got %s: the attempt proves nothing", attempt, got)
		}
	}
}
