package snapshot

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func takeNothing(string, io.Reader) (bool, error) { return false, nil }

func extractInto(t *testing.T, dir string, data []byte) error {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return extractAll(t.Context(), tar.NewReader(bytes.NewReader(data)), root, takeNothing)
}

// What is archived comes back as it was: modes, times, links, and two names of one file.
func TestArchiveRoundTrip(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	then := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	for name, mode := range map[string]fs.FileMode{"a/main.py": 0o640, "a/run": 0o755, "a/.hidden": 0o600, "skipped": 0o600} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Link(filepath.Join(from, "a/run"), filepath.Join(from, "again")),
		os.Symlink("/usr/bin/python3", filepath.Join(from, "a/link")),
		os.Mkdir(filepath.Join(from, "a/readonly"), 0o500),
		os.Mkdir(filepath.Join(from, "a/\xff"), 0o700),
		os.WriteFile(filepath.Join(from, "a/\xff/\xfe"), nil, 0o600),
		os.Chtimes(filepath.Join(from, "a"), then, then),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var archived bytes.Buffer
	a := NewArchive(&archived)
	if err := a.AddTree(t.Context(), from, "x", func(name string) bool { return name == "x/skipped" }); err != nil {
		t.Fatal(err)
	}
	if err := a.AddFile("x/added", []byte("more")); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := extractInto(t, to, archived.Bytes()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		"x/a": fs.ModeDir | 0o750, "x/a/main.py": 0o640, "x/a/run": 0o755, "x/a/.hidden": 0o600, "x/again": 0o755,
		"x/a/readonly": fs.ModeDir | 0o500, "x/added": 0o600, "x/a/link": fs.ModeSymlink | 0o777, "x/a/\xff/\xfe": 0o600,
	} {
		info, err := os.Lstat(filepath.Join(to, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Mode(); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if dated := name == "x/a" || strings.HasPrefix(name, "x/a/m"); dated && !info.ModTime().Equal(then) {
			t.Errorf("%s: got the time %v, want %v", name, info.ModTime(), then)
		}
	}
	if _, err := os.Stat(filepath.Join(to, "x/skipped")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is skipped is there: %v", err)
	}
	one, _ := os.Stat(filepath.Join(to, "x/a/run"))
	other, _ := os.Stat(filepath.Join(to, "x/again"))
	if !os.SameFile(one, other) {
		t.Error("two names of one file have become two files")
	}
}

// Who may write to a directory while it is archived gets nothing from outside of it into the archive, and keeps nobody from
// archiving it.
func TestArchiveWhileChanging(t *testing.T) {
	for name, change := range map[string]struct {
		at   string // the change is made when this was found, and not yet read
		make func(dir, outside string) error
	}{
		"link for a directory": {"x/dir", func(dir, outside string) error {
			return errors.Join(os.RemoveAll(dir+"/dir"), os.Symlink(outside, dir+"/dir"))
		}},
		"link above a file": {"x/dir/file", func(dir, outside string) error {
			return errors.Join(os.RemoveAll(dir+"/dir"), os.Symlink(outside, dir+"/dir"))
		}},
		"link for a file": {"x/dir/file", func(dir, outside string) error {
			return errors.Join(os.Remove(dir+"/dir/file"), os.Symlink(outside+"/file", dir+"/dir/file"))
		}},
		"pipe for a file": {"x/dir/file", func(dir, _ string) error {
			return errors.Join(os.Remove(dir+"/dir/file"), unix.Mkfifo(dir+"/dir/file", 0o600))
		}},
		"pipe for a directory": {"x/dir", func(dir, _ string) error {
			return errors.Join(os.RemoveAll(dir+"/dir"), unix.Mkfifo(dir+"/dir", 0o600))
		}},
		"directory for a link":   {"x/link", func(dir, _ string) error { return errors.Join(os.Remove(dir+"/link"), os.Mkdir(dir+"/link", 0o700)) }},
		"directory that is gone": {"x/dir", func(dir, _ string) error { return os.RemoveAll(dir + "/dir") }},
		"file that is gone":      {"x/dir/file", func(dir, _ string) error { return os.Remove(dir + "/dir/file") }},
		"another file":           {"x/dir/file", func(dir, _ string) error { return os.WriteFile(dir+"/dir/file", []byte("a longer one"), 0o600) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir, outside := t.TempDir(), t.TempDir()
			for _, err := range []error{
				os.Mkdir(dir+"/dir", 0o700), os.WriteFile(dir+"/dir/file", []byte("its own"), 0o600), os.Symlink("dir/file", dir+"/link"),
				os.WriteFile(dir+"/stays", []byte("stays"), 0o600), os.WriteFile(outside+"/file", []byte("another's"), 0o600),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			var archived bytes.Buffer
			a := NewArchive(&archived)
			err := a.AddTree(t.Context(), dir, "x", func(name string) bool {
				if name == change.at {
					if err := change.make(dir, outside); err != nil {
						t.Error(err)
					}
				}
				return false
			})
			if err != nil {
				t.Error(err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(archived.Bytes(), []byte("another's")) {
				t.Error("what is outside is in the archive")
			}
			if !bytes.Contains(archived.Bytes(), []byte("stays")) {
				t.Error("what did not change is not in the archive")
			}
		})
	}
}

// A file that becomes shorter while it is read is as long in the archive as it was.
func TestArchiveTruncated(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	const size = 10 << 20
	if err := os.WriteFile(filepath.Join(dir, "log"), bytes.Repeat([]byte("x"), size), 0o600); err != nil {
		t.Fatal(err)
	}
	var archived bytes.Buffer
	a := NewArchive(&truncating{w: &archived, at: size / 2, file: filepath.Join(dir, "log")})
	if err := a.AddTree(t.Context(), dir, "x", func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Truncated, []string{"x/log"}) {
		t.Errorf("truncated: %q", a.Truncated)
	}
	if err := extractInto(t, to, archived.Bytes()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(to, "x/log"))
	if rest := bytes.TrimLeft(data, "x"); err != nil || len(data) != size || len(rest) < size/4 || len(bytes.Trim(rest, "\x00")) != 0 {
		t.Errorf("got %d bytes, of which %d are the rest: %v", len(data), len(rest), err)
	}
}

// truncating empties a file when so many bytes of an archive were written.
type truncating struct {
	w    io.Writer
	at   int
	file string
}

func (w *truncating) Write(p []byte) (int, error) {
	if w.at -= len(p); w.at < 0 && w.file != "" {
		if err := os.Truncate(w.file, 0); err != nil {
			return 0, err
		}
		w.file = ""
	}
	return w.w.Write(p)
}

// No archive writes outside of the directory that it is extracted into.
func TestExtractHostile(t *testing.T) {
	for name, members := range map[string][]tar.Header{
		"parent":           {{Name: "../x", Typeflag: tar.TypeReg}},
		"absolute":         {{Name: "/x", Typeflag: tar.TypeReg}},
		"through a link":   {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../outside"}, {Name: "l/x", Typeflag: tar.TypeReg}},
		"absolute link":    {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, {Name: "l/x", Typeflag: tar.TypeReg}},
		"over a link":      {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../outside/x"}, {Name: "l", Typeflag: tar.TypeReg}},
		"hard link":        {{Name: "l", Typeflag: tar.TypeLink, Linkname: "../outside/kept"}},
		"device":           {{Name: "d", Typeflag: tar.TypeChar}},
		"mode of a parent": {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../outside"}, {Name: "l", Typeflag: tar.TypeDir, Mode: 0o777}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			outside := filepath.Join(dir, "outside")
			for _, err := range []error{
				os.Mkdir(filepath.Join(dir, "to"), 0o755), os.Mkdir(outside, 0o755),
				os.WriteFile(filepath.Join(outside, "kept"), []byte("kept"), 0o644),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			var archived bytes.Buffer
			w := tar.NewWriter(&archived)
			for _, header := range members {
				if err := w.WriteHeader(&header); err != nil {
					t.Fatal(err)
				}
			}
			if err := extractInto(t, filepath.Join(dir, "to"), archived.Bytes()); err == nil {
				t.Error("it was extracted")
			}
			if list, _ := filepath.Glob(filepath.Join(dir, "*")); len(list) != 2 {
				t.Errorf("beside it: %v", list)
			}
			if list, _ := os.ReadDir(outside); len(list) != 1 {
				t.Errorf("outside: %v", list)
			}
			if info, _ := os.Stat(outside); info.Mode().Perm() != 0o755 {
				t.Errorf("the mode outside is %v", info.Mode())
			}
		})
	}
}

func FuzzExtract(f *testing.F) {
	var archived bytes.Buffer
	a := NewArchive(&archived)
	if err := a.AddFile("a/b", []byte("text")); err != nil {
		f.Fatal(err)
	}
	if err := a.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(archived.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		to := filepath.Join(dir, "to")
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = extractInto(t, to, data)
		if list, _ := os.ReadDir(dir); len(list) != 1 {
			t.Errorf("outside: %v", list)
		}
	})
}
