//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Each kind of app is found out, runs, scales to zero and starts again, on each supported systemd.
func TestRuntime(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			t.Run("samples", func(t *testing.T) { testSamples(t, m) })
			t.Run("project", func(t *testing.T) { testProject(t, m) })
			t.Run("factories", func(t *testing.T) { testFactories(t, m) })
			only(t, machine.Bookworm, suite, "asked", func(t *testing.T) { testAsked(t, m) })
			t.Run("hypercorn", func(t *testing.T) { testHypercorn(t, m) })
			t.Run("websocket through the shim", func(t *testing.T) { testShimWebSocket(t, m) })
			only(t, machine.Trixie, suite, "how a program on a port ends", func(t *testing.T) { testPortEnds(t, m) })
			only(t, machine.Bookworm, suite, "wrong apps", func(t *testing.T) { testWrongApps(t, m) })
		})
	}
}

// What requirements.txt says is installed once for all revisions of a function, by nobody in particular.
func TestVenv(t *testing.T) {
	t.Parallel()
	testVenvs(t, bootInstalled(t, machine.Bookworm))
}

// A project as tools make it: its modules are found, and what will not be as it says is told before anything starts.
func testProject(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/proj/pyproject.toml", "[project]\nname = \"shop\"\nrequires-python = \">=3.99\"\ndependencies = [\"humanize\"]\n")
	m.WriteFile(t, "/srv/proj/src/shop/__init__.py", "")
	m.WriteFile(t, "/srv/proj/src/shop/names.py", "name = 'shop'\n")
	m.WriteFile(t, "/srv/proj/src/shop/main.py", `
from shop.names import name

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": name.encode()})
`)
	m.WriteFile(t, "/srv/proj/jcloud.yml", "autoscale: {min: 0}\n")
	out := m.MustRunIn(t, "/srv/proj", "sh", "-c", "fnctl deploy shop.main:app 2>&1")
	for _, want := range []string{"pyproject.toml names packages, and there is no requirements.txt: none is installed", "pyproject.toml asks for Python >=3.99, and the machine has 3.1"} {
		if before, _, found := strings.Cut(out, want); !found || strings.Contains(before, "copied the app") {
			t.Errorf("a deploy doesn't say %q before anything else:\n%s", want, out)
		}
	}
	if a := m.mustGet(t, "http://proj.localhost:8080/"); a.body != "shop" {
		t.Errorf("got %q", a.body)
	}
	m.MustRun(t, "fnctl", "remove", "proj", "--purge")
}

