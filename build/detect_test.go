package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// appFiles writes an app, as pairs of a file's name and its text.
func appFiles(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDetectServer(t *testing.T) {
	const fastapi, flask = "from fastapi import FastAPI\napp = FastAPI()\n", "import flask\napp = flask.Flask(__name__)\n"
	for name, test := range map[string]struct {
		app, source, requirements string
		want                      platform.Runtime
		why                       string
	}{
		"nothing":                {"main:app", "app = make()\n", "", platform.RuntimeUvicorn, "took it for ASGI"},
		"fastapi":                {"main:app", fastapi, "", platform.RuntimeUvicorn, "detected ASGI: main.py imports fastapi; uvicorn runs it"},
		"fastapi, hypercorn":     {"main:app", fastapi, "hypercorn[h3]>=0.14 # fast\n", platform.RuntimeHypercorn, "hypercorn runs it"},
		"fastapi, granian":       {"main:app", fastapi, "Granian==1.0\n", platform.RuntimeGranian, "granian runs it"},
		"both servers":           {"main:app", fastapi, "uvicorn\nhypercorn\n", platform.RuntimeUvicorn, "uvicorn runs it"},
		"fastapi under gunicorn": {"main:app", fastapi, "gunicorn\nuvicorn\n", platform.RuntimeUvicorn, "imports fastapi"},
		"flask":                  {"main:app", flask, "", platform.RuntimeGunicorn, "detected WSGI: main.py imports flask; gunicorn runs it"},
		"flask in ASGI":          {"main:app", flask + "from asgiref.wsgi import WsgiToAsgi\n", "flask\n", platform.RuntimeUvicorn, "imports asgiref"},
		"flask required":         {"main:app", "from site_ import app\n", "Flask ~= 3.0\n", platform.RuntimeGunicorn, "requirements.txt names flask"},
		"flask, ASGI server":     {"main:app", "from site_ import app\n", "flask\nuvicorn\n", platform.RuntimeUvicorn, "requirements.txt names uvicorn"},
		"gunicorn required":      {"main:app", "from site_ import app\n", "gunicorn\n", platform.RuntimeGunicorn, "requirements.txt names gunicorn"},
		"django":                 {"site.wsgi:application", "", "Django\n", platform.RuntimeGunicorn, "the module is named wsgi"},
		"django in ASGI":         {"site.asgi:application", "", "Django\n", platform.RuntimeUvicorn, "the module is named asgi"},
		"django in a module":     {"main:app", "from django.core.wsgi import get_wsgi_application\n", "uvicorn\n", platform.RuntimeGunicorn, "get_wsgi_application"},
		"the same in ASGI":       {"main:app", "from django.core.asgi import get_asgi_application\n", "", platform.RuntimeUvicorn, "get_asgi_application"},
		"plain WSGI":             {"main:app", "def app(environ, start_response): ...\n", "", platform.RuntimeGunicorn, "function of environ"},
		"plain ASGI":             {"main:app", "async def app(scope, receive, send): ...\n", "flask\n", platform.RuntimeUvicorn, "async function"},
		"a word in a text":       {"main:app", "'''\nWe do not import flask\n'''\n", "", platform.RuntimeUvicorn, "took it for ASGI"},
	} {
		module, _, _ := strings.Cut(test.app, ":")
		files := []string{strings.ReplaceAll(module, ".", "/") + ".py", test.source}
		if test.requirements != "" {
			files = append(files, "requirements.txt", test.requirements)
		}
		a, err := Find(test.app, appFiles(t, files...), platform.DefaultConfig())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if a.Runtime != test.want || !strings.Contains(a.Found, test.why) {
			t.Errorf("%s: got %s, %q; want %s, %q", name, a.Runtime, a.Found, test.want, test.why)
		}
	}
}

func TestDetectConnections(t *testing.T) {
	outside := filepath.Join("..", filepath.Base(appFiles(t, "serve", "nc -l $PORT\n")), "serve")
	for name, test := range map[string]struct {
		command []string
		script  string
		want    platform.Runtime
	}{
		"binary":            {[]string{"./serve"}, "\x7fELF\x00PORT", platform.RuntimeSocket},
		"an argument":       {[]string{"./serve", "--port=$PORT"}, "\x7fELF\x00", platform.RuntimePort},
		"script, PORT":      {[]string{"sh", "serve"}, "nc -l $PORT\n", platform.RuntimePort},
		"script, socket":    {[]string{"sh", "serve"}, "x --fd 3 || y $PORT\n", platform.RuntimeSocket},
		"script, fd":        {[]string{"sh", "serve"}, "server.listen({ fd: 3 }) // not PORT\n", platform.RuntimeSocket},
		"script, systemd":   {[]string{"sh", "serve"}, "x $LISTEN_FDS || y $PORT\n", platform.RuntimeSocket},
		"own script":        {[]string{"./serve"}, "#!/bin/sh\nexec nc -l ${PORT}\n", platform.RuntimePort},
		"another port":      {[]string{"sh", "serve"}, "nc -l $MYPORT $PORTS\n", platform.RuntimeSocket},
		"outside is unread": {[]string{"sh", outside}, "", platform.RuntimeSocket},
	} {
		config := platform.DefaultConfig()
		config.Command = test.command
		a, err := Find("", appFiles(t, "serve", test.script), config)
		if err != nil || a.Runtime != test.want {
			t.Errorf("%s: got %s, %v, want %s (%s)", name, a.Runtime, err, test.want, a.Found)
		}
		config.Runtime = platform.RuntimeSocket
		if a, err := Find("", appFiles(t, "serve", test.script), config); err != nil || a.Runtime != platform.RuntimeSocket {
			t.Errorf("%s: runtime: socket is not heard: %s, %v", name, a.Runtime, err)
		}
	}
}

func TestRequirements(t *testing.T) {
	r, err := ReadRequirements(appFiles(t, "requirements.txt", "-r more/a.txt\n--constraint=c.txt\nFoo_Bar[x]>=1; python_version < '3' # ./no\n"+
		"baz @ https://example.com/baz.whl\n--extra-index-url https://example.com/x\n", "more/a.txt", "-rb.txt\n", "more/b.txt", "-r a.txt\nqux==1 \\\n    --hash=sha256:00\n", "c.txt", "held==1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.files) != 4 || r.names("foo-bar") == "" || r.names("baz") == "" || r.names("qux") == "" || r.names("held") != "" {
		t.Errorf("got %+v", r)
	}
	for _, line := range []string{"-e .", "--editable=./x", "./libs/x", "../x", "x.whl", "/srv/x.whl", "x @ ./x", "-r ../outside.txt", "-r missing.txt", "-r /etc/passwd"} {
		if _, err := ReadRequirements(appFiles(t, "requirements.txt", line+"\n")); err == nil {
			t.Errorf("%q is not refused", line)
		} else if !strings.Contains(err.Error(), "requirements.txt") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// Two environments have the same name only if all is the same that they are made of.
func TestVenvKey(t *testing.T) {
	of := func(systemPackages bool, files ...string) string {
		r, err := ReadRequirements(appFiles(t, files...))
		if err != nil {
			t.Fatal(err)
		}
		return Venv{Requirements: r, systemPackages: systemPackages}.Key()
	}
	same := of(true, "requirements.txt", "-r a\n", "a", "x\n")
	if other := of(true, "requirements.txt", "-r a\n", "a", "x\n", "main.py", "1"); other != same {
		t.Errorf("the same requirements are %s and %s", same, other)
	}
	for name, other := range map[string]string{
		"an included file": of(true, "requirements.txt", "-r a\n", "a", "y\n"),
		"system packages":  of(false, "requirements.txt", "-r a\n", "a", "x\n"),
		"the file":         of(true, "requirements.txt", "-r a\n#\n", "a", "x\n"),
	} {
		if other == same {
			t.Errorf("%s is another, and the name is the same", name)
		}
	}
}

// A function that makes the app is written with brackets, and told so without; what is called with arguments is an app.
func TestFactories(t *testing.T) {
	const flask = "from flask import Flask\ndef create_app(config=None, *,\n    debug=False):\n    return Flask(__name__)\n"
	for name, test := range map[string]struct{ app, source, want string }{
		"flask":           {"main:create_app()", flask, "/usr/bin/python3 -m gunicorn main:create_app() --config"},
		"fastapi":         {"main:create_app()", "import fastapi\ndef create_app(): ...\n", "/usr/bin/python3 -m uvicorn --factory main:create_app --fd 3"},
		"no brackets":     {"main:create_app", flask, `main:create_app is a function that makes the app, and not the app (write it with brackets: "main:create_app()")`},
		"WSGI":            {"main:app", "def app(environ, start_response): ...\n", "/usr/bin/python3 -m gunicorn main:app --config"},
		"ASGI":            {"main:app", "async def app(scope, receive, send): ...\n", "/usr/bin/python3 -m uvicorn main:app --fd 3"},
		"ASGI, two calls": {"main:app", "def app(scope): ...\n", "/usr/bin/python3 -m uvicorn main:app --fd 3"},
		"another":         {"main:app", "@app\ndef apps(): ...\napp = make()\n", "/usr/bin/python3 -m uvicorn main:app --fd 3"},
		"decorated":       {"main:app", "@as_app\ndef app(): ...\n", "/usr/bin/python3 -m uvicorn main:app --fd 3"},
		"decorated, long": {"main:app", "@as_app(\n    1,\n)\ndef app(): ...\n", "/usr/bin/python3 -m uvicorn main:app --fd 3"},
		"bound anew":      {"main:app", "def app(): ...\n\napp = wrap(app)\n", "/usr/bin/python3 -m uvicorn main:app --fd 3"},
		"any arguments":   {"main:app", "def app(*args): ...\n", "/usr/bin/python3 -m uvicorn main:app --fd 3"},
		"a configuration": {"main:app", "def app(*, debug=False, **config): ...\n", "main:app is a function that makes the app"},
		"arguments":       {"main:create_app(1)", flask, `APP "main:create_app(1)" is not module:attr`},
	} {
		a, err := Find(test.app, appFiles(t, "main.py", test.source), platform.DefaultConfig())
		var got string
		if err == nil {
			got = strings.Join(a.Command(Venv{}), " ")
		} else {
			got = err.Error()
			if hint := platform.HintOf(err); hint != "" {
				got += " (" + hint + ")"
			}
		}
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

// gunicorn doesn't take workers that slept for ones that hang, also in a revision that is made of an earlier one.
func TestGunicornLeavesSleepers(t *testing.T) {
	dir := appFiles(t, "main.py", "import flask\n")
	for standby, want := range map[int]bool{0: false, 1: true} {
		config := platform.DefaultConfig()
		config.Autoscale.Standby = standby
		found, err := Find("main:app", dir, config)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Deployed(platform.Revision{App: "main:app", Runtime: platform.RuntimeGunicorn, Config: config}, dir)
		if err != nil {
			t.Fatal(err)
		}
		for name, a := range map[string]App{"found": found, "again": again} {
			if command := strings.Join(a.Command(Venv{}), " "); strings.Contains(command, "--timeout 0") != want {
				t.Errorf("standby: %d, %s: %s", standby, name, command)
			}
		}
	}
}

// Modules are found in src, too, unless there is one of the name beside it.
func TestSrcLayout(t *testing.T) {
	const app = "import flask\n"
	for name, c := range map[string]struct {
		files []string
		dir   string
	}{
		"src":     {[]string{"src/shop/main.py", app}, "src"},
		"package": {[]string{"src/shop/main/__init__.py", app}, "src"},
		"flat":    {[]string{"shop/main.py", app, "src/shop/main.py", app}, ""},
	} {
		a, err := Find("shop.main:app", appFiles(t, c.files...), platform.DefaultConfig())
		if err != nil || a.SourceDir != c.dir || a.Runtime != platform.RuntimeGunicorn {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
	_, err := Find("shop.main:app", appFiles(t, "src/other.py", app), platform.DefaultConfig())
	if err == nil || !strings.Contains(err.Error(), `module "shop.main" not found`) {
		t.Errorf("got %v", err)
	}
}

// A command runs in the environment of its requirements, which is asked for its program first.
func TestProgramOfEnvironment(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	config := func(command ...string) platform.Config {
		c := platform.DefaultConfig()
		c.Command = command
		return c
	}
	find := func(requirements string, command ...string) (App, Venv, error) {
		files := []string{"start", "#!/bin/sh\n"}
		if requirements != "" {
			files = append(files, "requirements.txt", requirements)
		}
		a, err := Find("", appFiles(t, files...), config(command...))
		return a, a.Venv(paths, "shop", false), err
	}
	if _, _, err := find("", "serve-shop", "$PORT"); err == nil {
		t.Error("a program that nobody has is found without requirements")
	}
	a, v, err := find("shop\n", "serve-shop", "$PORT")
	if err != nil || a.Runtime != platform.RuntimePort {
		t.Fatalf("got %+v, %v", a, err)
	}
	script := filepath.Join(paths.Venv("shop", v.Key()), "bin/serve-shop")
	if got := a.Command(v); !slices.Equal(got, []string{script, "$PORT"}) {
		t.Errorf("the command is %q", got)
	}
	if err := a.CheckProgram(v); err == nil || !strings.Contains(err.Error(), "serve-shop not found") {
		t.Errorf("a program that no package has: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"serve-shop", "sh"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(script), name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.CheckProgram(v); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		requirements  string
		command, want []string
	}{
		"of the environment, though the machine has it": {"shop\n", []string{"sh", "-c", "x"}, []string{filepath.Join(filepath.Dir(script), "sh"), "-c", "x"}},
		"of the machine":         {"shop\n", []string{"env"}, []string{"/usr/bin/env"}},
		"by its path":            {"shop\n", []string{"/bin/sh"}, []string{"/bin/sh"}},
		"without an environment": {"", []string{"sh"}, []string{"/usr/bin/sh"}},
		"of the app":             {"shop\n", []string{"./start"}, []string{"start"}},
	} {
		a, v, err := find(c.requirements, c.command...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := a.Command(v)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		// What was deployed is found again, for a new revision with other variables.
		rev := platform.Revision{Runtime: a.Runtime, Command: got, Venv: v.Key()}
		again, err := Deployed(rev, appFiles(t, "requirements.txt", "shop\n"))
		if err != nil || v.Key() != "" && !slices.Equal(again.Command(again.Venv(paths, "shop", false)), c.want) {
			t.Errorf("%s: again it is %q, %v", name, again.Command(v), err)
		}
	}
}
