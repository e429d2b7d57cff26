package deploy

import "testing"

func TestKnownErrors(t *testing.T) {
	for line, want := range map[string]string{
		`ERROR:    Error loading ASGI app. Attribute "appp" not found in module "main".`:               "the module main has no attribute appp",
		`Failed to find attribute 'appp' in 'main'.`:                                                   "the module main has no attribute appp",
		`hypercorn.utils.NoAppError: Cannot load application from 'main:appp', application not found.`: "the module main has no attribute appp",
		`ModuleNotFoundError: No module named 'yaml.x'`:                                                "it imports yaml.x, which is not installed",
		`TypeError: Flask.__call__() missing 1 required positional argument: 'start_response'`:         "it is a WSGI application, and its server wants ASGI",
		`TypeError: app() missing 1 required positional argument: 'send'`:                              "it is an ASGI application, and its server wants WSGI",
		`fnctl: error: it never listened on port 4711 ($PORT): 3s were not enough`:                     "it never listened on port 4711 ($PORT)",
		`TypeError: f() missing 1 required positional argument: 'sender'`:                              "",
		`Nothing is wrong`: "",
	} {
		if _, got := findKnownError([]string{"first", line, "last"}); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
