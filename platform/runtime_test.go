package platform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// Revisions that an earlier version has deployed are read as what they are.
func TestOldRuntimes(t *testing.T) {
	for old, want := range map[string]platform.Runtime{
		"asgi": platform.RuntimeUvicorn, "exec": platform.RuntimeSocket, "gunicorn": platform.RuntimeGunicorn,
	} {
		var rev platform.Revision
		data := `{"name":"ping-00001","app":"main:app","runtime":"` + old + `","config":{"timeout":"120s"}}`
		if err := json.Unmarshal([]byte(data), &rev); err != nil {
			t.Fatal(err)
		}
		if rev.Runtime != want {
			t.Errorf("%s: got %s, want %s", old, rev.Runtime, want)
		}
		if !rev.Config.SystemPackages {
			t.Errorf("%s: it had the packages of the system", old)
		}
		again, err := json.Marshal(rev)
		if err != nil || !strings.Contains(string(again), `"runtime":"`+string(want)+`"`) {
			t.Errorf("%s: written as %s, %v", old, again, err)
		}
	}
}

func TestRuntimeKey(t *testing.T) {
	for file, want := range map[string]string{
		"app: a:b\nruntime: gunicorn":                     "",
		"command: [x]\nruntime: port":                     "",
		"runtime: hypercorn\napp: a:b\nprotocol: h2c":     "",
		"command: [x]\nruntime: gunicorn":                 "runtime: gunicorn runs an app, not a command: use socket or port",
		"app: a:b\nruntime: port":                         "runtime: port is for a command, not for an app: use uvicorn, hypercorn, granian or gunicorn",
		"runtime: gunicron":                               "did you mean gunicorn?",
		"runtime: gunicorn\napp: a:b\nprotocol: h2c":      "protocol: h2c is not for gunicorn",
		"command: [x]\nruntime: socket\nworkers: 2":       "workers: is for an app",
		"app: a:b\nruntime: uvicorn\nsystem_packages: no": "system_packages: must be true or false",
	} {
		_, err := platform.ParseConfig("jcloud.yml", []byte(file+"\n"))
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", file, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %q", file, err, want)
		}
	}
}
