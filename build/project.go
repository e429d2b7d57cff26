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

// CheckProject returns what a Python project says of itself that will not hold: packages that requirements.txt does not name, a version of
// Python that the machine has not, and what was made for another platform. Files that cannot be read say nothing.
func CheckProject(dir string, a App) (problems []error) {
	if !a.IsPython() && a.Requirements.IsEmpty() {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	read := func(name string) string { return readText(root, name) }
	problems = checkFormer(dir, a.Requirements)
	if a.Requirements.IsEmpty() {
		if found, is := findElsewhere(dir, read); is {
			problems = append(problems, found.err())
		} else if err := checkParent(dir); err != nil {
			problems = append(problems, err)
		}
	}
	has, known := pythonOfMachine()
	if !known {
		return problems
	}
	for _, wanted := range wantedPythons(read) {
		if !has.satisfies(wanted.text) {
			text := strings.TrimSpace(strings.SplitN(wanted.text, "\n", 2)[0])
			problems = append(problems, platform.WithHint(fmt.Errorf("%s asks for Python %s, and the machine has %s", wanted.file, platform.Clip(strings.TrimPrefix(text, "python-")), has),
				"apps run with %s", Python))
		}
	}
	return problems
}

// readText reads a text file of a project, "" if it cannot be read.
func readText(root *os.Root, name string) string {
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

// checkParent looks whether src is deployed, and what belongs to the project lies beside it.
func checkParent(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil || filepath.Base(dir) != srcLayout {
		return nil
	}
	for _, file := range []string{RequirementsFile, projectFile, pipFile, "jcloud.yml"} {
		if platform.Exists(filepath.Join(filepath.Dir(dir), file)) {
			return platform.WithHint(fmt.Errorf("%s lies beside %s, which is the whole app: it is not read", file, srcLayout),
				"deploy the directory above: modules are looked for in its %s, too", srcLayout)
		}
	}
	return nil
}

// wantedPython is a version of Python that a file asks for.
type wantedPython struct{ file, text string }

func wantedPythons(read func(name string) string) []wantedPython {
	project := read(projectFile)
	return []wantedPython{
		{".python-version", read(".python-version")},
		{"runtime.txt", read("runtime.txt")},
		{projectFile, firstOf(pythonRequired, tableOf(project, "project"))},
		{projectFile, firstOf(poetryPython, tableOf(project, "tool.poetry.dependencies"))},
		{pipFile, firstOf(pipfilePython, tableOf(read(pipFile), "requires"))},
		{".tool-versions", firstOf(asdfPython, read(".tool-versions"))},
	}
}

var (
	pythonRequired = regexp.MustCompile(`(?m)^\s*requires-python\s*=\s*["']([^"']+)["']`)
	poetryPython   = regexp.MustCompile(`(?m)^\s*python\s*=\s*["']([^"']+)["']`)
	pipfilePython  = regexp.MustCompile(`(?m)^\s*python_(?:full_)?version\s*=\s*["']([^"']+)["']`)
	asdfPython     = regexp.MustCompile(`(?m)^\s*python\s+(\S+)`)
)

// firstOf is what the group of a pattern finds first in a text, "" if nothing.
func firstOf(pattern *regexp.Regexp, text string) string {
	if found := pattern.FindStringSubmatch(text); found != nil {
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
var wantedVersion = regexp.MustCompile(`^(>=|<=|==|~=|!=|>|<|\^|~)?\s*(?:python-|cpython-)?(\d+)\.(\d+)(?:\.(\d+|\*))?(?:\.\*)?$`)

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
		case "==", "", "~":
			ok = same
		case "^":
			ok = v.major == w.major && !less
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
