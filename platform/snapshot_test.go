package platform_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

func write(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("content of "+filepath.Base(path)), mode); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshot(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "app")
	for _, file := range []string{"main.py", "pkg/mod.py", ".git/config", "pkg/__pycache__/mod.pyc", "env/pyvenv.cfg", "env/lib/x.py"} {
		write(t, filepath.Join(from, file), 0o444)
	}
	write(t, filepath.Join(from, "run"), 0o755)
	if err := os.Symlink("pkg/mod.py", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1_000_000_000, 0)
	if err := os.Chtimes(filepath.Join(from, "main.py"), old, old); err != nil {
		t.Fatal(err)
	}
	files, bytes, err := platform.Snapshot(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	if files != 3 || bytes == 0 {
		t.Errorf("got %d files, %d bytes", files, bytes)
	}
	var got []string
	filepath.WalkDir(to, func(path string, _ os.DirEntry, err error) error {
		name, _ := filepath.Rel(to, path)
		got = append(got, name)
		return err
	})
	if want := []string{".", "link", "main.py", "pkg", "pkg/mod.py", "run"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	info, err := os.Stat(filepath.Join(to, "main.py"))
	if err != nil || !info.ModTime().Equal(old) || info.Mode().Perm() != 0o644 {
		t.Errorf("main.py: %v %v %v, want the old time, and writable by its owner", info.ModTime(), info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(to, "run")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("run: %v %v", info.Mode(), err)
	}
}

func TestSnapshotRefuses(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"a link to outside":          func(dir string) error { return os.Symlink("../../etc/passwd", filepath.Join(dir, "x")) },
		"an absolute link":           func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "x")) },
		"a named pipe":               func(dir string) error { return unix.Mkfifo(filepath.Join(dir, "x"), 0o644) },
		"a link to outside, by name": func(dir string) error { return os.Symlink("..", filepath.Join(dir, "x")) },
	} {
		from := t.TempDir()
		if err := spoil(from); err != nil {
			t.Fatal(err)
		}
		if _, _, err := platform.Snapshot(t.Context(), from, filepath.Join(t.TempDir(), "app")); !errors.Is(err, platform.ErrSnapshot) {
			t.Errorf("%s: got %v, want ErrSnapshot", name, err)
		}
	}
}
