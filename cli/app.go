package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// app is what is started in an instance.
type app struct {
	text    string // as the user wrote it
	runtime platform.Runtime
	// module is the Python module of an ASGI application.
	module string
	// program and args are an executable of the app and what it is given.
	program string
	args    []string
	workers int
}

// python is the interpreter of functions without a virtual environment. The interpreter of the user who deploys may lie
// where no function can read it.
const python = "/usr/bin/python3"

// findApp finds out what the user wants to run: the argument, else app: or command: of the configuration.
func findApp(arg, dir string, config platform.Config) (app, error) {
	text := arg
	if text == "" {
		text = config.App
	}
	switch {
	case text == "" && len(config.Command) > 0:
		return findExecutable(config.Command[0], config.Command[1:], dir)
	case text == "":
		return app{}, withHint(usageError{errors.New("APP is missing")},
			"name the app, as in \"fnctl deploy main:app\" or \"fnctl deploy ./server\", or write it into jcloud.yml as app:")
	}
	if module, _, ok := platform.ParseApp(text); ok {
		return findASGI(text, module, dir, config.Workers)
	}
	if strings.Contains(text, ":") {
		return app{}, withHint(usageError{fmt.Errorf("APP %q is not module:attr", text)}, "for example main:app, for the object app in main.py")
	}
	return findExecutable(text, config.Command, dir)
}

func findASGI(text, module, dir string, workers int) (app, error) {
	path := filepath.Join(dir, filepath.Join(strings.Split(module, ".")...))
	if !exists(path+".py") && !exists(filepath.Join(path, "__init__.py")) {
		return app{}, withHint(fmt.Errorf("module %q not found: %s has neither %s.py nor %s/__init__.py", module, dir,
			strings.ReplaceAll(module, ".", "/"), strings.ReplaceAll(module, ".", "/")), "--app-dir names the directory of the app")
	}
	return app{text: text, runtime: platform.RuntimeASGI, module: module, workers: workers}, nil
}

func findExecutable(text string, args []string, dir string) (app, error) {
	a := app{text: text, runtime: platform.RuntimeExec, program: text, args: args}
	path := text
	if !filepath.IsAbs(text) {
		path = filepath.Join(dir, text)
		inside, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(inside) {
			return app{}, fmt.Errorf("executable %q is not in the app's directory %s", text, dir)
		}
		a.program = inside
	} else if inside, err := filepath.Rel(dir, text); err == nil && filepath.IsLocal(inside) {
		a.program = inside
	}
	if strings.ContainsAny(a.program, "\"'\\") {
		return app{}, fmt.Errorf("systemd cannot execute %q: rename it without quotes and backslashes", a.program)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return app{}, withHint(fmt.Errorf("APP %q not found: there is no file %s", text, path),
			"APP is module:attr, such as main:app, or an executable in the app's directory")
	case err != nil:
		return app{}, fmt.Errorf("find the executable: %w", err)
	case !info.Mode().IsRegular():
		return app{}, fmt.Errorf("%s is not a file", path)
	case info.Mode()&0o111 == 0:
		return app{}, withHint(fmt.Errorf("%s is not executable", path), "chmod +x %s", path)
	}
	return a, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// keepAlive is how long uvicorn keeps an idle connection: longer than the gateway does, so that the gateway is always the
// one to close it, and no request is lost on the way.
const keepAlive = 75 * time.Second

// command is the argument vector of an instance. interpreter runs Python.
func (a app) command(interpreter string) []string {
	if a.runtime == platform.RuntimeExec {
		return append([]string{a.program}, a.args...)
	}
	command := []string{
		interpreter, "-m", "uvicorn", a.text,
		"--fd", "3",
		"--timeout-keep-alive", strconv.Itoa(int(keepAlive.Seconds())),
		// Only the gateway can reach the socket, and it is right about where a request comes from.
		"--proxy-headers", "--forwarded-allow-ips", "*",
	}
	if a.workers > 1 {
		command = append(command, "--workers", strconv.Itoa(a.workers))
	}
	return command
}
