package platform_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// The copy is what the package has, and is renewed with it.
func TestInstallPoise(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	if has, err := platform.InstallPoise(paths); has || err != nil || platform.HasPoise(paths) {
		t.Errorf("without a package: %v, %v", has, err)
	}
	packaged := filepath.Join(paths.Root, "usr/lib/fnctl/poise")
	for _, dir := range []string{filepath.Dir(packaged), filepath.Dir(paths.Poise())} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var before os.FileInfo
	for n, content := range []string{"one", "one", "another"} {
		if err := os.WriteFile(packaged, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		has, err := platform.InstallPoise(paths)
		copied, _ := os.ReadFile(paths.Poise())
		info, statErr := os.Stat(paths.Poise())
		if !has || err != nil || !platform.HasPoise(paths) || string(copied) != content || statErr != nil || info.Mode() != 0o755 {
			t.Errorf("%s: got %v, %v: %q with %v", content, has, err, copied, info.Mode())
		}
		if n == 1 && !os.SameFile(before, info) {
			t.Error("it was made anew for nothing")
		}
		before = info
	}
	// With an older package there is the copy, and no new one is made.
	if err := os.Remove(packaged); err != nil {
		t.Fatal(err)
	}
	if has, err := platform.InstallPoise(paths); has || err != nil || !platform.Exists(paths.Poise()) {
		t.Errorf("with another package: %v, %v", has, err)
	}
}

// An instance waits if the program that does so is its only process, also after the program was replaced.
func TestWaiting(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	group := platform.InstanceCgroup(paths, "fn-ping.slice", platform.InstanceID{Revision: platform.RevisionID{Function: "ping", Number: 1}, Index: 1})
	for _, dir := range []string{group.Dir(), filepath.Dir(paths.Poise())} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.WriteFile(paths.Poise(), program, 0o755); err != nil {
		t.Fatal(err)
	}
	start := func(program string) int {
		cmd := exec.Command(program, "1000")
		cmd.Args[0] = "sleep" // of a program for all of coreutils
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd.Process.Pid
	}
	waits, other := start(paths.Poise()), start(sleep)
	procs := filepath.Join(group.Dir(), "cgroup.procs")
	for text, want := range map[string]int{
		"": 0, fmt.Sprintln(waits): waits, fmt.Sprintln(other): 0, fmt.Sprintf("%d\n%d\n", waits, other): 0, "4194305\n": 0,
	} {
		if err := os.WriteFile(procs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := group.Waiting(paths); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
		if prepared := group.IsPrepared(); prepared != (text == "") {
			t.Errorf("%q: is prepared: %v", text, prepared)
		}
	}
	if err := platform.WriteFile(paths.Poise(), []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(procs, fmt.Append(nil, waits), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := group.Waiting(paths); got != waits {
		t.Errorf("after it was replaced: got %d, want %d", got, waits)
	}
}
