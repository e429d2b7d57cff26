package units

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// trialWorkspace is what a trial has for a workspace. It need not be there.
const trialWorkspace = "/tmp/workspace"

// Trial returns what makes a transient unit the place of an instance: its settings, as Key=value, and its command, which is the given
// one with the secrets. It has the variables, secrets, limits and sandbox of the instance, but not its user, and nothing of the
// workspace: what is tried changes no data. The copy of the app is that of the instance, and must be there.
func Trial(paths platform.Paths, rev platform.Revision, index int, command []string) (settings, argv []string) {
	var w writer
	if rev.Config.DiskSize > 0 {
		w.set("Environment", "JCLOUD_WORKSPACE="+trialWorkspace)
		rev.Config.DiskSize = 0
	}
	rev.Poised = false // it is begun for what it does
	writeEnvironment(&w, paths, rev)
	writeLimits(&w, rev.Config.Instance)
	writeSandbox(&w, paths, rev)
	// A transient unit has no specifiers.
	specifiers := strings.NewReplacer("%%", "%", "%C", filepath.Join(paths.Root, "var/cache"), "%i", strconv.Itoa(index))
	for line := range strings.Lines(w.String()) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "User=") {
			settings = append(settings, specifiers.Replace(strings.TrimSuffix(line, "\n")))
		}
	}
	if rev.Secrets != nil {
		command = append([]string{"/bin/sh", "-c", loadSecrets, "sh"}, command...)
	}
	for _, arg := range command {
		argv = append(argv, strings.ReplaceAll(arg, "$", "$$")) // systemd expands variables
	}
	return settings, argv
}
