package platform_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

func TestFailedDeploy(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	id := platform.RevisionID{Function: "shop", Number: 2}
	if err := os.MkdirAll(store.Paths.Revision(id), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, failed := store.FailedDeploy(id); failed {
		t.Errorf("got %+v before it failed", got)
	}
	if err := store.RemoveFailedDeploy(id); err != nil {
		t.Errorf("remove what is not there: %v", err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := store.PutFailedDeploy(id, platform.FailedDeploy{Time: at, Explanation: "it said\n\x1b[31m" + strings.Repeat("x", 1000)}); err != nil {
		t.Fatal(err)
	}
	got, failed := store.FailedDeploy(id)
	if !failed || !got.Time.Equal(at) || !strings.HasPrefix(got.Explanation, "it said  [31mxxx") || len(got.Explanation) > 310 {
		t.Errorf("got %+v, %v", got, failed)
	}
	if err := os.WriteFile(store.Paths.FailedDeploy(id), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, failed := store.FailedDeploy(id); !failed {
		t.Error("a damaged file makes a failed revision a good one")
	}
	if err := store.RemoveFailedDeploy(id); err != nil {
		t.Fatal(err)
	}
	if _, failed := store.FailedDeploy(id); failed {
		t.Error("it is still there")
	}
}
