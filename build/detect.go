package build

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/shim"
)

// pythonModule is what is known of the module with the application: it is read, and not run, since root deploys it.
type pythonModule struct {
	name, attr string
	file       string
	source     []byte
}

// The two interfaces of Python applications, by the packages that speak for them.
var (
	asgiFrameworks = []string{"fastapi", "starlette", "quart", "litestar", "blacksheep", "sanic"}
	wsgiFrameworks = []string{"flask", "django", "bottle", "pyramid", "cherrypy"}
	asgiServers    = []string{"uvicorn", "hypercorn", "granian"}
)

// detectServer chooses the server of an application, and says why, or that it is a guess.
func detectServer(module pythonModule, required Requirements) (runtime platform.Runtime, found string, guessed bool) {
	wsgi, why := module.interfaceByCode()
	if why == "" {
		wsgi, why = required.interfaceByPackages()
	}
	kind := "ASGI"
	if wsgi {
		return platform.RuntimeGunicorn, fmt.Sprintf("detected WSGI: %s; gunicorn runs it", why), false
	}
	runtime = platform.RuntimeUvicorn
	for _, server := range []platform.Runtime{platform.RuntimeHypercorn, platform.RuntimeGranian} {
		if required.names("uvicorn") == "" && required.names(string(server)) != "" {
			runtime = server
		}
	}
	if why == "" {
		return runtime, fmt.Sprintf("took it for ASGI, as nothing says otherwise; %s runs it", runtime), true
	}
	return runtime, fmt.Sprintf("detected %s: %s; %s runs it", kind, why, runtime), false
}

// definesFactory reports whether the module defines the attribute as a plain function that needs no argument. Applications are
// called with some: scope, environ.
func (m pythonModule) definesFactory() bool {
	attr := regexp.QuoteMeta(m.attr)
	// One that is decorated, or bound to something else, may be anything.
	found := regexp.MustCompile(`(?m)((?:^[@)].*\n)?)^def\s+` + attr + `\s*\(([^)]*)\)`).FindSubmatch(m.source)
	if found == nil || len(found[1]) > 0 || regexp.MustCompile(`(?m)^`+attr+`\s*[:=]`).Match(m.source) {
		return false
	}
	for _, parameter := range strings.Split(string(found[2]), ",") {
		parameter = strings.TrimSpace(parameter)
		optional := parameter == "" || parameter == "/" || parameter == "*" || strings.HasPrefix(parameter, "**") || strings.Contains(parameter, "=")
		if !optional {
			return false
		}
	}
	return true
}

// interfaceByCode tells the interface by the name of the module, by how the application is defined, and by what the module
// imports. An application of one interface may wrap one of the other: then the names of both are there, and ASGI wins.
func (m pythonModule) interfaceByCode() (wsgi bool, why string) {
	attr := regexp.QuoteMeta(m.attr)
	matches := func(pattern string) bool { return regexp.MustCompile(`(?m)` + pattern).Match(m.source) }
	switch last := m.name[strings.LastIndexByte(m.name, '.')+1:]; {
	case last == "asgi" || last == "wsgi":
		return last == "wsgi", "the module is named " + last
	case matches(`^async\s+def\s+` + attr + `\b`):
		return false, fmt.Sprintf("%s defines %s as an async function", m.file, m.attr)
	case matches(`^def\s+` + attr + `\s*\(\s*environ\b`):
		return true, fmt.Sprintf("%s defines %s as a function of environ", m.file, m.attr)
	case matches(`\bget_asgi_application\b`):
		return false, m.file + " uses get_asgi_application"
	case matches(`\bget_wsgi_application\b`):
		return true, m.file + " uses get_wsgi_application"
	}
	if name := m.imports(append(slices.Clone(asgiFrameworks), "asgiref")); name != "" {
		return false, fmt.Sprintf("%s imports %s", m.file, name)
	}
	if name := m.imports(wsgiFrameworks); name != "" {
		return true, fmt.Sprintf("%s imports %s", m.file, name)
	}
	return false, ""
}

// framework is the package that makes the application, as far as the module tells.
func (m pythonModule) framework() string {
	return m.imports(slices.Concat(asgiFrameworks, wsgiFrameworks))
}

// imports returns the first of some packages that the module imports.
func (m pythonModule) imports(packages []string) string {
	for _, name := range packages {
		if regexp.MustCompile(`(?m)^\s*(from|import)\s+` + name + `\b`).Match(m.source) {
			return name
		}
	}
	return ""
}

// interfaceByPackages tells the interface by the packages that an application needs.
func (r Requirements) interfaceByPackages() (wsgi bool, why string) {
	for _, candidate := range []struct {
		wsgi  bool
		names []string
	}{{false, asgiFrameworks}, {false, asgiServers}, {true, wsgiFrameworks}, {true, []string{"gunicorn"}}} {
		if name := r.names(candidate.names...); name != "" {
			return candidate.wsgi, "requirements.txt names " + name
		}
	}
	return false, ""
}

// connections are the ways in which a program gets its connections, in words.
var connections = map[platform.Runtime]string{
	platform.RuntimeSocket: "the program takes its socket as file descriptor 3",
	platform.RuntimePort:   "the program listens on $PORT",
}

var (
	readsPort   = regexp.MustCompile(`\bPORT\b`)
	takesSocket = regexp.MustCompile(`(?i)LISTEN_FDS|LISTEN_PID|listen_fds|\bfd\W{1,4}3\b|fileno\W{1,4}3\b`)
)

// detectConnections finds out how a program gets its connections: by $PORT if it is told so, or if its script asks for it.
func detectConnections(dir string, scripts, args []string) (platform.Runtime, string) {
	describe := func(runtime platform.Runtime, why string) (platform.Runtime, string) {
		return runtime, fmt.Sprintf("detected %s: %s; %s", runtime, why, connections[runtime])
	}
	for _, arg := range args {
		if shim.ExpandPort(arg, 0) != arg {
			return describe(platform.RuntimePort, fmt.Sprintf("the command has %s", arg))
		}
	}
	for _, script := range scripts {
		if !filepath.IsLocal(script) {
			continue
		}
		text, err := readStart(dir, script)
		switch {
		case err != nil || bytes.IndexByte(text, 0) >= 0: // no script
		case takesSocket.Match(text):
			return describe(platform.RuntimeSocket, script+" speaks of it")
		case readsPort.Match(text):
			return describe(platform.RuntimePort, script+" reads PORT")
		}
	}
	return platform.RuntimeSocket, "took it for granted that " + connections[platform.RuntimeSocket]
}

// startLimit is how much of a file is looked at: what an app is stands at its beginning.
const startLimit = 256 << 10

// readStart reads the beginning of one of the app's files.
func readStart(dir, file string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	text, err := platform.ReadBeneath(root, file, startLimit)
	return bytes.TrimPrefix(text, utf8Mark), err
}
