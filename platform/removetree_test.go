package platform_test

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// deepen makes a chain of directories below one, with a file in each, and returns to where it was.
func deepen(t *testing.T, dir string, levels int) {
	t.Helper()
	t.Chdir(dir)
	for range levels {
		if err := os.WriteFile("file", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkdir("d", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Chdir("d"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chdir("/"); err != nil {
		t.Fatal(err)
	}
}

// A tree that is deeper than there are descriptors is removed, and nothing that its links lead to.
func TestRemoveTree(t *testing.T) {
	root := t.TempDir()
	tree, outside := filepath.Join(root, "tree"), filepath.Join(root, "outside")
	for _, dir := range []string{filepath.Join(tree, ".lifted-1"), filepath.Join(tree, "wide"), outside} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{filepath.Join(tree, "link"), filepath.Join(tree, "wide", "link")} {
		if err := os.Symlink(outside, link); err != nil {
			t.Fatal(err)
		}
	}
	for range 3000 {
		if f, err := os.CreateTemp(filepath.Join(tree, "wide"), ""); err != nil {
			t.Fatal(err)
		} else {
			f.Close()
		}
	}
	deepen(t, tree, 1000)
	deepen(t, filepath.Join(tree, "wide"), 700)
	deepen(t, filepath.Join(tree, ".lifted-1"), 200)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 256
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	if err := os.RemoveAll(tree); err == nil {
		t.Fatal("os.RemoveAll can do it: the test proves nothing")
	}
	if err := platform.RemoveTree(tree); err != nil {
		t.Fatal(err)
	}
	if platform.Exists(tree) || !platform.Exists(filepath.Join(outside, "kept")) {
		t.Error("the tree is there, or what a link in it leads to is not")
	}
	link := filepath.Join(root, "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, filepath.Join(root, "nothing")} {
		if err := platform.RemoveTree(path); err != nil || platform.Exists(path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if !platform.Exists(filepath.Join(outside, "kept")) {
		t.Error("a link is followed")
	}
}

// Two that remove the same tree come to an end, and none fails for what the other has done.
func TestRemoveTreeTwice(t *testing.T) {
	for range 20 {
		tree := filepath.Join(t.TempDir(), "tree")
		for _, dir := range []string{"a/b/c", "a/d", "e"} {
			dir = filepath.Join(tree, dir)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				if f, err := os.CreateTemp(dir, ""); err != nil {
					t.Fatal(err)
				} else {
					f.Close()
				}
			}
		}
		var removing sync.WaitGroup
		for range 4 {
			removing.Go(func() {
				if err := platform.RemoveTree(tree); err != nil {
					t.Error(err)
				}
			})
		}
		removing.Wait()
		if platform.Exists(tree) {
			t.Fatal("it is there")
		}
	}
}
