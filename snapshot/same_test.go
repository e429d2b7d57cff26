package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fnctl/fnctl/snapshot"
)

// writeApp makes an app of each kind of file that a snapshot has, or leaves behind.
func writeApp(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	for _, sub := range []string{"", "lib", "empty", "__pycache__"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"main.py", "lib/part.py", "__pycache__/main.pyc"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("main.py", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func takeSnapshot(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "snapshot")
	if _, err := snapshot.Take(t.Context(), dir, to, snapshot.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestSameSnapshot(t *testing.T) {
	past := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name   string
		change func(dir string) error
		same   bool
	}{
		{"nothing", func(string) error { return nil }, true},
		{"time", func(dir string) error { return os.Chtimes(dir+"/main.py", past, past) }, true},
		{"what stays behind", func(dir string) error { return os.WriteFile(dir+"/__pycache__/other.pyc", nil, 0o644) }, true},
		{"what is ignored", func(dir string) error { return os.WriteFile(dir+"/debug.log", nil, 0o644) }, true},
		{"what was ignored", func(dir string) error { return os.Remove(dir + "/.gitignore") }, false},
		{"content of one size", func(dir string) error { return os.WriteFile(dir+"/main.py", []byte("main.pi"), 0o644) }, false},
		{"content of another size", func(dir string) error { return os.WriteFile(dir+"/main.py", nil, 0o644) }, false},
		{"mode", func(dir string) error { return os.Chmod(dir+"/lib/part.py", 0o755) }, false},
		{"mode of a directory", func(dir string) error { return os.Chmod(dir+"/lib", 0o700) }, false},
		{"new file", func(dir string) error { return os.WriteFile(dir+"/new.py", nil, 0o644) }, false},
		{"new directory", func(dir string) error { return os.Mkdir(dir+"/new", 0o755) }, false},
		{"file gone", func(dir string) error { return os.Remove(dir + "/lib/part.py") }, false},
		{"other name", func(dir string) error { return os.Rename(dir+"/main.py", dir+"/mein.py") }, false},
		{"link to another file", func(dir string) error {
			os.Remove(dir + "/link")
			return os.Symlink("lib/part.py", dir+"/link")
		}, false},
		{"file instead of a directory", func(dir string) error {
			os.Remove(dir + "/empty")
			return os.WriteFile(dir+"/empty", nil, 0o755)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := writeApp(t)
			if err := os.WriteFile(dir+"/.gitignore", []byte("*.log\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			taken := takeSnapshot(t, dir)
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			if same, err := snapshot.Same(t.Context(), dir, taken); err != nil || same != c.same {
				t.Errorf("got %v, %v, want %v", same, err, c.same)
			}
		})
	}
	dir, without := writeApp(t), "lib/part.py"
	taken := filepath.Join(t.TempDir(), "app")
	if _, err := snapshot.Take(t.Context(), dir, taken, snapshot.Options{Without: []string{without}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(taken, without)); err == nil {
		t.Errorf("%s was not left out", without)
	}
	if same, err := snapshot.Same(t.Context(), dir, taken, without); err != nil || !same {
		t.Errorf("without %s: got %v, %v", without, same, err)
	}
	if same, err := snapshot.Same(t.Context(), dir, taken); err != nil || same {
		t.Errorf("with %s: got %v, %v", without, same, err)
	}
	if _, err := snapshot.Same(t.Context(), writeApp(t), "/nonexistent"); err == nil {
		t.Error("a snapshot that is gone is no error")
	}
}
