package deploy

import (
	"os"
	"path/filepath"
	"testing"
)

// Data comes whole to another file system, with its modes and links, and nothing of it stays behind.
func TestMoveTree(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "move")
	if err != nil {
		t.Skip("there is no other file system")
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	for name, target := range map[string]string{"the same": t.TempDir(), "another": other} {
		from, to := filepath.Join(t.TempDir(), "data"), filepath.Join(target, "data")
		part := filepath.Join(target, ".data.part")
		for _, dir := range []string{from, part} {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(from, "-file")
		if err := os.WriteFile(file, []byte("x"), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(file, filepath.Join(from, "same")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(part, "old"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := moveTree(t.Context(), from, to); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		one, err := os.Stat(filepath.Join(to, "-file"))
		if err != nil || one.Mode().Perm() != 0o640 {
			t.Errorf("%s: got %v, %v", name, one, err)
		}
		if two, err := os.Stat(filepath.Join(to, "same")); err != nil || !os.SameFile(one, two) {
			t.Errorf("%s: the two names are of two files: %v", name, err)
		}
		if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: the directory: %v, %v", name, info, err)
		}
		if _, err := os.Stat(from); !os.IsNotExist(err) {
			t.Errorf("%s: it is still there: %v", name, err)
		}
	}
	if left, err := os.ReadDir(other); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}