// What makes the app is called by each server, and written with brackets.
func testFactories(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/made/main.py", `
def create(greeting="made"):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": greeting.encode()})
    return app

def create_wsgi():
    import os
    def app(environ, start_response):
        start_response("200 OK", [])
        return [os.environ["GREETING"].encode()]
    return app
`)
	m.WriteFile(t, "/srv/made/gunicorn.conf.py", "raw_env = ['GREETING=made']\n")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/made", "fnctl", "deploy", "main:create")
	if !strings.Contains(out.Stderr, `write it with brackets: "main:create()"`) {
		t.Errorf("without brackets:\n%s", out.Stderr)
	}
	for runtime, app := range map[string]string{"uvicorn": "main:create()", "hypercorn": "main:create()", "gunicorn": "main:create_wsgi()"} {
		m.WriteFile(t, "/srv/made/jcloud.yml", "app: "+app+"\nruntime: "+runtime+"\nautoscale: {min: 0}\n")
		m.MustRunIn(t, "/srv/made", "fnctl", "deploy")
		if a := m.mustGet(t, "http://made.localhost:8080/"); a.body != "made" {
			t.Errorf("%s: got %q", runtime, a.body)
		}
	}
	m.MustRun(t, "fnctl", "remove", "made", "--purge")
}

const quick = "autoscale: {min: 0, max: 1, metric: rps, target: 1, stable_window: 6s, scale_down_delay: 0s}\n"

func testSamples(t *testing.T, m *testMachine) {
	for name, sample := range map[string]struct{ config, detected, server, answer string }{
		"flask":  {"app: main:app\n" + quick, "detected WSGI: main.py imports flask; gunicorn runs it", "gunicorn", "Hello from Flask!"},
		"django": {"app: main:app\nworkers: 2\n" + quick, "detected WSGI: main.py uses get_wsgi_application; gunicorn runs it", "gunicorn", "Hello from Django!"},
		"node":   {"command: [node, server.js]\n" + quick, "detected socket: server.js speaks of it", "node", "Hello from Node!"},
		"port":   {"command: [node, server.js]\n" + quick, "detected port: server.js reads PORT", "node", "Hello from a port!"},
	} {
		m.CopyIn(t, function(name), "/srv/"+name)
		m.WriteFile(t, "/srv/"+name+"/jcloud.yml", neverAsleep("it is to start again", sample.config))
		out, err := m.RunIn(t.Context(), "/srv/"+name, "fnctl", "deploy")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.Stderr, sample.detected) {
			t.Errorf("%s: deploy doesn't say %q:\n%s", name, sample.detected, out.Stderr)
		}
	}
	for name, answer := range map[string]string{"flask": "Hello from Flask!", "django": "Hello from Django!", "node": "Hello from Node!", "port": "Hello from a port!"} {
		url := "http://" + name + ".localhost:8080/"
		if a := m.mustGet(t, url); !strings.Contains(a.body, answer) {
			t.Errorf("%s: got %q", name, a.body)
		}
		if name == "django" {
			continue // the server is that of flask
		}
		wrk := m.MustRun(t, "wrk", "-t1", "-c16", "-d2s", "-H", "Host: "+name+".localhost", "http://127.0.0.1:8080/")
		if strings.Contains(wrk, "Socket errors") || strings.Contains(wrk, "Non-2xx") || !strings.Contains(wrk, "requests in 2.") {
			t.Errorf("%s under load:\n%s", name, wrk)
		}
	}
	for _, name := range []string{"flask", "django", "node", "port"} {
		m.waitZero(t, name, 30*time.Second)
		cold := m.mustGet(t, "http://"+name+".localhost:8080/")
		if name == "flask" && !strings.Contains(cold.body, `"client":"127.0.0.1"`) {
			t.Errorf("an app in gunicorn doesn't know its client: %s", cold.body)
		}
		if cold.header.Get("Fnctl-Cold-Start") == "" {
			t.Errorf("%s: no cold start", name)
		}
		t.Logf("%s: cold %v", name, cold.took)
		if pids := m.oneInstance(t, name).PIDs; name == "django" && len(pids) != 3 {
			t.Errorf("gunicorn with two workers has the processes %v", pids)
		}
	}
}

func testHypercorn(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", "app: main:app\nruntime: hypercorn\nprotocol: h2c\nautoscale: {min: 1, max: 1}\n")
	if a := m.mustGet(t, "http://echo.localhost:8080/headers"); !strings.Contains(a.body, `"client":"127.0.0.1"`) {
		t.Errorf("an app in hypercorn doesn't know its client: %s", a.body)
	}
	unit := m.MustRun(t, "systemctl", "cat", "fn-echo-00001@1.service")
	if !strings.Contains(unit, "ExecStart=/var/lib/fnctl/poise -- /usr/bin/python3 -m hypercorn /usr/share/fnctl/fnctl_client.py:app --bind fd://3") {
		t.Errorf("the unit is\n%s", unit)
	}
	m.MustRun(t, "fnctl", "remove", "echo", "--purge")
}

func testShimWebSocket(t *testing.T, m *testMachine) {
	m.deploy(t, "chat", "command: [python3, -m, uvicorn, 'main:app', --port, $PORT]\nautoscale: {min: 1, max: 1}\n")
	conn, _, err := websocket.Dial(t.Context(), "http://chat.localhost:8080/", &websocket.DialOptions{HTTPClient: m.Client()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	for _, size := range []int{0, 126, 1 << 20} {
		message := bytes.Repeat([]byte("x"), size)
		if err := conn.Write(t.Context(), websocket.MessageBinary, message); err != nil {
			t.Fatal(err)
		}
		if _, data, err := conn.Read(t.Context()); err != nil || !bytes.Equal(data, message) {
			t.Fatalf("%d bytes: got %d, %v", size, len(data), err)
		}
	}
	if err := conn.Close(4001, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	eventually(t, 5*time.Second, "the app knows the code", func() bool {
		return m.mustGet(t, "http://chat.localhost:8080/closed").body == "4001"
	})
	m.MustRun(t, "fnctl", "remove", "chat")
}

// systemd, and so all else, sees how the program behind the shim has ended.
func testPortEnds(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/port/jcloud.yml", "command: [node, server.js]\nautoscale: {min: 1, max: 1}\n")
	m.MustRunIn(t, "/srv/port", "fnctl", "deploy")
	const ready = "http://port.localhost:8080/"
	for _, test := range []struct{ path, want string }{
		{"exit?7", "exited, status=7/NOTRUNNING"}, {"kill?SIGSEGV", "status=11/SEGV"}, {"kill?SIGKILL", "status=9/KILL"},
	} {
		eventually(t, 20*time.Second, "it answers", func() bool {
			a, err := fetch(t.Context(), m.Client(), ready)
			return err == nil && a.code == http.StatusOK
		})
		since := strings.TrimSpace(m.MustRun(t, "date", "+%s.%N"))
		if a, err := fetch(t.Context(), m.Client(), ready+test.path); err != nil || a.code != http.StatusBadGateway {
			t.Errorf("%s: got %d %q, %v", test.path, a.code, a.body, err)
		}
		eventually(t, 10*time.Second, test.path+" is seen as "+test.want, func() bool {
			return strings.Contains(m.MustRun(t, "journalctl", "--no-pager", "--since=@"+since, "-u", "fn-port-*"), test.want)
		})
	}
	eventually(t, 20*time.Second, "it answers", func() bool {
		a, err := fetch(t.Context(), m.Client(), ready)
		return err == nil && a.code == http.StatusOK
	})
	// The program handles SIGTERM itself, and ends with 0.
	unit := "fn-" + m.oneInstance(t, "port").Name + ".service"
	m.MustRun(t, "systemctl", "stop", unit)
	log := m.MustRun(t, "journalctl", "--no-pager", "-u", unit)
	if !strings.Contains(log, "SIGTERM: closing") || strings.Contains(log, "State 'stop-sigterm' timed out") {
		t.Errorf("SIGTERM did not get to the program:\n%s", log)
	}
	m.MustRun(t, "fnctl", "remove", "port")
}

// bothLengths is an app whose answers say their length twice, by Content-Length and by chunks.
const bothLengths = `import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"2\r\nok\r\n0\r\n\r\n")

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`

// What cannot run says why, and what to do.
func testWrongApps(t *testing.T, m *testMachine) {
	const wsgi = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"
	const asgi = "async def app(scope, receive, send): ...\n"
	for name, wrong := range map[string]struct {
		config, main string
		want, hint   string
	}{
		"attribute":          {"app: main:appp", asgi, "the module main has no attribute appp", "APP is module:attr"},
		"attribute gunicorn": {"app: main:appp\nruntime: gunicorn", wsgi, "the module main has no attribute appp", "APP is module:attr"},
		"import":             {"app: main:app", "import nowhere_to_be_found\n" + asgi, "it imports nowhere_to_be_found, which is not installed", "requirements.txt"},
		"wsgi as asgi":       {"app: main:app\nruntime: uvicorn", wsgi, "it is a WSGI application", "runtime: gunicorn"},
		"asgi as wsgi":       {"app: main:app\nruntime: gunicorn", asgi, "it is an ASGI application", "runtime: uvicorn"},
		"granian":            {"app: main:app\nruntime: granian", asgi, "granian not found", "write granian into the app's requirements.txt"},
		"port":               {"command: [sleep, '30']\nruntime: port\nhealthcheck: {timeout: 4s}", "", "it does not listen on port ", "PORT"},
		"another port":       {"command: [python3, -m, http.server, '3999']\nruntime: port\nhealthcheck: {timeout: 2m}", "", "it listens on port 3999, and not on $PORT (", "PORT"},
		"a port of its own":  {"command: [python3, -m, http.server, '8081']\nruntime: socket\nhealthcheck: {timeout: 2m}", "", "it listens on port 8081, and not on its socket", "runtime: port"},
		"two lengths":        {"command: [python3, main.py]\nruntime: port", bothLengths, "the gateway cannot pass on what it answers: ", ""},
		"no such program":    {"command: [nodejs-of-tomorrow, x]", "", "not found", "a program of the machine must be installed"},
	} {
		dir := "/srv/wrong"
		m.MustRun(t, "rm", "-rf", dir)
		m.WriteFile(t, dir+"/main.py", wrong.main)
		m.WriteFile(t, dir+"/jcloud.yml", wrong.config+"\n")
		began := time.Now()
		out := m.MustFail(t, 1, "env", "--chdir="+dir, "fnctl", "deploy")
		if time.Since(began) > 2*time.Minute {
			t.Errorf("%s: told after %v, when the time of its proof was over", name, time.Since(began))
		}
		last := out.Stderr[max(0, strings.LastIndex(out.Stderr, "fnctl: error: ")):]
		if !strings.Contains(last, wrong.want) || !strings.Contains(last, "fnctl: hint: ") || !strings.Contains(last, wrong.hint) {
			t.Errorf("%s: want %q and %q, got:\n%s", name, wrong.want, wrong.hint, out.Stderr)
		}
	}
	const away = "cd /usr/lib/python3/dist-packages; for p in websockets wsproto; do [ ! -e $p$1 ] || mv $p$1 $p$2; done"
	m.WriteFile(t, "/srv/wrong/main.py", "from fastapi import FastAPI, WebSocket\napp = FastAPI()\n\n@app.websocket('/ws')\nasync def ws(s: WebSocket): ...\n")
	m.WriteFile(t, "/srv/wrong/jcloud.yml", "app: main:app\n")
	m.MustRun(t, "sh", "-c", away, "sh", "", ".away")
	warned := m.MustRunIn(t, "/srv/wrong", "sh", "-c", "fnctl deploy 2>&1")
	m.MustRun(t, "sh", "-c", away, "sh", ".away", "")
	if !strings.Contains(warned, "main.py has a route for WebSockets, and uvicorn has no library for them") || !strings.Contains(warned, "python3-websockets") {
		t.Errorf("without a library for WebSockets:\n%s", warned)
	}
	if said := m.MustRunIn(t, "/srv/wrong", "sh", "-c", "fnctl deploy --force 2>&1"); strings.Contains(said, "WebSockets") {
		t.Errorf("with one:\n%s", said)
	}
	m.MustRun(t, "fnctl", "remove", "wrong", "--purge")
	m.MustRun(t, "mv", "/usr/bin/python3", "/usr/bin/python3.away")
	m.WriteFile(t, "/srv/wrong/jcloud.yml", "app: main:app\n")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/wrong", "fnctl", "deploy")
	m.MustRun(t, "mv", "/usr/bin/python3.away", "/usr/bin/python3")
	if !strings.Contains(out.Stderr, "/usr/bin/python3 not found") || !strings.Contains(out.Stderr, "apt-get install python3") {
		t.Errorf("without Python:\n%s", out.Stderr)
	}
}

// wheel writes a package of Python that has one module.
func wheel(t *testing.T, dir, name, version, source string) {
	t.Helper()
	var data bytes.Buffer
	w := zip.NewWriter(&data)
	info := fmt.Sprintf("%s-%s.dist-info/", name, version)
	for _, file := range [][2]string{
		{name + ".py", source},
		{info + "METADATA", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "entry_points.txt", fmt.Sprintf("[console_scripts]\nserve-%s = %s:serve\n", name, name)},
		{info + "RECORD", ""},
	} {
		f, err := w.Create(file[0])
		if err == nil {
			_, err = f.Write([]byte(file[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-py3-none-any.whl", name, version)), data.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

const (
	venvURL  = "http://venv.localhost:8080/"
	venvDir  = "/var/lib/fnctl/functions/venv/venvs"
	venvMain = `import greeting, shutil
