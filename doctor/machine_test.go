package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func newExamination(t *testing.T, files map[string]string) *examination {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &examination{store: platform.Store{Paths: platform.Paths{Root: root}}}
}

// What always runs is summed over functions, with what "fnctl scale" says, and without those that are paused.
func TestMemoryOfWhatAlwaysRuns(t *testing.T) {
	e := newExamination(t, map[string]string{"proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 4000000 kB\n"})
	deploy := func(name, tier string, least int, paused bool) {
		rev := platform.Revision{ID: platform.RevisionID{Function: name, Number: 1}, Config: platform.DefaultConfig()}
		rev.Config.Instance, _ = platform.TierByName(tier)
		rev.Config.Autoscale.Min = least
		dir := e.store.Paths.Revision(rev.ID)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		route := platform.RouteTo(rev)
		route.Paused = paused
		for _, err := range []error{e.store.PutRevision(dir, rev), e.store.PutRoute(route)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(what string, verdict Verdict, text string) {
		t.Helper()
		e.findings = nil
		if err := e.checkMemory(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(e.findings) != 1 || e.findings[0].Verdict != verdict || !strings.Contains(e.findings[0].Text, text) {
			t.Errorf("%s: %+v, want %s: %s", what, e.findings, verdict, text)
		}
	}
	deploy("one", "C3", 1, false) // 2 GB
	deploy("zero", "C3", 0, false)
	deploy("paused", "C3", 9, true)
	check("one instance", OK, "the instances that always run may use 2.0 GB of 4.1 GB")
	deploy("two", "C3", 1, false)
	check("two", OK, "4.0 GB of 4.1 GB")
	three := 3
	if err := e.store.PutScale("two", platform.Scale{Min: &three}); err != nil {
		t.Fatal(err)
	}
	check("scaled", Warning, "may use 8.0 GB, and the machine has 4.1 GB")
}

func TestSELinux(t *testing.T) {
	for enforce, want := range map[string]Verdict{"1\n": Warning, "0\n": OK} {
		e := newExamination(t, map[string]string{"sys/fs/selinux/enforce": enforce})
		if err := e.checkExecution(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(e.findings) != 1 || e.findings[0].Verdict != want {
			t.Errorf("enforce is %q: %+v", enforce, e.findings)
		}
	}
}
