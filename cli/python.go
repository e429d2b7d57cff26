package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// preparePython installs the app's requirements and compiles its modules, so that no cold start has to.
func (d *deployment) preparePython(ctx context.Context) (string, error) {
	if d.revision.Runtime != platform.RuntimeASGI {
		return "nothing to prepare: " + d.revision.App + " is an executable", nil
	}
	if !exists(python) {
		return "", withHint(fmt.Errorf("%s not found", python), "install Python: apt-get install python3 uvicorn")
	}
	interpreter := python
	done := "found uvicorn"
	if exists(filepath.Join(d.paths.Snapshot(d.revision.ID), "requirements.txt")) {
		var err error
		if interpreter, err = d.installRequirements(ctx); err != nil {
			return "", err
		}
		done = "installed requirements.txt"
	}
	if _, err := runTool(ctx, interpreter, "-c", "import uvicorn"); err != nil {
		return "", withHint(fmt.Errorf("uvicorn not found: %s cannot import it", interpreter),
			"install it for all apps (apt-get install uvicorn, or python3-uvicorn), or write it into the app's requirements.txt")
	}
	// A module that does not compile is no error here: the app may never import it.
	if out, err := runTool(ctx, interpreter, "-m", "compileall", "-q", d.paths.Snapshot(d.revision.ID)); err != nil && d.verbose {
		d.progress.note("%s", out)
	}
	return done, nil
}

// installRequirements makes the revision's virtual environment, on top of the system's packages, and returns its
// interpreter.
func (d *deployment) installRequirements(ctx context.Context) (string, error) {
	venv := d.paths.Venv(d.revision.ID)
	if out, err := runTool(ctx, python, "-m", "venv", "--system-site-packages", venv); err != nil {
		return "", withHint(fmt.Errorf("make a virtual environment: %s", lastLines(out, 3)), "apt-get install python3-venv")
	}
	interpreter := filepath.Join(venv, "bin", "python3")
	requirements := filepath.Join(d.paths.Snapshot(d.revision.ID), "requirements.txt")
	out, err := runTool(ctx, interpreter, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", requirements)
	if err != nil {
		return "", withHint(fmt.Errorf("install requirements.txt: %s", pipError(out)), "pip can be configured in /etc/pip.conf")
	}
	if d.verbose {
		d.progress.note("%s", lastLines(out, 20))
	}
	d.revision.Command = d.request.app.command(interpreter)
	return interpreter, d.store.PutRevision(d.paths.Revision(d.revision.ID), d.revision)
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

// pipError returns what pip calls an error, or else its last lines.
func pipError(out string) string {
	var errs []string
	for line := range strings.Lines(out) {
		if text, is := strings.CutPrefix(line, "ERROR: "); is {
			errs = append(errs, strings.TrimSpace(text))
		}
	}
	if len(errs) == 0 {
		return lastLines(out, 5)
	}
	return strings.Join(errs, " | ")
}

// lastLines returns the last lines of a text, on one line.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
