package build

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

const projectFile = "pyproject.toml"

// CheckProject returns what a Python project says of itself that will not hold: packages that only pyproject.toml names, a version of
// Python that the machine has not, and what was made for another platform. Files that cannot be read say nothing.
func CheckProject(dir string, a App) (problems []error) {
	root, err := os.OpenRoot(dir)
	if !a.IsPython() && a.Requirements.IsEmpty() || err != nil {
		return nil
	}
	defer root.Close()
	read := func(name string) string {
		data, err := platform.ReadBeneath(root, name, maxFileSize)
		if err != nil {
			return ""
		}
		text, err := decodeRequirements(data)
		if err != nil {
			return ""
		}
		return text
	}
	problems = checkFormer(dir, a.Requirements)
	project := read(projectFile)
	if len(a.Requirements.files) == 0 {
		if err := checkDependencies(project, platform.Exists(filepath.Join(dir, "uv.lock"))); err != nil {
			problems = append(problems, err)
		}
	}
	has, known := pythonOfMachine()
	if !known {
		return problems
	}
	for _, wanted := range []struct{ file, text string }{
		{".python-version", read(".python-version")}, {"runtime.txt", read("runtime.txt")}, {projectFile, requiresPython(project)},
	} {
		if !has.satisfies(wanted.text) {
			text := strings.TrimSpace(strings.SplitN(wanted.text, "\n", 2)[0])
			problems = append(problems, platform.WithHint(fmt.Errorf("%s asks for Python %s, and the machine has %s", wanted.file, platform.Clip(strings.TrimPrefix(text, "python-")), has),
				"apps run with %s", Python))
		}
	}
	return problems
}

var (
	tomlTable      = regexp.MustCompile(`(?m)^\s*\[([^\[\]]+)\]\s*(?:#.*)?$`)
	dependencyList = regexp.MustCompile(`(?m)^\s*dependencies\s*=\s*\[\s*(?:#[^\n]*\n\s*)*["']`)
	poetryPackage  = regexp.MustCompile(`(?m)^\s*["']?([A-Za-z0-9._-]+)["']?\s*=`)
	pythonRequired = regexp.MustCompile(`(?m)^\s*requires-python\s*=\s*["']([^"']+)["']`)
)

// tableOf is the text of a table of a TOML file: enough of the format to find a key of it.
func tableOf(text, name string) string {
	tables := tomlTable.FindAllStringSubmatchIndex(text, -1)
	for i, at := range tables {
		if strings.TrimSpace(text[at[2]:at[3]]) != name {
			continue
		}
		if i+1 < len(tables) {
			return text[at[1]:tables[i+1][0]]
		}
		return text[at[1]:]
	}
	return ""
}

// checkDependencies looks for packages that a pyproject.toml names. What is installed are those of requirements.txt.
func checkDependencies(project string, uv bool) error {
	poetry := false
	for _, found := range poetryPackage.FindAllStringSubmatch(tableOf(project, "tool.poetry.dependencies"), -1) {
		poetry = poetry || found[1] != "python"
	}
	hint := "uv pip compile pyproject.toml -o requirements.txt, or pip-compile"
	switch {
	case poetry:
		hint = "poetry export -o requirements.txt"
	case !dependencyList.MatchString(tableOf(project, "project")):
		return nil
	case uv:
		hint = "uv export --no-emit-project -o requirements.txt"
	}
	return platform.WithHint(fmt.Errorf("%s names packages, and there is no %s: none is installed", projectFile, RequirementsFile), "%s", hint)
}

func requiresPython(project string) string {
	if found := pythonRequired.FindStringSubmatch(tableOf(project, "project")); found != nil {
		return found[1]
	}
	return ""
}

// pythonVersion is what of a version decides which language it is.
type pythonVersion struct{ major, minor int }

func (v pythonVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

var versionOfName = regexp.MustCompile(`^python(\d+)\.(\d+)$`)

// pythonOfMachine is the version of the machine's Python, which the name of its program has.
func pythonOfMachine() (pythonVersion, bool) {
	program, err := filepath.EvalSymlinks(Python)
	if err != nil {
		return pythonVersion{}, false
	}
	found := versionOfName.FindStringSubmatch(filepath.Base(program))
	if found == nil {
		return pythonVersion{}, false
	}
	return versionOf(found[1], found[2]), true
}

func versionOf(major, minor string) pythonVersion {
	var v pythonVersion
	v.major, _ = strconv.Atoi(major) // digits
	v.minor, _ = strconv.Atoi(minor)
	return v
}

// wantedVersion is a version, or one of several conditions (PEP 440), as far as major and minor number decide.
var wantedVersion = regexp.MustCompile(`^(>=|<=|==|~=|!=|>|<)?\s*(?:python-|cpython-)?(\d+)\.(\d+)(?:\.(\d+|\*))?(?:\.\*)?$`)

// satisfies reports whether a version is what a file asks for, or whether that cannot be told.
func (v pythonVersion) satisfies(wanted string) bool {
	wanted, _, _ = strings.Cut(strings.TrimSpace(wanted), "\n")
	for _, condition := range strings.Split(wanted, ",") {
		found := wantedVersion.FindStringSubmatch(strings.TrimSpace(condition))
		if found == nil {
			continue
		}
		w := versionOf(found[2], found[3])
		less, same, exact := v.major < w.major || v.major == w.major && v.minor < w.minor, v == w, found[4] != "" && found[4] != "*"
		ok := true
		switch found[1] {
		case ">=":
			ok = !less
		case ">":
			ok = !less && (!same || exact)
		case "<":
			ok = less || same && exact
		case "<=":
			ok = less || same
		case "==", "":
			ok = same
		case "~=":
			ok = same || !exact && v.major == w.major && !less
		case "!=":
			ok = !same || exact
		}
		if !ok {
			return false
		}
	}
	return true
}
