//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// askedPackage makes applications of both interfaces, of which main.py shows nothing. What it finds where it is imported decides
// which WSGI application there is.
const askedPackage = `import os, pathlib

class WSGI:
    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [("wsgi " + os.environ["GREETING"]).encode()]

class ASGI:
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"asgi"})

def in_its_place():
    assert os.environ["GREETING"] == "hello" and os.environ["TOKEN"] == "s3cret"
    assert pathlib.Path(os.environ["CREDENTIALS_DIRECTORY"], "TOKEN").read_text() == "s3cret"
    assert os.getuid() != 0 and os.path.samefile(".", os.environ["HOME"])
    pathlib.Path("written").write_text("here")
    pathlib.Path(os.environ["JCLOUD_WORKSPACE"], "written").write_text("here")
    for path in ["/etc/shadow", "/var/lib/fnctl/functions/other", "/var/lib/fnctl/functions/asked/revisions"]:
        try:
            assert not pathlib.Path(path).exists() or not pathlib.Path(path).read_text()
        except PermissionError:
            pass
    for path in ["/etc/evil", "/usr/bin/evil", "/var/lib/fnctl/evil"]:
        try:
            pathlib.Path(path).write_text("evil")
        except OSError:
            continue
        raise AssertionError(path)
    print("asgi")
    return WSGI()
`

// An app that comes from elsewhere is asked what it is, where its instances will be, and the answer is kept.
func testAsked(t *testing.T, m *testMachine) {
	deploy := func(main, config string, args ...string) string {
		m.MustRun(t, "rm", "-rf", "/srv/asked")
		m.WriteFile(t, "/srv/asked/vendored/made.py", askedPackage)
		m.WriteFile(t, "/srv/asked/vendored/__init__.py", "from .made import *\n")
		m.WriteFile(t, "/srv/asked/main.py", main)
		m.WriteFile(t, "/srv/asked/jcloud.yml", config+"\n"+quick)
		return m.MustRunIn(t, "/srv/asked", "sh", append([]string{"-c", `fnctl deploy "$@" 2>&1`, "sh"}, args...)...)
	}
	m.WriteFile(t, "/srv/secrets", "TOKEN=s3cret\n")
	m.WriteFile(t, "/home/made/model", "opened")
	const url = "http://asked.localhost:8080/"
	expect := func(said, detected, answer string) {
		t.Helper()
		if !strings.Contains(said, detected) {
			t.Errorf("no %q in:\n%s", detected, said)
		}
		if a := m.mustGet(t, url); a.body != answer {
			t.Errorf("got %q, want %q", a.body, answer)
		}
		if left := m.MustRun(t, "sh", "-c", "systemctl list-units --all --plain --no-legend 'fnctl-build-*.service'"); left != "" {
			t.Errorf("it leaves %q", left)
		}
	}
	const wsgi = "from vendored import in_its_place\napp = in_its_place()\n"
	const config = "app: main:app\nenv: {GREETING: hello}"
	said := deploy(wsgi, config, "--secret", "/srv/secrets")
	expect(said, "detected WSGI: main:app was imported and asked; gunicorn runs it", "wsgi hello")
	if rev := m.MustRun(t, "cat", "/var/lib/fnctl/functions/asked/revisions/00001/revision.json"); !strings.Contains(rev, `"runtime": "gunicorn"`) {
		t.Errorf("the revision is\n%s", rev)
	}
	if said = deploy(wsgi, config); !strings.Contains(said, "nothing changed: asked-00001") || strings.Contains(said, "ASGI") {
		t.Errorf("the same app once more:\n%s", said)
	}
	if plan := m.MustRunIn(t, "/srv/asked", "sh", "-c", "fnctl deploy --dry-run 2>&1"); !strings.Contains(plan, "main:app is taken for ASGI, as nothing says otherwise: a deploy asks it") {
		t.Errorf("a guess is not called one:\n%s", plan)
	}
	// Variables are of the same app, which is not asked again.
	if said = m.MustRun(t, "sh", "-c", "fnctl env asked set OTHER=x 2>&1"); strings.Contains(said, "detected") {
		t.Errorf("with another variable:\n%s", said)
	}
	expect(deploy("assert open('/home/made/model').read() == 'opened'\nfrom vendored import ASGI\napp = ASGI()\n", config+"\nisolation: strict\nnetwork: none\nexecutable_memory: false\nread_only_paths: [/home/made]"), "detected ASGI: main:app was imported and asked; uvicorn runs it", "asgi")
	expect(deploy("from vendored import WSGI as create\n", "app: main:create()\nenv: {GREETING: made}"), "detected WSGI: main:create() was imported and asked", "wsgi made")
	m.MustRun(t, "fnctl", "remove", "asked", "--purge")
	testUnasked(t, m)
}

// An app of a package is asked in the environment that has the package.
func testAskedPackage(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/packaged/main.py", "from hello import application\n")
	m.WriteFile(t, "/srv/packaged/requirements.txt", "hello\n")
	out, err := m.RunIn(t.Context(), "/srv/packaged", "fnctl", "deploy", "main:application")
	if err != nil {
		t.Fatal(err)
	}
	if want := "detected WSGI: main:application was imported and asked; gunicorn runs it; installed requirements.txt"; !strings.Contains(out.Stderr, want) {
		t.Errorf("no %q in:\n%s", want, out.Stderr)
	}
	if a := m.mustGet(t, "http://packaged.localhost:8080/"); a.body != "hello" {
		t.Errorf("got %q", a.body)
	}
	m.MustRun(t, "fnctl", "remove", "packaged", "--purge")
}

// What cannot be asked is taken for what it was, and its own error is told once.
func testUnasked(t *testing.T, m *testMachine) {
	for name, c := range map[string]struct{ main, want string }{
		"an import": {"import nowhere_to_be_found\napp = nowhere_to_be_found.app\n", "it imports nowhere_to_be_found, which is not installed"},
		"a hang":    {"import time\ntime.sleep(3600)\n", "within 4s"},
	} {
		m.WriteFile(t, "/srv/unasked/main.py", c.main)
		m.WriteFile(t, "/srv/unasked/jcloud.yml", "app: main:app\nhealthcheck: {timeout: 4s}\n")
		began := time.Now()
		out := m.MustFail(t, 1, "env", "--chdir=/srv/unasked", "fnctl", "deploy").Stderr
		if !strings.Contains(out, c.want) || strings.Count(out, "Traceback") > 1 || strings.Contains(out, "runtime: ") {
			t.Errorf("%s: want %q, got:\n%s", name, c.want, out)
		}
		if !strings.Contains(out, "took it for ASGI, as nothing says otherwise; uvicorn runs it") {
			t.Errorf("%s: the guess is not called one:\n%s", name, out)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("%s: told after %v", name, took)
		}
	}
	if left := m.MustRun(t, "sh", "-c", "ls -A /var/cache/private/fnctl | grep asked || true; systemctl list-units --all --plain --no-legend 'fnctl-build-*.service'"); left != "" {
		t.Errorf("it leaves %q", left)
	}
}
