package platform_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestWorkdirDamaged(t *testing.T) {
	store := newStore(t)
	id := platform.InstanceID{Revision: platform.RevisionID{Function: "ping", Number: 1}, Index: 1}
	check := func(want bool, what string) {
		t.Helper()
		if got := store.WorkdirDamaged(id); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	make := func(path string) {
		t.Helper()
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(path string) {
		t.Helper()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	check(false, "without an app nothing can be told")
	app, work := store.Paths.Snapshot(id.Revision), store.Paths.Workdir(id)
	make(filepath.Join(app, "a"))
	make(filepath.Join(app, "b"))
	check(true, "no copy")
	make(filepath.Join(work, "a"))
	check(true, "half a copy")
	make(filepath.Join(work, "b"))
	make(filepath.Join(work, "c"))
	check(false, "what the app has written is no damage")
	remove(work)
	if err := os.WriteFile(work, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	check(true, "a file in its place")
}
