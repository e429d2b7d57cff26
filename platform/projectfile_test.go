package platform_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// A project can neither show what only root may read nor keep root waiting.
func TestReadBeneath(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	writeFixture(t, filepath.Join(outside, "shadow"), "root:secret")
	writeFixture(t, filepath.Join(dir, "real"), "text")
	for name, target := range map[string]string{
		"inside": "real", "absolute": filepath.Join(outside, "shadow"), "upwards": "../" + filepath.Base(outside) + "/shadow", "nowhere": "gone",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, want := range map[string]string{"real": "text", "inside": "text"} {
		if got, err := platform.ReadBeneath(root, name, 100); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if got, err := platform.ReadBeneath(root, "real", 2); err != nil || string(got) != "te" {
		t.Errorf("two bytes: got %q, %v", got, err)
	}
	for name, want := range map[string]string{
		"absolute": "is a link that leads out of", "upwards": "is a link that leads out of", "nowhere": "no such file",
		"pipe": "not a regular file", ".": "is a directory", "../x": "",
	} {
		got, err := platform.ReadBeneath(root, name, 100)
		if err == nil || !strings.Contains(err.Error(), want) || len(got) > 0 {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	// The configuration is such a file.
	for _, name := range []string{"absolute", "pipe"} {
		app := t.TempDir()
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(app, "jcloud.yml")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := platform.LoadConfig(app, ""); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s as jcloud.yml: %v", name, err)
		}
	}
}
