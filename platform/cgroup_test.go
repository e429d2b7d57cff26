package platform_test

import (
	"errors"
	"io/fs"
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
		if got, err := platform.InstanceCgroup(paths, platform.SliceName("ping"), id).Memory(); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", stat, got, err, want)
		}
	}
}

func TestSwapOfCgroup(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	group := platform.InstanceCgroup(paths, platform.SliceName("ping"), platform.InstanceID{Revision: platform.RevisionID{Function: "ping", Number: 1}, Index: 1})
	if _, err := group.Anonymous(); !errors.Is(err, fs.ErrNotExist) || group.Swapped() != 0 {
		t.Errorf("a group that is gone has %d in swap, and memory: %v", group.Swapped(), err)
	}
	writeFixture(t, filepath.Join(group.Dir(), "memory.stat"), "anon 40\nfile 60\nanon_thp 7\n")
	writeFixture(t, filepath.Join(group.Dir(), "memory.swap.current"), "30\n")
	if got, err := group.Anonymous(); got != 40 || err != nil {
		t.Errorf("anonymous: %d, %v", got, err)
	}
	if got := group.Swapped(); got != 30 {
		t.Errorf("in swap: %d", got)
	}
}

// All functions together have what the machine has left, or what their slice has, whichever is less.
func TestHostMemory(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	slice := filepath.Join(paths.Cgroup(), "fn.slice")
	writeFixture(t, filepath.Join(paths.Root, "proc/meminfo"), "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 300 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n")
	check := func(what string, free int64) {
		t.Helper()
		want := platform.HostMemory{Total: 1000 << 10, Free: free, SwapTotal: 50 << 10, SwapFree: 20 << 10}
		if got, err := platform.ReadHostMemory(paths); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", what, got, err, want)
		}
	}
	check("no slice", 200<<10)
	writeFixture(t, filepath.Join(slice, "memory.max"), "max\n")
	check("without a limit", 200<<10)
	writeFixture(t, filepath.Join(slice, "memory.max"), "102400\n")
	writeFixture(t, filepath.Join(slice, "memory.current"), "100000\n")
	writeFixture(t, filepath.Join(slice, "memory.stat"), "inactive_file 10000\n")
	check("near its limit", 102400-90000-5120)
	writeFixture(t, filepath.Join(slice, "memory.max"), "10240000\n")
	check("far from it", 200<<10)
}

// What a single function does at its own limit is told from what the machine does, or all functions at theirs.
func TestReclaims(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	if got := platform.ReadReclaims(paths); got != (platform.Reclaims{}) {
		t.Errorf("nothing is known: %+v", got)
	}
	writeFixture(t, filepath.Join(paths.Root, "proc/vmstat"), "pgscan_kswapd 1000\npgscan_direct 20\npgscan_direct_throttle 300\n")
	if got, want := platform.ReadReclaims(paths), (platform.Reclaims{Direct: 20, Kswapd: 1000}); got != want {
		t.Errorf("no slice: got %+v, want %+v", got, want)
	}
	writeFixture(t, filepath.Join(paths.Cgroup(), "fn.slice/memory.events"), "max 5000\n")
	writeFixture(t, filepath.Join(paths.Cgroup(), "fn.slice/memory.events.local"), "low 0\nhigh 0\nmax 3\noom 0\n")
	if got, want := platform.ReadReclaims(paths), (platform.Reclaims{Direct: 23, Kswapd: 1000, Limits: 4997}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
