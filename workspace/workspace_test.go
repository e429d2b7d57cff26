package workspace_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/workspace"
)

// Limits that are enforced take a file system with project quotas: TestLimits has one.
func TestLimitWithoutQuotas(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(paths.Root, "var/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := workspace.Limit(paths, "shop", 1e9); !errors.Is(err, workspace.ErrNoQuota) {
		t.Skipf("temporary files are on a file system with project quotas: %v", err)
	}
	if _, err := os.Stat(paths.Workspace("shop")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the workspace was made: %v", err)
	}
}

func TestRemove(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	make := func() {
		t.Helper()
		for _, dir := range []string{paths.Workspace("shop"), filepath.Dir(paths.WorkspaceLink("shop"))} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(paths.Workspace("shop"), paths.WorkspaceLink("shop")); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	make()
	if err := os.WriteFile(filepath.Join(paths.Workspace("shop"), "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := workspace.Remove(paths, "shop", os.Remove); err == nil {
		t.Error("data was removed")
	}
	for _, remove := range []func(string) error{os.RemoveAll, os.Remove} {
		make()
		if err := workspace.Remove(paths, "shop", remove); err != nil {
			t.Error(err)
		}
		for _, path := range []string{paths.Workspace("shop"), paths.WorkspaceLink("shop")} {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", path, err)
			}
		}
	}
}
