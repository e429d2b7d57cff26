//go:build e2e && emulated

package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/workspace"
)

// testXFS: what testDisk finds on ext4 holds for workspaces on XFS, too, the usual file system of distributions with RPM.
func testXFS(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", "truncate -s 400M /var/tmp/xfs && mkfs.xfs -q /var/tmp/xfs && mkdir -p /mnt/xfs && "+
		"mount -o loop,prjquota /var/tmp/xfs /mnt/xfs && mkdir -p /mnt/xfs/var/lib")
	paths := platform.Paths{Root: "/mnt/xfs"}
	limit := func(function string, bytes int64) {
		t.Helper()
		if err := workspace.Limit(paths, function, bytes); err != nil {
			t.Fatal(err)
		}
	}
	// As a user, who cannot exceed a limit as root can, from within: only root may go there.
	write := func(function string) (bytes int, said string) {
		t.Helper()
		m.MustRunIn(t, paths.Workspace(function), "chmod", "777", ".")
		said = m.MustRunIn(t, paths.Workspace(function), "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
			"sh", "-c", "dd if=/dev/zero of=big bs=1M count=60 2>&1 || true")
		bytes, err := strconv.Atoi(strings.TrimSpace(m.MustRunIn(t, paths.Workspace(function), "stat", "-c", "%s", "big")))
		if err != nil {
			t.Fatal(err)
		}
		return bytes, said
	}
	limit("shop", 20e6)
	m.MustRunIn(t, paths.Workspace("shop"), "sh", "-c", `mkdir -p "$(printf '\377')/x"`)
	// XFS takes the limit of a project for the size of a disk.
	if got, said := write("shop"); got < 18e6 || got > 20e6 || !strings.Contains(said, "No space left on device") {
		t.Errorf("of 20 MB it took %d bytes: %s", got, said)
	}
	limit("shop", 40e6)
	if got, _ := write("shop"); got < 38e6 || got > 40e6 {
		t.Errorf("of 40 MB it took %d bytes", got)
	}
	limit("other", 100e6)
	if got, _ := write("other"); got != 60<<20 {
		t.Errorf("the other one, which has 100 MB, could write %d bytes", got)
	}
	if err := workspace.Remove(paths, "shop", os.RemoveAll); err != nil {
		t.Fatal(err)
	}
	limit("shop", 20e6)
	if got, _ := write("shop"); got < 18e6 || got > 20e6 {
		t.Errorf("after it was removed it took %d bytes of 20 MB", got)
	}
}