assert shutil.which("python3").endswith("/bin/python3") and "/venvs/" in shutil.which("python3")

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": greeting.text.encode()})
`
)

// One environment for each set of requirements: offline, shared by revisions, built by nobody in particular, and taken away
// when the last revision with it goes.
func testVenvs(t *testing.T, m *testMachine) {
	wheels := t.TempDir()
	wheel(t, wheels, "greeting", "1.0", "text = 'one'\n")
	wheel(t, wheels, "greeting", "2.0", "text = 'two'\n")
	wheel(t, wheels, "served", "1.0", `import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"served")

def serve():
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`)
	wheel(t, wheels, "hello", "1.0", "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n")
	m.CopyIn(t, wheels, "/srv/wheels")
	m.MustRun(t, "chmod", "755", "/srv/wheels")
	m.WriteFile(t, "/etc/pip.conf", "[global]\nno-index = true\nfind-links = /srv/wheels\n")
	m.WriteFile(t, "/srv/venv/main.py", venvMain)
	m.WriteFile(t, "/srv/venv/jcloud.yml", "app: main:app\nautoscale: {min: 1, max: 1}\n")
	m.WriteFile(t, "/srv/venv/requirements.txt", "-r more/one.txt\n")
	m.WriteFile(t, "/srv/venv/more/one.txt", "greeting==1.0\n")
	deploy := func(args ...string) string {
		// As hardened machines have it: what the gateway and the build must read is open to them all the same.
		out, err := m.RunIn(t.Context(), "/srv/venv", "sh", append([]string{"-c", `umask 077; exec fnctl deploy "$@"`, "sh"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out.Stderr
	}
	venvs := func() []string { return strings.Fields(m.MustRun(t, "ls", "-A", venvDir)) }
	first := deploy()
	if !strings.Contains(first, "installed requirements.txt") || !strings.Contains(first, "Processing /srv/wheels/greeting-1.0") {
		t.Errorf("the first deploy says:\n%s", first)
	}
	if a := m.mustGet(t, venvURL); a.body != "one" {
		t.Errorf("got %q", a.body)
	}
	if others := m.MustRun(t, "sh", "-c", "find "+venvDir+" ! -user root -o ! -type l -perm /022 | head"); others != "" {
		t.Errorf("not only root can write to:\n%s", others)
	}
	// A deploy that has nothing to do opens what an earlier version has left closed.
	m.MustRun(t, "sh", "-c", "chmod 700 /var/lib/fnctl/functions/venv; systemctl restart fnctl-gateway")
	code := func() int {
		a, err := fetch(t.Context(), m.Client(), venvURL)
		if err != nil {
			t.Fatal(err)
		}
		return a.code
	}
	if code() == http.StatusOK {
		t.Error("the gateway reads a closed directory: what follows proves nothing")
	}
	deploy()
	eventually(t, 5*time.Second, "it is open again", func() bool { return code() == http.StatusOK })
	// Variables and another app change nothing of it.
	m.MustRun(t, "fnctl", "env", "venv", "set", "A=b")
	m.WriteFile(t, "/srv/venv/main.py", "# changed\n"+venvMain)
	if out := deploy(); !strings.Contains(out, "requirements.txt is installed already") || len(venvs()) != 1 {
		t.Errorf("the same requirements: %q\n%s", venvs(), out)
	}
	testVenvKilled(t, m)
	eventually(t, 5*time.Second, "two", func() bool { return m.mustGet(t, venvURL).body == "two" })
	if got := venvs(); len(got) != 2 {
		t.Errorf("two sets of requirements have %q", got)
	}
	began := time.Now()
	m.MustRun(t, "fnctl", "rollback", "venv")
	eventually(t, 5*time.Second, "one again", func() bool { return m.mustGet(t, venvURL).body == "one" })
	t.Logf("rollback: %v", time.Since(began))
	testVenvBuildIsHeld(t, m)
	// What no revision uses goes, and nothing else.
	before := venvs()
	m.MustRun(t, "mkdir", "-p", venvDir+"/0123456789abcdef/bin", venvDir+"/.0123456789abcdef/venv")
	m.MustRun(t, "fnctl", "gc")
	if after := venvs(); !slices.Equal(after, before) || len(after) != 2 {
		t.Errorf("gc leaves %q of %q", after, before)
	}
	m.mustGet(t, venvURL)
	m.MustRun(t, "fnctl", "remove", "venv", "--purge")
	m.MustRun(t, "test", "!", "-e", venvDir)
	testVenvCommands(t, m)
	testAskedPackage(t, m)
	testVenvBuildFillsDisk(t, m)
}

// Commands and scripts find the packages of requirements.txt, and the programs that these bring.
func testVenvCommands(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/commands/requirements.txt", "served\nuvicorn\n") // the second is the machine's, so that pip installs nothing of it
	m.WriteFile(t, "/srv/commands/main.py", `import served

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})
`)
	m.WriteFile(t, "/srv/commands/start.py", "#!/usr/bin/env python3\nimport served\nserved.serve()\n")
	m.WriteFile(t, "/srv/commands/start", "#!/bin/sh\nexec serve-served\n")
	m.MustRun(t, "chmod", "755", "/srv/commands/start", "/srv/commands/start.py")
	for _, command := range []string{"serve-served", "./start.py", "./start", "sh, -c, exec serve-served", "uvicorn, 'main:app', --port, $PORT"} {
		m.WriteFile(t, "/srv/commands/jcloud.yml", "command: ["+command+"]\nruntime: port\nautoscale: {min: 0, max: 1}\n")
		m.MustRunIn(t, "/srv/commands", "fnctl", "deploy")
		eventually(t, 5*time.Second, command+" serves", func() bool { return m.mustGet(t, "http://commands.localhost:8080/").body == "served" })
		m.MustRun(t, "fnctl", "env", "commands", "set", "A="+strings.Fields(command)[0])
		if a := m.mustGet(t, "http://commands.localhost:8080/"); a.body != "served" {
			t.Errorf("%s, with another variable: got %q", command, a.body)
		}
	}
	m.MustRun(t, "fnctl", "gc")
	if kept := strings.Fields(m.MustRun(t, "ls", "-A", "/var/lib/fnctl/functions/commands/venvs")); len(kept) != 1 {
		t.Errorf("there are the environments %q", kept)
	}
	m.WriteFile(t, "/srv/commands/jcloud.yml", "command: [serve-nobody]\nruntime: port\n")
	out := m.mustFailIn(t, "/srv/commands", "fnctl", "deploy")
	if want := "serve-nobody not found: neither the machine has it, nor a package in requirements.txt"; !strings.Contains(out.Stderr, want) {
		t.Errorf("no %q in %s", want, out.Stderr)
	}
	m.MustRun(t, "fnctl", "remove", "commands", "--purge")
}

// A build that is killed is made anew by the next deploy, and leaves nothing that runs.
func testVenvKilled(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/venv/more/one.txt", "greeting==2.0\n")
	out, err := m.Run(t.Context(), "sh", "-c", `cd /srv/venv; fnctl deploy & pid=$!
		until systemctl is-active --quiet 'fnctl-build-venv.*'; do kill -0 $pid || exit 1; sleep 0.02; done; kill -9 $pid; wait $pid`)
	if out.Code != 137 {
		t.Fatalf("it was not killed during the build: %d, %v", out.Code, err)
	}
	m.MustRunIn(t, "/srv/venv", "fnctl", "deploy")
	if left := m.MustRun(t, "sh", "-c", "ls -A "+venvDir+" | grep '^\\.' || true; systemctl list-units --all --plain --no-legend 'fnctl-build-*'"); left != "" {
		t.Errorf("the build that was killed leaves %q", left)
	}
}

// What pip runs of a package has no privilege: it is nobody, and can write nowhere but to its environment.
func testVenvBuildIsHeld(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/evil/setup.py", `import os, pathlib, setuptools
said = [f"uid {os.getuid() and 'not root'}"]
for path in ["/etc/evil", "/var/lib/fnctl/evil", "/srv/wheels/evil", "/usr/bin/evil"]:
    try:
        pathlib.Path(path).write_text("evil")
        said.append("wrote " + path)
    except OSError:
        pass
