package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// serverPackages are what has the servers on Debian; granian is not there.
var serverPackages = map[platform.Runtime]string{
	platform.RuntimeUvicorn:   "uvicorn (python3-uvicorn from Debian 13 on)",
	platform.RuntimeHypercorn: "python3-hypercorn",
	platform.RuntimeGunicorn:  "gunicorn",
}

// isThere fails if Python would not find a module. To import a server takes ten times as long, in each deploy; one that is there
// and broken says so when the app starts.
const isThere = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"

// CheckServer checks that the interpreter of an app has its server.
func CheckServer(ctx context.Context, server platform.Runtime, v Venv) error {
	if !server.IsServer() || v.has(string(server)) {
		return nil
	}
	missing := fmt.Errorf("%s not found: %s cannot import it", server, v.Interpreter())
	debian := serverPackages[server]
	switch {
	case v.dir != "" && !v.systemPackages:
		return platform.WithHint(missing, "write %s into %s, or set system_packages: true", server, RequirementsFile)
	case debian == "":
		return platform.WithHint(missing, "write %s into the app's %s", server, RequirementsFile)
	}
	_, err := RunTool(ctx, Python, "-I", "-c", isThere, string(server))
	if err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return platform.WithHint(missing, "install it for all apps: apt-get install %s; or write it into the app's %s", debian, RequirementsFile)
}

// RunTool runs a program that is not the app, and returns what it prints.
func RunTool(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// Without the caller's Python settings, which the instance won't have either.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PYTHON") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Dir = "/"
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}
