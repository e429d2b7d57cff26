package platform_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// The memory of an instance is what the kernel could not take back at once: pages of files that nobody reads any more are not.
func TestMemoryIsTheWorkingSet(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	id := platform.InstanceID{Revision: platform.RevisionID{Function: "ping", Number: 1}, Index: 1}
	dir := filepath.Join(paths.Cgroup(), "fn.slice", platform.SliceName("ping"), id.Service())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for stat, want := range map[string]int64{
		"anon 40\nfile 60\nactive_file 10\ninactive_file 50\n": 50,
		"anon 100\nfile 0\ninactive_file 0\n":                  100,
		"anon 1\ninactive_file 150\n":                          0, // the files are not read at the same moment
	} {
		writeFixture(t, filepath.Join(dir, "memory.current"), "100\n")
		writeFixture(t, filepath.Join(dir, "memory.stat"), stat)
		if got, err := paths.InstanceCgroup(platform.SliceName("ping"), id).Memory(); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", stat, got, err, want)
		}
	}
}
