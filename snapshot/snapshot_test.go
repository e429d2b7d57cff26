package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/snapshot"
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
	done, err := snapshot.Take(t.Context(), from, to, snapshot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if done.Files != 3 || done.Bytes == 0 {
		t.Errorf("got %+v", done)
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
	link := func(to, name string) func(string) error {
		return func(dir string) error {
			for _, sub := range []string{"sub/sub", "b/c"} {
				if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
					return err
				}
			}
			return os.Symlink(to, filepath.Join(dir, name))
		}
	}
	both := func(one, other func(string) error) func(string) error {
		return func(dir string) error { return errors.Join(one(dir), other(dir)) }
	}
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"a link to outside":          {link("../../etc/passwd", "x"), "x leads to ../../etc/passwd, outside"},
		"an absolute link":           {link("/etc/passwd", "x"), "x leads to /etc/passwd, outside"},
		"a link to outside, by name": {link("..", "x"), "x leads to .., outside"},
		"a link to a link":           {both(link("y", "x"), link("../..", "y")), "x leads to y, outside"},
		"a link through a directory": {both(link("../..", "b/c/up"), link("up/../other", "b/c/x")), "x leads to up/../other, outside"},
		"a link to what is left out": {both(link("y", "x"), both(link("/etc", "y"), func(dir string) error {
			return os.WriteFile(dir+"/.gitignore", []byte("/y"), 0o644)
		})), "x leads to y, outside"},
		"a named pipe": {func(dir string) error { return unix.Mkfifo(filepath.Join(dir, "x"), 0o644) }, "x is a named pipe"},
		"a socket": {func(dir string) error {
			return unix.Mknod(filepath.Join(dir, "x"), unix.S_IFSOCK|0o644, 0)
		}, "x is a socket"},
	} {
		from := t.TempDir()
		if err := c.spoil(from); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "app")
		_, err := snapshot.Take(t.Context(), from, to, snapshot.Options{})
		if !errors.Is(err, snapshot.ErrUnsupported) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if _, err := os.Stat(to); err == nil {
			t.Errorf("%s: something was copied before it was found", name)
		}
	}
}

// Links that lead somewhere in the app, or nowhere, are links in the snapshot.
func TestSnapshotLinks(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "app")
	write(t, filepath.Join(from, "a/b/file"), 0o644)
	links := map[string]string{"file": "a/b/file", "deep": "a/b", "through": "deep/../../file", "a/up": "..", "nowhere": "nothing", "self": "self"}
	for name, end := range links {
		if err := os.Symlink(end, filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := snapshot.Take(t.Context(), from, to, snapshot.Options{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range links {
		if got, err := os.Readlink(filepath.Join(to, name)); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}

// Whatever happens to an app's directory after it was looked at, it is noticed. What is left out may change.
func TestSnapshotOfWhatChanges(t *testing.T) {
	past := time.Unix(1_000_000_000, 0)
	for name, c := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"content of one size": {func(dir string) error { return os.WriteFile(dir+"/a.py", []byte("CONTENT OF a.py"), 0o644) }, "a.py"},
		"content and its time": {func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/a.py", []byte("CONTENT OF a.py"), 0o644), os.Chtimes(dir+"/a.py", past, past))
		}, "a.py"},
		"what was not copied yet": {func(dir string) error { return os.WriteFile(dir+"/z.py", nil, 0o644) }, "z.py"},
		"replaced": {func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/cache.log", []byte("content of a.py"), 0o644), os.Rename(dir+"/cache.log", dir+"/a.py"))
		}, "a.py"},
		"new":                       {func(dir string) error { return os.WriteFile(dir+"/b.py", nil, 0o644) }, "b.py"},
		"gone":                      {func(dir string) error { return os.Remove(dir + "/a.py") }, "a.py"},
		"gone before it was copied": {func(dir string) error { return os.Remove(dir + "/z.py") }, "z.py"},
		"mode":                      {func(dir string) error { return os.Chmod(dir+"/a.py", 0o755) }, "a.py"},
		"renamed":                   {func(dir string) error { return os.Rename(dir+"/lib", dir+"/lob") }, "lib"},
		"what is left out":          {func(dir string) error { return os.WriteFile(dir+"/debug.log", nil, 0o644) }, ""},
	} {
		from := t.TempDir()
		for _, file := range []string{"a.py", "lib/m.py", "z.py"} {
			write(t, filepath.Join(from, file), 0o644)
		}
		if err := os.WriteFile(from+"/.gitignore", []byte("*.log\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		changed := false
		report := func(done, _ snapshot.Amount) {
			if done.Files < 2 || changed { // .gitignore and a.py
				return
			}
			changed = true
			if err := c.change(from); err != nil {
				t.Error(err)
			}
		}
		os.Chtimes(from+"/a.py", past, past)
		_, err := snapshot.Take(t.Context(), from, filepath.Join(t.TempDir(), "app"), snapshot.Options{Report: report})
		var found *snapshot.ChangedError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: got %v", name, err)
		case c.want != "" && (!errors.As(err, &found) || !strings.HasPrefix(found.Name, c.want)):
			t.Errorf("%s: got %v, want that %s changed", name, err, c.want)
		}
	}
}

// Somebody writes to two files all the time, to one after the other. A snapshot in which there is something that was
// written after something that it lacks is noticed.
func TestSnapshotNeverMixed(t *testing.T) {
	from := t.TempDir()
	var files []*os.File
	for _, name := range []string{"a", "z"} {
		file, err := os.Create(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	put := func(n int) {
		for _, file := range files {
			if _, err := file.WriteAt(fmt.Appendf(nil, "%08d", n), 0); err != nil {
				t.Error(err)
			}
		}
	}
	put(0)
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			time.Sleep(time.Duration(n%30) * time.Millisecond)
			put(n)
		}
	})
	defer writer.Wait()
	defer stop()
	noticed, good := 0, 0
	for deadline := time.Now().Add(30 * time.Second); (noticed < 3 || good < 3) && time.Now().Before(deadline); {
		to := filepath.Join(t.TempDir(), "app")
		_, err := snapshot.Take(t.Context(), from, to, snapshot.Options{})
		var changed *snapshot.ChangedError
		switch {
		case errors.As(err, &changed):
			noticed++
			continue
		case err != nil:
			t.Fatal(err)
		}
		good++
		var a, z int
		readNumber(t, to+"/a", &a)
		readNumber(t, to+"/z", &z)
		if a != z && a != z+1 {
			t.Errorf("a is of %d, z of %d", a, z)
		}
	}
	t.Logf("%d were noticed, %d good", noticed, good)
	if noticed == 0 || good == 0 {
		t.Error("that proves nothing")
	}
}

func readNumber(t *testing.T, path string, n *int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(data), "%d", n); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotInterrupted(t *testing.T) {
	from := t.TempDir()
	for _, file := range []string{"a", "b"} {
		write(t, filepath.Join(from, file), 0o644)
	}
	ctx, interrupt := context.WithCancelCause(t.Context())
	report := func(snapshot.Amount, snapshot.Amount) { interrupt(errors.New("interrupted")) }
	to := filepath.Join(t.TempDir(), "app")
	_, err := snapshot.Take(ctx, from, to, snapshot.Options{Report: report})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(to + "/b"); err == nil {
		t.Error("it went on")
	}
}
