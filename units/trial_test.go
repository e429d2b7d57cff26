package units_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// What is tried has all that an instance has, but for its user and its data.
func TestTrial(t *testing.T) {
	paths := platform.DefaultPaths()
	for name, rev := range golden(t) {
		rev.Poised = false
		files, err := units.Files(paths, rev)
		if err != nil {
			t.Fatal(err)
		}
		settings, _ := units.Trial(paths, rev, 7, []string{"true"})
		service := files[slices.IndexFunc(files, func(f units.File) bool { return strings.HasSuffix(f.Name, ".service") })].Text
		_, service, _ = strings.Cut(service, "[Service]\n")
		own := []string{"Type", "TimeoutStartSec", "Slice", "ExecStart", "User", "StateDirectory", "StateDirectoryMode", "KillMode", "TimeoutStopSec", "ExecStop", "ExecStopPost", "Delegate"}
		for line := range strings.Lines(service) {
			line = strings.NewReplacer("%C", "/var/cache", "%i", "7", "%S/fnctl-data/"+rev.ID.Function, "/tmp/workspace").Replace(strings.TrimSpace(line))
			key, _, _ := strings.Cut(line, "=")
			if !strings.HasPrefix(line, "#") && slices.Contains(settings, line) == slices.Contains(own, key) {
				t.Errorf("%s: %q is set or is not", name, line)
			}
		}
		if all := strings.Join(settings, "\n"); strings.ContainsAny(strings.ReplaceAll(all, "0%", ""), "%") || strings.Contains(all, "fnctl-data") || strings.Contains(all, "#") {
			t.Errorf("%s: got\n%s", name, all)
		}
	}
}

func TestTrialCommand(t *testing.T) {
	rev := golden(t)["secrets"]
	_, argv := units.Trial(platform.DefaultPaths(), rev, 1, []string{"/usr/bin/python3", "-c", "$x"})
	want := []string{"/bin/sh", "-c", `. "$$CREDENTIALS_DIRECTORY/secrets.sh" && exec "$$@"`, "sh", "/usr/bin/python3", "-c", "$$x"}
	if !slices.Equal(argv, want) {
		t.Errorf("got %q, want %q", argv, want)
	}
	rev.Secrets = nil
	if _, argv = units.Trial(platform.DefaultPaths(), rev, 1, []string{"true"}); !slices.Equal(argv, []string{"true"}) {
		t.Errorf("got %q", argv)
	}
}
