package deploy

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/journal"
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
	if left.Rule == "" && strings.HasPrefix(file, left.Name+"/bin/") { // of an environment that was made elsewhere
		return platform.WithHint(fmt.Errorf("%s is not deployed: %s is a virtual environment, which is made anew on this machine", file, left.Name),
			"name its packages in %s; their programs are found by name: %s", build.RequirementsFile, path.Base(file))
	}
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

// noSuchFile is how interpreters, runtimes and C libraries complain about a file that is not there.
var noSuchFile = []*regexp.Regexp{
	regexp.MustCompile(`(?i)no such file or directory[^'"]*['"]([^'"]+)['"]`),
	regexp.MustCompile(`(?i)\b(?:open|stat|read) ([^\s:]+): no such file or directory`),
	regexp.MustCompile(`No such file or directory @ \S+ - (\S+)`),
	regexp.MustCompile(`(\S+) \(No such file or directory\)`),
}

// missesLeftOut finds what an app complains about in its lines among what was ignored.
func (d *deployment) missesLeftOut(lines []string) (snapshot.LeftOut, bool) {
	for _, line := range lines {
		for _, file := range missedFiles(line, d.request.App.SourceDir) {
			if _, inside, is := strings.Cut(file, "/"+d.revision.ID.String()+"@"); is { // the instance's copy of the app
				_, file, _ = strings.Cut(inside, "/")
			}
			for _, left := range d.leftOut {
				if left.Rule != "" && (file == left.Name || strings.HasSuffix(file, "/"+left.Name) || strings.HasPrefix(file, left.Name+"/")) {
					return left, true
				}
			}
		}
	}
	return snapshot.LeftOut{}, false
}

// missedFiles are the files that a line may complain about. sourceDir has the app's modules.
func missedFiles(line, sourceDir string) []string {
	for _, pattern := range noSuchFile {
		if found := pattern.FindStringSubmatch(line); found != nil {
			return []string{path.Clean(found[1])}
		}
	}
	if found := missingModule.FindStringSubmatch(line); found != nil {
		module := path.Join(sourceDir, strings.ReplaceAll(found[1], ".", "/"))
		return []string{module, module + ".py"}
	}
	return nil
}

// blameLeftOut says that an app did not start because something of it is ignored, if its lines say so.
func (d *deployment) blameLeftOut(err error) error {
	if ignoredText(d.leftOut) == "" {
		return err
	}
	first := platform.InstanceID{Revision: d.revision.ID, Index: 1}
	left, is := d.missesLeftOut(journal.Lines(first.Service(), d.started, reasonLines))
	if !is {
		return err
	}
	return platform.WithHint(fmt.Errorf("%w: it looks for %s, which is ignored by %s", err, left.Name, left.Rule), "%s", takeBack(left))
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
