package build

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// askedApps are applications of all kinds, and what is none.
const askedApps = `import functools, threading, time
print("ASGI")

async def asgi(scope, receive, send): ...
def asgi_wrapped(scope, receive, send): return asgi(scope, receive, send)
def asgi_other_names(a, b, c): return asgi(a, b, c)
def asgi2(scope): ...
asgi_partial = functools.partial(asgi)
def wsgi(environ, start_response): ...
def wsgi_other_names(env, start): ...
def wsgi_more(environ, start_response=None): ...
wsgi_partial = functools.partial(wsgi_more, start_response=None)

class ASGI:
    async def __call__(self, scope, receive, send): ...
    def method(self, scope, receive, send): ...
class ASGI2:
    def __init__(self, scope): ...
class WSGI:
    def __call__(self, environ, start_response): ...
    def open(self, environ, start_response, more=None): ...
class WSGIClass:
    def __init__(self, environ, start_response): ...
class Anything:
    def __call__(self, *args, **kwargs): ...

@functools.wraps(asgi)
def asgi_decorated(*args): return asgi(*args)

def make(): return WSGI()
def fail(): raise RuntimeError("no\nway")
def leave(): raise SystemExit(3)
def work():
    threading.Thread(target=time.sleep, args=(600,)).start()
    return ASGI()

made, made_async, anything, number = WSGI(), ASGI(), Anything(), 1
`

func TestAskScript(t *testing.T) {
	dir := appFiles(t, "apps.py", askedApps, "asked/__init__.py", "from apps import *\n", "broken.py", "import nowhere_to_be_found\n")
	for app, want := range map[string]string{
		"apps:asgi": "ASGI", "apps:asgi_wrapped": "ASGI", "apps:asgi_other_names": "ASGI", "apps:asgi2": "ASGI", "apps:asgi_partial": "ASGI",
		"apps:asgi_decorated": "ASGI", "apps:made_async": "ASGI", "apps:made_async.method": "ASGI", "apps:ASGI2": "ASGI", "apps:work()": "ASGI",
		"apps:wsgi": "WSGI", "apps:wsgi_other_names": "WSGI", "apps:wsgi_more": "WSGI", "apps:wsgi_partial": "WSGI", "apps:made": "WSGI",
		"apps:made.open": "WSGI", "apps:WSGIClass": "WSGI", "apps:make()": "WSGI", "asked:made": "WSGI",
		"apps:anything":     "it takes (*args, **kwargs)",
		"apps:number":       "it is a int, which cannot be called",
		"apps:make":         "it takes ()",
		"apps:fail()":       "RuntimeError: no way",
		"apps:leave()":      "SystemExit: 3",
		"apps:missing":      "AttributeError: module 'apps' has no attribute 'missing'",
		"broken:app":        "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
		"nowhere_at_all:ap": "ModuleNotFoundError: No module named 'nowhere_at_all'",
	} {
		cmd := exec.CommandContext(t.Context(), Python, "-c", askScript, app)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != want+"\n" {
			t.Errorf("%s: got %q, %v; want %q", app, out, err, want)
		}
	}
}

func TestAnswered(t *testing.T) {
	guess := func() App {
		a, err := Find("main:app", appFiles(t, "main.py", "from elsewhere import app\n"), platform.DefaultConfig())
		if err != nil || !a.IsGuess() {
			t.Fatalf("got %+v, %v", a, err)
		}
		return a
	}
	for answer, want := range map[string]struct {
		runtime platform.Runtime
		found   string
		guess   bool
	}{
		"WSGI":        {platform.RuntimeGunicorn, "detected WSGI: main:app was imported and asked; gunicorn runs it", false},
		"ASGI":        {platform.RuntimeUvicorn, "detected ASGI: main:app was imported and asked; uvicorn runs it", false},
		"it takes ()": {platform.RuntimeUvicorn, "took it for ASGI, as nothing says otherwise; uvicorn runs it", true},
		"":            {platform.RuntimeUvicorn, "took it for ASGI, as nothing says otherwise; uvicorn runs it", true},
	} {
		a, err := guess().answered(answer)
		if (err != nil) != want.guess || a.Runtime != want.runtime || a.Found != want.found || a.IsGuess() != want.guess {
			t.Errorf("%q: got %+v, %v", answer, a, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "ask main:app what it is: ") {
			t.Errorf("%q: got %v", answer, err)
		}
	}
}

// What the files or the configuration tell is no guess, and stays as it is.
func TestAsIn(t *testing.T) {
	rev := platform.Revision{App: "main:app", Runtime: platform.RuntimeGunicorn}
	config := platform.DefaultConfig()
	config.Runtime = platform.RuntimeHypercorn
	for name, c := range map[string]struct {
		source string
		config platform.Config
		rev    platform.Revision
		want   platform.Runtime
	}{
		"a guess":     {"from elsewhere import app\n", platform.DefaultConfig(), rev, platform.RuntimeGunicorn},
		"another app": {"from elsewhere import app\n", platform.DefaultConfig(), platform.Revision{App: "main:other", Runtime: platform.RuntimeGunicorn}, platform.RuntimeUvicorn},
		"a program":   {"from elsewhere import app\n", platform.DefaultConfig(), platform.Revision{App: "main:app", Runtime: platform.RuntimePort}, platform.RuntimeUvicorn},
		"detected":    {"import fastapi\n", platform.DefaultConfig(), rev, platform.RuntimeUvicorn},
		"configured":  {"from elsewhere import app\n", config, rev, platform.RuntimeHypercorn},
	} {
		a, err := Find("main:app", appFiles(t, "main.py", c.source), c.config)
		if got, _ := a.AsIn(c.rev); err != nil || got.Runtime != c.want {
			t.Errorf("%s: got %s, %v, want %s", name, got.Runtime, err, c.want)
		}
	}
}
