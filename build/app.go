// Package build finds out what runs an app, and makes what it needs besides its own files: a virtual environment with its
// packages, built by a user that may do nothing else.
package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// App is what is started in an instance.
type App struct {
	Text string // as the user wrote it: main:app, ./server
	// SourceDir is the directory with the modules, relative to the app's, "" if it is that.
	SourceDir string
	Runtime   platform.Runtime
	// Framework is the package that makes the app, if the module imports one that is known.
	Framework string
	// Found says what the runtime is, and what it was found out from.
	Found string
	// guessed tells that it was found out from nothing.
	guessed bool
	// program and args are what a command runs. name is what the user calls a program that is none of the app's own: the environment
	// may have it, and if program is "", must.
	program, name string
	args          []string
	workers       int
	sleeps        bool // its instances may be frozen
	// Requirements are the packages that a Python application needs.
	Requirements Requirements
}

// IsPython reports whether Python runs the app.
func (a App) IsPython() bool { return a.Runtime.IsServer() || a.program == Python }

// IsGuess reports whether nothing of a Python application's files tells its runtime: Ask asks the application itself.
func (a App) IsGuess() bool { return a.guessed }

// AsIn returns the app with the runtime that it has in a revision, and reports whether that has the same one, and its own is a guess: the
// application has answered then.
func (a App) AsIn(rev platform.Revision) (App, bool) {
	if !a.guessed || a.Text != rev.App || !rev.Runtime.IsServer() {
		return a, false
	}
	a.Runtime = rev.Runtime
	a.Found = fmt.Sprintf("%s runs %s, as it did in %s", a.Runtime, a.Text, rev.ID)
	return a, true
}

// Deployed is the app of a revision that was deployed before, whose files are in its snapshot.
func Deployed(rev platform.Revision, snapshot string) (App, error) {
	a := App{
		Text: rev.App, SourceDir: rev.SourceDir, Runtime: rev.Runtime, Framework: rev.Framework,
		workers: rev.Config.Workers, sleeps: rev.Config.Autoscale.Standby > 0,
	}
	if !a.Runtime.IsServer() {
		a.program, a.args = rev.Command[0], rev.Command[1:]
		switch name := nameInVenv(a.program); name {
		case "":
		case filepath.Base(Python):
			a.program = Python
		default:
			a.program, a.name = onSystemPath(name), name
		}
	}
	if !a.IsPython() && a.name == "" && rev.Venv == "" {
		return a, nil
	}
	var err error
	a.Requirements, err = ReadRequirements(snapshot)
	return a, err
}

// Find finds out what the user wants to run in a directory: the argument, else app: or command: of the configuration. Nothing
// of the app is run for that: root deploys it.
func Find(arg, dir string, config platform.Config) (App, error) {
	text, args := arg, config.Command
	if text == "" {
		text = config.App
	}
	if text == "" && len(config.Command) > 0 {
		text, args = config.Command[0], config.Command[1:]
		return findProgram(text, args, dir, config)
	}
	if text == "" {
		return App{}, platform.WithHint(platform.UsageError(errors.New("APP is missing")),
			"name the app, as in \"fnctl deploy main:app\" or \"fnctl deploy ./server\", or write it into jcloud.yml as app:")
	}
	if module, attr, ok := platform.ParseApp(text); ok {
		return findModule(text, module, attr, dir, config)
	}
	if strings.Contains(text, ":") {
		return App{}, platform.WithHint(platform.UsageError(fmt.Errorf("APP %q is not module:attr", text)), "for example main:app, for the object app in main.py")
	}
	return findProgram(text, args, dir, config)
}

// srcLayout is where many projects have their modules (packaging.python.org, "src layout vs flat layout").
const srcLayout = "src"

// moduleFile is the file of a module, relative to a directory, "" if there is none.
func moduleFile(dir, module string) string {
	path := filepath.Join(strings.Split(module, ".")...)
	for _, file := range []string{path + ".py", filepath.Join(path, "__init__.py")} {
		if platform.Exists(filepath.Join(dir, file)) {
			return file
		}
	}
	return ""
}

