package snapshot_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fnctl/fnctl/snapshot"
)

func sameFile(t *testing.T, one, other string) bool {
	t.Helper()
	a, errA := os.Stat(one)
	b, errB := os.Stat(other)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	return os.SameFile(a, b)
}

func TestShareSnapshot(t *testing.T) {
	from := takeSnapshot(t, writeApp(t))
	to := filepath.Join(t.TempDir(), "shared")
	done, err := snapshot.Share(t.Context(), from, to)
	if err != nil || done.Files != 2 || done.Shared != 2 || done.Bytes != int64(len("main.py")+len("lib/part.py")) {
		t.Fatalf("got %+v, %v", done, err)
	}
	if same, err := snapshot.Same(t.Context(), from, to); err != nil || !same {
		t.Errorf("got %v, %v", same, err)
	}
	if !sameFile(t, from+"/lib/part.py", to+"/lib/part.py") {
		t.Error("it was not shared")
	}
}

// A snapshot on another file system is copied.
func TestShareSnapshotAcrossFileSystems(t *testing.T) {
	from := takeSnapshot(t, writeApp(t))
	dir, err := os.MkdirTemp("/dev/shm", "snapshot")
	if err != nil {
		t.Skip("there is no other file system")
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	done, err := snapshot.Share(t.Context(), from, dir+"/copied")
	if err != nil || done.Shared != 0 {
		t.Fatalf("got %+v, %v", done, err)
	}
	if same, err := snapshot.Same(t.Context(), from, dir+"/copied"); err != nil || !same {
		t.Errorf("got %v, %v", same, err)
	}
}

// What is the same as in the snapshot before is shared, whatever its time; what differs in anything else is not.
func TestSnapshotSharesWithTheOneBefore(t *testing.T) {
	past := time.Unix(1_000_000_000, 0)
	for _, c := range []struct {
		name   string
		change func(dir string) error
		shared bool
	}{
		{"nothing", func(string) error { return nil }, true},
		{"time", func(dir string) error { return os.Chtimes(dir+"/main.py", past, past) }, true},
		{"content of one size", func(dir string) error { return os.WriteFile(dir+"/main.py", []byte("main.pi"), 0o644) }, false},
		{"size", func(dir string) error { return os.WriteFile(dir+"/main.py", []byte("more than that"), 0o644) }, false},
		{"mode", func(dir string) error { return os.Chmod(dir+"/main.py", 0o755) }, false},
	} {
		app := writeApp(t)
		before := takeSnapshot(t, app)
		if err := c.change(app); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(app + "/main.py")
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "app")
		done, err := snapshot.Take(t.Context(), app, to, snapshot.Options{Before: before})
		if err != nil || done.Files != 2 {
			t.Fatalf("%s: got %+v, %v", c.name, done, err)
		}
		if got := sameFile(t, before+"/main.py", to+"/main.py"); got != c.shared || !sameFile(t, before+"/lib/part.py", to+"/lib/part.py") {
			t.Errorf("%s: shared %v, want %v", c.name, got, c.shared)
		}
		if got, err := os.ReadFile(to + "/main.py"); err != nil || string(got) != string(want) {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, want)
		}
		if same, err := snapshot.Same(t.Context(), app, to); err != nil || !same {
			t.Errorf("%s: got %v, %v", c.name, same, err)
		}
	}
}
