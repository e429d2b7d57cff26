package build

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// RequirementsFile is what an app writes its Python packages into.
const RequirementsFile = "requirements.txt"

// Requirements are what requirements.txt says, with the files that it includes. Without that file there is none.
type Requirements struct {
	files    []requirementsPart
	packages []string // their names, as PyPI normalizes them
}

// requirementsPart is one of the files, as it is: pip decodes it once more. Its path is relative to the app.
type requirementsPart struct{ path, text string }

// IsEmpty reports whether there is no requirements.txt.
func (r Requirements) IsEmpty() bool { return len(r.files) == 0 }

// ReadRequirements reads requirements.txt in an app's directory. No file outside of that is read.
func ReadRequirements(dir string) (Requirements, error) {
	var r Requirements
	root, err := os.OpenRoot(dir)
	if err != nil {
		return r, fmt.Errorf("read %s: %w", RequirementsFile, err)
	}
	defer root.Close()
	if _, err := root.Stat(RequirementsFile); errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	return r, r.read(root, RequirementsFile, true)
}

// The limits of what is read: far above what anybody writes.
const (
	maxFiles    = 64
	maxFileSize = 1 << 20
)

// read reads one of the files and those that it includes. named tells that it names packages, and not just constrains them.
func (r *Requirements) read(root *os.Root, file string, named bool) error {
	if slices.ContainsFunc(r.files, func(part requirementsPart) bool { return part.path == file }) {
		return nil
	}
	if len(r.files) == maxFiles {
		return fmt.Errorf("read %s: it includes more than %d files", RequirementsFile, maxFiles)
	}
	data, err := platform.ReadBeneath(root, file, maxFileSize+1)
	if err != nil {
		return fmt.Errorf("read %s: %w", RequirementsFile, err)
	}
	if len(data) > maxFileSize {
		return fmt.Errorf("read %s: %s has more than %d bytes", RequirementsFile, file, maxFileSize)
	}
	text, err := decodeRequirements(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r.files = append(r.files, requirementsPart{file, string(data)})
	for _, line := range splitRequirements(text) {
		if err := r.readLine(root, file, line.text, named); err != nil {
			return fmt.Errorf("%s:%d: %w", file, line.number, err)
		}
	}
	return nil
}

var (
	requirementComment = regexp.MustCompile(`(^|\s)#.*`)
	requirementOption  = regexp.MustCompile(`^(-r|--requirement|-c|--constraint|-e|--editable)\s*=?\s*(.*)$`)
	requirementName    = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)\s*($|[\[<>=!~;@(,\s\\])`)
	requirementDashes  = regexp.MustCompile(`[-_.]+`)
	// fileOfTheApp is a package that is none of an index but a path.
	fileOfTheApp = regexp.MustCompile(`^\.|^/|^[^\s@<>=]*/[^@]*$|^\S+\.(whl|tar\.gz|zip)$|@\s*(file:|\.|/)|^file:`)
)

func (r *Requirements) readLine(root *os.Root, file, line string, named bool) error {
	line = strings.TrimSpace(requirementComment.ReplaceAllString(line, ""))
	m := requirementOption.FindStringSubmatch(line)
	switch {
	case m != nil && (m[1] == "-e" || m[1] == "--editable"):
		return errLocalRequirement(line)
	case m != nil && strings.Contains(m[2], "://"): // pip fetches it
	case m != nil:
		return r.read(root, path.Join(path.Dir(file), m[2]), named && (m[1] == "-r" || m[1] == "--requirement"))
	case strings.HasPrefix(line, "-"):
	case !strings.Contains(line, "://") && fileOfTheApp.MatchString(cmp.Or(beforeMarker(line), line)):
		return errLocalRequirement(line)
	case named:
		if m := requirementName.FindStringSubmatch(line); m != nil {
			r.packages = append(r.packages, strings.ToLower(requirementDashes.ReplaceAllString(m[1], "-")))
		}
	}
	return nil
}

// beforeMarker is a requirement without the condition after it, in which there may be anything.
func beforeMarker(line string) string {
	before, _, _ := strings.Cut(line, ";")
	return strings.TrimSpace(before)
}

// errLocalRequirement refuses what lies in the app's own directory: it is not there when the environment is built, which
// other revisions share.
func errLocalRequirement(line string) error {
	return platform.WithHint(fmt.Errorf("%q is a path: only packages of an index or a wheel directory can be installed", line),
		"import the app's own packages from its directory; a directory of wheels can be set in /etc/pip.conf, as find-links")
}

// names returns the first of some packages that is required.
func (r Requirements) names(packages ...string) string {
	for _, name := range packages {
		if slices.Contains(r.packages, name) {
			return name
		}
	}
	return ""
}