// findModule finds an application in a Python module.
func findModule(text, module, attr, dir string, config platform.Config) (App, error) {
	if config.Runtime != "" && !config.Runtime.IsServer() {
		return App{}, platform.WithHint(fmt.Errorf("runtime: %s is not for an app such as %s", config.Runtime, text),
			"use uvicorn, hypercorn, granian or gunicorn, or leave runtime: out")
	}
	file, sourceDir := moduleFile(dir, module), ""
	if file == "" {
		if file = moduleFile(filepath.Join(dir, srcLayout), module); file != "" {
			file, sourceDir = filepath.Join(srcLayout, file), srcLayout
		}
	}
	if file == "" {
		return App{}, platform.WithHint(fmt.Errorf("module %q not found: %s has neither %s.py nor %s/__init__.py", module, dir,
			strings.ReplaceAll(module, ".", "/"), strings.ReplaceAll(module, ".", "/")), "--app-dir names the directory of the app")
	}
	required, err := ReadRequirements(dir)
	if err != nil {
		return App{}, err
	}
	source, err := readStart(dir, file)
	if err != nil {
		return App{}, fmt.Errorf("read the module: %w", err)
	}
	m := pythonModule{name: module, attr: attr, file: file, source: source}
	if !platform.IsFactory(text) && m.definesFactory() {
		return App{}, platform.WithHint(fmt.Errorf("%s is a function that makes the app, and not the app", text), "write it with brackets: \"%s()\"", text)
	}
	a := App{
		Text: text, SourceDir: sourceDir, Runtime: config.Runtime, Framework: m.framework(),
		workers: config.Workers, sleeps: config.Autoscale.Standby > 0, Requirements: required,
	}
	if a.Runtime != "" {
		a.Found = fmt.Sprintf("%s runs %s: jcloud.yml says so", a.Runtime, text)
		return a, nil
	}
	a.Runtime, a.Found, a.guessed = detectServer(m, required)
	return a, nil
}

// programName is the name of a program that a package may bring.
var programName = regexp.MustCompile(`^\w[\w.+-]*$`)

// findProgram finds an executable: one of the app's own, or else one of the machine.
func findProgram(text string, args []string, dir string, config platform.Config) (App, error) {
	if config.Runtime.IsServer() {
		return App{}, platform.WithHint(fmt.Errorf("runtime: %s runs an app such as main:app, not the program %s", config.Runtime, text),
			"use socket or port, or leave runtime: out")
	}
	required, err := ReadRequirements(dir)
	if err != nil {
		return App{}, err
	}
	a := App{Text: text, Runtime: config.Runtime, args: args, Requirements: required}
	program, own, err := locateProgram(text, dir)
	switch {
	case err == nil:
	case programName.MatchString(text) && !required.IsEmpty():
		a.name = text // when its packages are installed, it is there or not
		return a.connected(dir, nil), nil
	default:
		return App{}, err
	}
	if strings.ContainsAny(program, "\"'\\") {
		return App{}, fmt.Errorf("systemd cannot execute %q: rename it without quotes and backslashes", program)
	}
	path := program
	if own {
		path = filepath.Join(dir, program)
	}
	if err := checkExecutable(text, path); err != nil {
		return App{}, err
	}
	if !own {
		if err := checkVisible(path, config); err != nil {
			return App{}, err
		}
	}
	if err := checkInterpreter(path, !required.IsEmpty()); err != nil {
		return App{}, err
	}
	if interpreter := interpreterOf(path); interpreter != "" {
		if err := checkVisible(interpreter, config); err != nil {
			return App{}, err
		}
	}
	a.program = program
	if own {
		return a.connected(dir, []string{program}), nil
	}
	if !filepath.IsAbs(text) {
		a.name = text
	}
	return a.connected(dir, nil), nil
}

// connected finds out how a program gets its connections, which scripts of the app and its arguments may tell.
func (a App) connected(dir string, scripts []string) App {
	if a.Runtime != "" {
		a.Found = fmt.Sprintf("%s: jcloud.yml says so", connections[a.Runtime])
		return a
	}
	a.Runtime, a.Found = detectConnections(dir, slices.Concat(scripts, a.args), a.args)
	return a
}

// locateProgram says where a program is: relative to the app's directory if it is the app's own, else absolute.
func locateProgram(text, dir string) (program string, own bool, err error) {
	if filepath.IsAbs(text) {
		inside, err := filepath.Rel(dir, text)
		if err == nil && filepath.IsLocal(inside) {
			return inside, true, nil
		}
		return text, false, nil
	}
	inside := filepath.Clean(text)
	if !filepath.IsLocal(inside) {
		return "", false, fmt.Errorf("executable %q is not in the app's directory %s", text, dir)
	}
	if strings.Contains(text, "/") || platform.Exists(filepath.Join(dir, text)) {
		return inside, true, nil
	}
	if path := onSystemPath(text); path != "" {
		return path, false, nil
	}
	hint := installHint(text)
	if text != "python" {
		hint = "APP is module:attr, such as main:app, or an executable in the app's directory; " + hint
	}
	return "", false, platform.WithHint(fmt.Errorf("APP %q not found: there is no file %s, and no %s in %s", text, filepath.Join(dir, text), text,
		strings.Join(platform.SystemPath, ":")), "%s", hint)
}