for path in ["/var/lib/fnctl/functions/venv/revisions/00001/env", "/etc/shadow"]:
    try:
        pathlib.Path(path).read_text()
        said.append("read " + path)
    except OSError:
        pass
raise SystemExit("setup says: " + ", ".join(said))
`)
	m.MustRun(t, "tar", "-C", "/srv", "-czf", "/srv/wheels/evil-1.0.tar.gz", "--transform", "s,^evil,evil-1.0,", "evil")
	m.WriteFile(t, "/srv/held/main.py", venvMain)
	m.WriteFile(t, "/srv/held/requirements.txt", "evil\n")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/held", "PIP_NO_BUILD_ISOLATION=0", "fnctl", "deploy", "main:app", "-v")
	if !strings.Contains(out.Stderr, "setup says: uid not root\n") {
		t.Errorf("got:\n%s", out.Stderr)
	}
	m.MustRun(t, "test", "!", "-e", "/var/lib/fnctl/functions/held")
	m.MustRun(t, "rm", "/srv/wheels/evil-1.0.tar.gz")
}

// A build that has nearly filled the disk is stopped, while it waits for the rest.
func testVenvBuildFillsDisk(t *testing.T, m *testMachine) {
	const disk = "/var/lib/fnctl/functions"
	m.MustRun(t, "mount", "-t", "tmpfs", "-o", "size=200M,mode=755", "tmpfs", disk)
	defer m.MustRun(t, "umount", "-l", disk)
	m.WriteFile(t, "/srv/greedy/setup.py", `import os, sys, time
with open(os.path.join(sys.prefix, "fill"), "wb", buffering=0) as f:
    while (disk := os.statvfs(sys.prefix)).f_bavail * disk.f_bsize > 8 << 20:
        f.write(bytes(1 << 20))
time.sleep(3600)
`)
	m.MustRun(t, "tar", "-C", "/srv", "-czf", "/srv/wheels/greedy-1.0.tar.gz", "--transform", "s,^greedy,greedy-1.0,", "greedy")
	m.WriteFile(t, "/srv/held/requirements.txt", "greedy\n")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/held", "PIP_NO_BUILD_ISOLATION=0", "fnctl", "deploy", "main:app")
	if !strings.Contains(out.Stderr, "the disk is nearly full: "+disk) || !strings.Contains(out.Stderr, "fnctl gc") {
		t.Errorf("got:\n%s", out.Stderr)
	}
	if left := m.MustRun(t, "sh", "-c", "ls -A "+disk+"; systemctl list-units --all --plain --no-legend 'fnctl-build-*.service'"); left != "" {
		t.Errorf("it leaves %q", left)
	}
}
