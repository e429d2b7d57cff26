package build

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// webSocketRoute is how FastAPI, Starlette and Quart write a route for WebSockets.
var webSocketRoute = regexp.MustCompile(`(?m)^\s*@\w+(\.\w+)*\.websocket(_route)?\(|\bWebSocketRoute\(|\.add_(api_)?websocket_route\(`)

// maxSources bounds how many modules of an app are looked at.
const maxSources = 500

// CheckWebSockets returns an error if a module of an app has a route for WebSockets, and its server has no library for them: uvicorn
// brings none, and answers 404. app is the directory of the app's files.
func CheckWebSockets(ctx context.Context, server platform.Runtime, v Venv, app string) error {
	if server != platform.RuntimeUvicorn || v.has("websockets") || v.has("wsproto") {
		return nil
	}
	file := findSource(app, webSocketRoute)
	if file == "" {
		return nil
	}
	hint := fmt.Sprintf("write websockets into %s", RequirementsFile)
	if v.dir == "" || v.systemPackages {
		for _, library := range []string{"websockets", "wsproto"} {
			if _, err := RunTool(ctx, Python, "-I", "-c", isThere, library); err == nil || ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		hint += ", or install it for all apps: apt-get install python3-websockets"
	}
	return platform.WithHint(fmt.Errorf("%s has a route for WebSockets, and uvicorn has no library for them: it refuses them", file), "%s", hint)
}

// findSource returns the first of an app's Python files that matches.
func findSource(app string, pattern *regexp.Regexp) (found string) {
	root, err := os.OpenRoot(app)
	if err != nil {
		return ""
	}
	defer root.Close()
	seen := 0
	_ = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error { // what cannot be read has none
		switch {
		case err != nil:
			return nil //nolint:nilerr // the rest may have some
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"node_modules", "site-packages"}, entry.Name())):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".py":
			return nil
		}
		if seen++; seen > maxSources {
			return fs.SkipAll
		}
		if text, err := platform.ReadBeneath(root, name, startLimit); err == nil && pattern.Match(text) {
			found = name
			return fs.SkipAll
		}
		return nil
	})
	return found
}
