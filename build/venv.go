package build

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/fnctl/fnctl/platform"
)

// Python is the interpreter of functions without a virtual environment. The interpreter of the user who deploys may lie
// where no function can read it.
const Python = "/usr/bin/python3"

// Venv is the virtual environment of a set of requirements: all revisions of a function that have the same Requirements
// share it. The zero value is the machine's Python, without one.
type Venv struct {
	Requirements

	function       string
	dir            string
	systemPackages bool
}

// Venv is the environment in which an app of a function runs. With systemPackages it also has the packages of the machine.
func (a App) Venv(paths platform.Paths, function string, systemPackages bool) Venv {
	if a.Requirements.IsEmpty() {
		return Venv{}
	}
	v := Venv{function: function, Requirements: a.Requirements, systemPackages: systemPackages}
	v.dir = paths.Venv(function, v.Key())
	return v
}

// Key names an environment by all that it is made of; "" is none.
func (v Venv) Key() string {
	if v.Requirements.IsEmpty() {
		return ""
	}
	// The name of the interpreter has its version: python3.11.
	interpreter, err := filepath.EvalSymlinks(Python)
	if err != nil {
		interpreter = Python
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %v\n", interpreter, v.systemPackages)
	for _, file := range v.files {
		fmt.Fprintf(hash, "%q %q\n", file.path, file.text)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

// Interpreter runs Python in the environment.
func (v Venv) Interpreter() string {
	if v.dir == "" {
		return Python
	}
	return v.script("python3")
}

// IsBuilt reports whether the environment is there: it gets its name when it is whole.
func (v Venv) IsBuilt() bool { return platform.Exists(v.Interpreter()) }

// has reports whether a package of the environment itself has a module. Nothing of the environment is run for that: it is code
// that others wrote, and root asks.
func (v Venv) has(module string) bool {
	found, _ := filepath.Glob(filepath.Join(v.dir, "lib/python3*/site-packages", module))
	return v.dir != "" && len(found) > 0
}

// script is where the environment has a program of a name, whether it is there or not.
func (v Venv) script(name string) string { return filepath.Join(v.dir, "bin", name) }

var venvProgram = regexp.MustCompile(`/functions/[^/]+/(?:venvs/[0-9a-f]+|revisions/[0-9]+/venv)/bin/([^/]+)$`)

// nameInVenv is the name of a program of a virtual environment, "" if it is none of one; earlier versions of fnctl had one in each
// revision.
func nameInVenv(program string) string {
	found := venvProgram.FindStringSubmatch(program)
	if found == nil {
		return ""
	}
	return found[1]
}

// RemoveSources removes what earlier versions kept in an environment of what it was made of: an index may be named there with a
// password, and everybody can read it.
func (v Venv) RemoveSources() error { return platform.RemoveTree(filepath.Join(v.dir, installed)) }

// IsEmpty reports whether it is none, but the machine's Python.
func (v Venv) IsEmpty() bool { return v.dir == "" }