// onSystemPath is where a program of the machine is, "" if it is not installed.
func onSystemPath(program string) string {
	for _, bin := range platform.SystemPath {
		if path := filepath.Join(bin, program); platform.Exists(path) {
			return path
		}
	}
	return ""
}

func checkExecutable(text, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return platform.WithHint(fmt.Errorf("APP %q not found: there is no file %s", text, path),
			"APP is module:attr, such as main:app, or an executable in the app's directory")
	case err != nil:
		return fmt.Errorf("find the executable: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	case info.Mode()&0o111 == 0 && filepath.Ext(path) == ".py":
		module := strings.TrimSuffix(filepath.Base(path), ".py")
		return platform.WithHint(fmt.Errorf("%s is not executable", path),
			"%s:app for the object app in it, or command: [python3, %s] in jcloud.yml for a program", module, filepath.Clean(text))
	case info.Mode()&0o111 == 0:
		return platform.WithHint(fmt.Errorf("%s is not executable", path), "chmod +x %s", path)
	}
	return nil
}

const (
	// gunicornConfig tells apps the address of their clients, and reads a gunicorn.conf.py of theirs.
	gunicornConfig = "/usr/share/fnctl/gunicorn.conf.py"
	// hypercornApp does so for the app that the variable FNCTL_APP names.
	hypercornApp = "/usr/share/fnctl/fnctl_client.py:app"
)

// keepAlive is how long a server keeps an idle connection: longer than the gateway does, so that the gateway is always the
// one to close it, and no request is lost on the way.
const keepAlive = 75 * time.Second

// Command is the argument vector of an instance that runs in an environment.
func (a App) Command(v Venv) []string {
	interpreter := v.Interpreter()
	if !a.Runtime.IsServer() {
		return slices.Concat([]string{a.programIn(v)}, a.args)
	}
	seconds := strconv.Itoa(int(keepAlive.Seconds()))
	command := []string{interpreter, "-m", string(a.Runtime)}
	// gunicorn and hypercorn call what has brackets.
	app := a.Text
	if platform.IsFactory(app) && (a.Runtime == platform.RuntimeUvicorn || a.Runtime == platform.RuntimeGranian) {
		module, attr, _ := platform.ParseApp(app)
		app = module + ":" + attr
		command = append(command, "--factory")
	}
	switch a.Runtime {
	case platform.RuntimeUvicorn:
		// Only the gateway can reach the socket, and it is right about where a request comes from.
		command = append(command, app, "--fd", "3", "--timeout-keep-alive", seconds, "--proxy-headers", "--forwarded-allow-ips", "*")
	case platform.RuntimeHypercorn:
		// It is named by a variable: see packaging/python/fnctl_client.py.
		command = append(command, hypercornApp, "--bind", "fd://3", "--keep-alive", seconds)
	case platform.RuntimeGranian:
		command = append(command, app, "--interface", "asgi", "--host", "127.0.0.1", "--port", "$PORT")
	case platform.RuntimeGunicorn:
		// A worker of the default class works on one request at a time, closes each connection after one, and is killed if
		// that takes longer than 30 s. gunicorn finds its socket by itself.
		command = append(command, app, "--config", gunicornConfig, "--worker-class", "gthread", "--threads", strconv.Itoa(threadsOf(a.workers)),
			"--keep-alive", seconds, "--forwarded-allow-ips", "*")
		if a.sleeps {
			// By default it kills workers that have told it nothing for 30 s, which those that slept have not.
			command = append(command, "--timeout", "0")
		}
	}
	if a.workers > 1 {
		command = append(command, "--workers", strconv.Itoa(a.workers))
	}
	return command
}

// programIn is the program of a command: the environment's if it has one of that name, or nothing else has.
func (a App) programIn(v Venv) string {
	switch {
	case a.program == Python:
		return v.Interpreter()
	case a.name != "" && !v.IsEmpty() && (a.program == "" || platform.Exists(v.script(a.name))):
		return v.script(a.name)
	}
	return a.program
}

// CheckProgram checks that the program of a command is in the environment, if it is nowhere else.
func (a App) CheckProgram(v Venv) error {
	if a.Runtime.IsServer() || a.program != "" {
		return nil
	}
	if !v.IsEmpty() && platform.Exists(v.script(a.name)) {
		return checkExecutable(a.name, v.script(a.name))
	}
	return platform.WithHint(fmt.Errorf("%s not found: neither the machine has it, nor a package in %s", a.name, RequirementsFile),
		"write the package that has it into %s", RequirementsFile)
}

// threadsOf is how many threads each gunicorn worker has: some 32 in all, since those of a WSGI application mostly wait, and
// never more than an instance may have tasks.
func threadsOf(workers int) int { return max(4, 32/max(1, workers)) }
