package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// What is wrong with an environment file is said with file and line, never with a value.
func TestReadEnv(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"good", "A=$1\nexport B='x y'\n", ""},
		{"empty", "", ""},
		{"no equals sign", "A=1\nhunter2\n", ":2: a line must be KEY=VALUE, a comment or empty"},
		{"name", "1A=hunter2\n", ":1: an environment variable is named with"},
		{"twice", "A=1\nA=hunter2\n", ":2: A is already set in line 1"},
		{"quote", "A=\"hunter2\n", ":1: the quotation mark before the value has no second one after it"},
		{"after a quote", "A='hunter2' x\n", ":1: only a comment may follow after a value in quotes"},
		{"null", "A=hunter2\x00\n", ":1: "},
		{"not text", "A=hunter2\xff\n", ":1: the file must be UTF-8 text"},
		{"large", strings.Repeat("#", EnvLimit+1), ": the file is larger than 2097152 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "env")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := readEnv(path)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "":
			case err == nil || !strings.HasPrefix(err.Error(), path+c.want):
				t.Errorf("got %v, want %s", err, c.want)
			case strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error has a value: %v", err)
			}
		})
	}
}

func TestNoEnvFileKeepsTheLast(t *testing.T) {
	if env, err := readEnv(""); env != nil || err != nil {
		t.Errorf("got %v, %v, want nil", env, err)
	}
	empty := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if env, err := readEnv(empty); env == nil || err != nil {
		t.Errorf("an empty file: got %v, %v, want no variable, but not nil", env, err)
	}
}

// An app takes the place of that of another directory only if somebody says so.
func TestCheckSource(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	here, there, gone := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "gone")
	linked := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(there, linked); err != nil {
		t.Fatal(err)
	}
	rev := platform.Revision{ID: platform.RevisionID{Function: "app", Number: 1}, Config: platform.DefaultConfig()}
	if err := os.MkdirAll(store.Paths.Revision(rev.ID), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := store.PutRoute(platform.RouteTo(rev)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, deployed string
		request        Request
		refused        bool
	}{
		{"the same", here, Request{Name: "app", source: here, nameOfDir: true}, false},
		{"another one", there, Request{Name: "app", source: here, nameOfDir: true}, true},
		{"another one by name", there, Request{Name: "app", source: here}, false},
		{"the same by a link", there, Request{Name: "app", source: linked, nameOfDir: true}, false},
		{"one that is gone", gone, Request{Name: "app", source: here, nameOfDir: true}, false},
		{"one that is not known", "", Request{Name: "app", source: here, nameOfDir: true}, false},
		{"another function", there, Request{Name: "api", source: here, nameOfDir: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rev.Source = c.deployed
			if err := store.PutRevision(store.Paths.Revision(rev.ID), rev); err != nil {
				t.Fatal(err)
			}
			err := c.request.checkSource(store)
			if refused := err != nil; refused != c.refused {
				t.Errorf("got %v", err)
			}
			if c.refused && !strings.Contains(err.Error(), there+", and this is "+here) {
				t.Errorf("the error doesn't name both: %v", err)
			}
		})
	}
}
