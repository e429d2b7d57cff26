package build

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

const (
	projectFile = "pyproject.toml"
	pipFile     = "Pipfile"
)

var (
	tomlTable      = regexp.MustCompile(`(?m)^\s*\[([^\[\]]+)\]\s*(?:#.*)?$`)
	dependencyList = regexp.MustCompile(`(?m)^\s*dependencies\s*=\s*\[\s*(?:#[^\n]*\n\s*)*["']`)
	tomlKey        = regexp.MustCompile(`(?m)^\s*["']?([A-Za-z0-9._-]+)["']?\s*=`)
	setupList      = regexp.MustCompile(`(?m)\binstall_requires\s*=\s*(?:\[\s*["']|\n[ \t]+\S)`)
	condaList      = regexp.MustCompile(`(?m)^dependencies:`)
	otherPurpose   = regexp.MustCompile(`(?i)dev|test|doc|lint|ci|build|optional`)
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

// hasKeys reports whether a table of a TOML file names anything but Python itself.
func hasKeys(table string) bool {
	return slices.ContainsFunc(tomlKey.FindAllStringSubmatch(table, -1), func(key []string) bool { return key[1] != "python" })
}

// namedElsewhere is where a project names its packages for other tools than pip.
type namedElsewhere struct{ file, hint string }

// err is why that does not do.
func (n namedElsewhere) err() error {
	return platform.WithHint(fmt.Errorf("%s names packages, and there is no %s: none is installed", n.file, RequirementsFile), "%s", n.hint)
}

// HowToRequire is how the packages that a project in a directory names elsewhere get into requirements.txt: "" if it has that file, or
// names none.
func HowToRequire(dir string) string {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ""
	}
	defer root.Close()
	if platform.Exists(filepath.Join(dir, RequirementsFile)) {
		return ""
	}
	found, _ := findElsewhere(dir, func(name string) string { return readText(root, name) })
	return found.hint
}

// findElsewhere looks for packages in the files of other tools. What is installed are those of requirements.txt.
func findElsewhere(dir string, read func(name string) string) (found namedElsewhere, is bool) {
	project := read(projectFile)
	locked := func(file string) bool { return platform.Exists(filepath.Join(dir, file)) }
	poetry := hasKeys(tableOf(project, "tool.poetry.dependencies"))
	named := poetry || dependencyList.MatchString(tableOf(project, "project"))
	switch {
	case named && (poetry || locked("poetry.lock")):
		return namedElsewhere{projectFile, "poetry export -o requirements.txt"}, true
	case named && locked("uv.lock"):
		return namedElsewhere{projectFile, "uv export --no-emit-project -o requirements.txt"}, true
	case named && locked("pdm.lock"):
		return namedElsewhere{projectFile, "pdm export --prod -o requirements.txt"}, true
	case named:
		return namedElsewhere{projectFile, "uv pip compile pyproject.toml -o requirements.txt, or pip-compile"}, true
	case read("requirements.in") != "":
		return namedElsewhere{"requirements.in", "uv pip compile requirements.in -o requirements.txt, or pip-compile"}, true
	case hasKeys(tableOf(read(pipFile), "packages")):
		return namedElsewhere{pipFile, "pipenv requirements >requirements.txt"}, true
	case setupList.MatchString(read("setup.py")):
		return namedElsewhere{"setup.py", "uv pip compile setup.py -o requirements.txt, or pip-compile"}, true
	case setupList.MatchString(read("setup.cfg")):
		return namedElsewhere{"setup.cfg", "uv pip compile setup.cfg -o requirements.txt, or pip-compile"}, true
	}
	for _, conda := range []string{"environment.yml", "environment.yaml"} {
		if condaList.MatchString(read(conda)) {
			return namedElsewhere{conda, "packages come from pip, not from conda: write them into requirements.txt"}, true
		}
	}
	if file := otherRequirements(dir); file != "" {
		return namedElsewhere{file, fmt.Sprintf("echo '-r %s' >requirements.txt", file)}, true
	}
	return namedElsewhere{}, false
}

// otherRequirements is a file of requirements of another name that is not for development, "" if there is none.
func otherRequirements(dir string) string {
	for _, pattern := range []string{"requirements/prod*.txt", "requirements/*.txt", "requirements[-_]*.txt"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern)) // sorted; the patterns are well formed
		for _, file := range files {
			name, err := filepath.Rel(dir, file)
			if err == nil && !otherPurpose.MatchString(strings.TrimPrefix(name, "requirements")) {
				return name
			}
		}
	}
	return ""
}
