package deploy

import (
	"testing"

	"github.com/fnctl/fnctl/platform"
)

const asgiInWSGI = "it is an ASGI application, and its server wants WSGI"

func TestKnownErrors(t *testing.T) {
	for line, want := range map[string]string{
		`ERROR:    Error loading ASGI app. Attribute "appp" not found in module "main".`:               "the module main has no attribute appp",
		`Failed to find attribute 'appp' in 'main'.`:                                                   "the module main has no attribute appp",
		`hypercorn.utils.NoAppError: Cannot load application from 'main:appp', application not found.`: "the module main has no attribute appp",
		`ModuleNotFoundError: No module named 'yaml.x'`:                                                "it imports yaml.x, which is not installed",
		`TypeError: Flask.__call__() missing 1 required positional argument: 'start_response'`:         "it is a WSGI application, and its server wants ASGI",
		`TypeError: app() missing 1 required positional argument: 'send'`:                              asgiInWSGI,
		`fnctl: error: it never listened on port 4711 ($PORT): 3s were not enough`:                     "it never listened on port 4711 ($PORT)",
		`TypeError: f() missing 1 required positional argument: 'sender'`:                              "",
		`sqlite3.OperationalError: database is locked`:                                                 "it wants a lock that another process has (database is locked)",
		`BlockingIOError: [Errno 11] Resource temporarily unavailable`:                                 "it wants a lock that another process has (BlockingIOError: [Errno 11] Resource temporarily unavailable)",
		`Nothing is wrong`: "",
	} {
		runtime := platform.RuntimeUvicorn
		if want == asgiInWSGI {
			runtime = platform.RuntimeGunicorn
		}
		if _, got := findKnownError([]string{"first", line, "last"}, runtime); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// No hint names the server that runs the app already, nor another of the same interface.
func TestKnownErrorsOfInterface(t *testing.T) {
	wsgi := []string{`TypeError: app() missing 1 required positional argument: 'start_response'`}
	asgi := []string{`TypeError: app() missing 1 required positional argument: 'send'`}
	for _, c := range []struct {
		runtime platform.Runtime
		lines   []string
		server  platform.Runtime
	}{
		{platform.RuntimeUvicorn, wsgi, platform.RuntimeGunicorn},
		{platform.RuntimeHypercorn, wsgi, platform.RuntimeGunicorn},
		{platform.RuntimeGunicorn, asgi, platform.RuntimeUvicorn},
		{platform.RuntimeUvicorn, asgi, ""},
		{platform.RuntimeGranian, asgi, ""},
		{platform.RuntimeGunicorn, wsgi, ""},
		{platform.RuntimeSocket, asgi, ""},
	} {
		if found, _ := findKnownError(c.lines, c.runtime); found.server != c.server {
			t.Errorf("%s, %s: advises %q, want %q", c.runtime, c.lines, found.server, c.server)
		}
	}
}
