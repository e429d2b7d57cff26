package deploy

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
)

// checkLeftOut refuses an app that is itself among what is left out, and says what is, if the user wants to know.
func (d *deployment) checkLeftOut() error {
	started := d.startedFiles()
	for _, left := range d.leftOut {
		for _, file := range started {
			if file == left.Name || strings.HasPrefix(file, left.Name+"/") {
				return explainLeftOut(file, left)
			}
		}
		if d.request.Verbose && left.Rule != "" {
			d.Progress.Note("ignored %s (%s)", left.Name, left.Rule)
		}
	}
	return nil
}

func explainLeftOut(file string, left snapshot.LeftOut) error {
	if left.Rule == "" {
		return platform.WithHint(fmt.Errorf("%s is not deployed: %s stays behind, as do version control, caches and virtual environments", file, left.Name),
			"have it elsewhere in the app's directory")
	}
	return platform.WithHint(fmt.Errorf("%s is not deployed: it is ignored by %s", file, left.Rule),
		"%s", takeBack(left))
}

func takeBack(left snapshot.LeftOut) string {
	return fmt.Sprintf("\"!/%s\" in .fnctlignore, beside the app, takes it back", left.Name)
}

// ignoredNames is how many of what was ignored are named.
const ignoredNames = 3

// ignoredText says what of an app's directory is ignored: what a user has named, not what never belongs to an app.
func ignoredText(leftOut []snapshot.LeftOut) string {
	var names []string
	for _, left := range leftOut {
		if left.Rule != "" {
			names = append(names, platform.Clip(left.Name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	text := fmt.Sprintf("; %d ignored: %s", len(names), strings.Join(names[:min(len(names), ignoredNames)], ", "))
	if more := len(names) - ignoredNames; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// noSuchFile is how interpreters and C libraries complain about a file that is not there.
var noSuchFile = regexp.MustCompile(`(?i)no such file or directory[^'"]*['"]([^'"]+)['"]`)

// missesLeftOut finds what an app complains about in its lines among what was ignored.
func (d *deployment) missesLeftOut(lines []string) (snapshot.LeftOut, bool) {
	for _, line := range lines {
		found := noSuchFile.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		file := path.Clean(found[1])
		for _, left := range d.leftOut {
			if left.Rule != "" && (file == left.Name || strings.HasSuffix(file, "/"+left.Name) || strings.HasPrefix(file, left.Name+"/")) {
				return left, true
			}
		}
	}
	return snapshot.LeftOut{}, false
}

// startedFiles are the files of the app's directory that its command names: a module, a program, a script.
func (d *deployment) startedFiles() (files []string) {
	if module, _, is := platform.ParseApp(d.request.App.Text); is {
		name := path.Join(d.request.App.SourceDir, strings.ReplaceAll(module, ".", "/"))
		// As Python does, the package before the module.
		for _, file := range []string{path.Join(name, "__init__.py"), name + ".py"} {
			if isFile(filepath.Join(d.request.Dir, file)) {
				return []string{file}
			}
		}
		return nil
	}
	for _, arg := range d.revision.Command {
		if filepath.IsLocal(arg) && isFile(filepath.Join(d.request.Dir, arg)) {
			files = append(files, path.Clean(arg))
		}
	}
	return files
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
