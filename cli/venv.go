package cli

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/fnctl/fnctl/platform"
)

// python is the interpreter of functions without a virtual environment. The interpreter of the user who deploys may lie
// where no function can read it.
const python = "/usr/bin/python3"

// venv is the virtual environment of a set of requirements: all revisions of a function that have the same requirements
// share it. The zero value is the machine's Python, without one.
type venv struct {
	function string
	dir      string
	requirements
	systemPackages bool
}

// venv is the environment in which the app runs.
func (r request) venv() venv {
	if len(r.app.requirements.files) == 0 {
		return venv{}
	}
	v := venv{function: r.name, requirements: r.app.requirements, systemPackages: r.config.SystemPackages}
	v.dir = paths().Venv(r.name, v.key())
	return v
}

// key names an environment by all that it is made of.
func (v venv) key() string {
	// The name of the interpreter has its version: python3.11.
	interpreter, err := filepath.EvalSymlinks(python)
	if err != nil {
		interpreter = python
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %v\n", interpreter, v.systemPackages)
	for _, file := range v.files {
		fmt.Fprintf(hash, "%q %q\n", file.path, file.text)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

// interpreter runs Python in the environment.
func (v venv) interpreter() string {
	if v.dir == "" {
		return python
	}
	return filepath.Join(v.dir, "bin/python3")
}

// isBuilt tells whether the environment is there: it gets its name when it is whole.
func (v venv) isBuilt() bool { return exists(v.interpreter()) }

// has tells whether a package of the environment itself has a module. Nothing of the environment is run for that: it is code
// that others wrote, and root asks.
func (v venv) has(module string) bool {
	found, _ := filepath.Glob(filepath.Join(v.dir, "lib/python3*/site-packages", module))
	return v.dir != "" && len(found) > 0
}

var venvPython = regexp.MustCompile(`/functions/[^/]+/(venvs/[0-9a-f]+|revisions/[0-9]+/venv)/bin/python3$`)

// isVenvPython tells whether a program is the interpreter of a virtual environment; earlier versions of fnctl had one in each
// revision.
func isVenvPython(program string) bool { return venvPython.MatchString(program) }

// venvBuild is where an environment is made.
func venvBuild(paths platform.Paths, function, key string) string {
	return filepath.Join(paths.Venvs(function), "."+key)
}
