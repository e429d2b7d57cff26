package inspect

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

func TestDiskStatus(t *testing.T) {
	in := &Inspector{Store: platform.Store{Paths: platform.Paths{Root: t.TempDir()}}}
	id := platform.RevisionID{Function: "ping", Number: 1}
	for dir, size := range map[string]int{
		in.Store.Paths.Snapshot(id): 100_000, in.Store.Paths.Workspace("ping"): 300_000,
		in.Store.Paths.Workdir(platform.InstanceID{Revision: id, Index: 1}): 200_000, in.Store.Paths.Workdir(platform.InstanceID{Revision: id, Index: 2}): 200_000,
		in.Store.Paths.Workdir(platform.InstanceID{Revision: platform.RevisionID{Function: "pong", Number: 1}, Index: 1}): 900_000,
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/file", make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	about := func(what string, got, want int64) {
		t.Helper()
		if got < want || got > want+50_000 { // directories have a size, too
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	disk := in.DiskOf(t.Context(), "ping")
	about("revisions", disk.Revisions, 100_000)
	about("alone", disk.Alone, 100_000)
	about("instances", disk.Instances, 400_000)
	about("workspace", disk.Workspace, 300_000)
	if disk.Partial || len(in.Problems) > 0 {
		t.Errorf("got %+v, %v", disk, in.Problems)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if disk = in.DiskOf(late, "ping"); !disk.Partial || !strings.HasPrefix(disk.String(), "at least ") || len(in.Problems) > 0 {
		t.Errorf("without time: got %+v, %v", disk, in.Problems)
	}
	if got, want := (*Disk)(nil).String(), "only root can see it"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
