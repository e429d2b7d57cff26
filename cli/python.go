package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// prepareRuntime makes what the app needs besides its own files: its packages, and compiled modules, so that no cold start
// has to compile them. It says what the runtime is, and why.
func (d *deployment) prepareRuntime(ctx context.Context) (string, error) {
	if !d.request.app.isPython() {
		return d.described(""), nil
	}
	if !exists(python) {
		return "", platform.WithHint(fmt.Errorf("%s not found", python), "install Python: apt-get install python3")
	}
	if err := d.takeRequirements(); err != nil {
		return "", err
	}
	v := d.request.venv()
	packages := ""
	switch {
	case v.dir == "":
	case v.isBuilt():
		packages = requirementsFile + " is installed already"
	default:
		b := venvBuilder{launcher: d.launcher, venv: v, verbose: d.verbose}
		if err := b.build(ctx); err != nil {
			return "", err
		}
		packages = "installed " + requirementsFile
	}
	if err := checkServer(ctx, d.revision.Runtime, v); err != nil {
		return "", err
	}
	// A module that does not compile is no error here: the app may never import it.
	if out, err := runTool(ctx, python, "-I", "-m", "compileall", "-q", d.paths.Snapshot(d.revision.ID)); err != nil && d.verbose {
		d.progress.note("%s", out)
	}
	// What the tools have written is not on the disk yet.
	return d.described(packages), platform.SyncFileSystem(d.paths.Revision(d.revision.ID))
}

// described says what the runtime is and where its packages come from.
func (d *deployment) described(packages string) string {
	said := d.request.app.found
	if said == "" {
		said = "the runtime is " + string(d.revision.Runtime)
	}
	if packages != "" {
		said += "; " + packages
	}
	return said
}

// takeRequirements reads the requirements that were copied: they may have changed since they were first read.
func (d *deployment) takeRequirements() error {
	required, err := readRequirements(d.paths.Snapshot(d.revision.ID))
	if err != nil {
		return err
	}
	d.request.app.requirements = required
	command := d.request.app.command(d.request.venv().interpreter())
	if slices.Equal(command, d.revision.Command) {
		return nil
	}
	d.revision.Command = command
	return d.store.PutRevision(d.paths.Revision(d.revision.ID), d.revision)
}

// serverPackages are what has the servers on Debian; granian is not there.
var serverPackages = map[platform.Runtime]string{
	platform.RuntimeUvicorn:   "uvicorn (python3-uvicorn from Debian 13 on)",
	platform.RuntimeHypercorn: "python3-hypercorn",
	platform.RuntimeGunicorn:  "gunicorn",
}

// checkServer checks that the interpreter of an app has its server.
func checkServer(ctx context.Context, server platform.Runtime, v venv) error {
	if !server.IsServer() || v.has(string(server)) {
		return nil
	}
	missing := fmt.Errorf("%s not found: %s cannot import it", server, v.interpreter())
	debian := serverPackages[server]
	switch {
	case v.dir != "" && !v.systemPackages:
		return platform.WithHint(missing, "write %s into %s, or set system_packages: true", server, requirementsFile)
	case debian == "":
		return platform.WithHint(missing, "write %s into the app's %s", server, requirementsFile)
	}
	_, err := runTool(ctx, python, "-I", "-c", "import "+string(server))
	if err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return platform.WithHint(missing, "install it for all apps: apt-get install %s; or write it into the app's %s", debian, requirementsFile)
}

// runTool runs a program that is not the app, and returns what it prints.
func runTool(ctx context.Context, name string, args ...string) (string, error) {
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
