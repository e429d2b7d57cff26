package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
)

func TestStartedFiles(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"main.py", "server.js", "pkg/api/__init__.py", "pkg/api.py", "3"} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		app     string
		command []string
		want    []string
	}{
		{"main:app", []string{"python3", "-m", "uvicorn", "main:app", "--fd", "3"}, []string{"main.py"}},
		{"pkg.api:app", nil, []string{"pkg/api/__init__.py"}},
		{"", []string{"/usr/bin/node", "./server.js", "--data", "pkg"}, []string{"server.js"}},
		{"/usr/bin/true", []string{"/usr/bin/true"}, nil},
	} {
		d := deployment{request: Request{Dir: dir, App: build.App{Text: c.app}}, revision: platform.Revision{Command: c.command}}
		if got := d.startedFiles(); !slices.Equal(got, c.want) {
			t.Errorf("%s %q: got %q, want %q", c.app, c.command, got, c.want)
		}
	}
}

func TestCheckLeftOut(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "src/app"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "src/app/main.py"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d := deployment{request: Request{Dir: dir, App: build.App{Text: "src.app.main:app"}}}
	for _, c := range []struct {
		left snapshot.LeftOut
		want string
	}{
		{snapshot.LeftOut{Name: "src/app/main.py", Rule: ".gitignore:3: main.*"}, "src/app/main.py is not deployed: it is ignored by .gitignore:3: main.*"},
		{snapshot.LeftOut{Name: "src", Rule: ".gitignore:1: src/"}, "src/app/main.py is not deployed: it is ignored by .gitignore:1: src/"},
		{snapshot.LeftOut{Name: "src/app"}, "src/app/main.py is not deployed: src/app stays behind"},
		{snapshot.LeftOut{Name: "src/ap", Rule: "x"}, ""},
		{snapshot.LeftOut{Name: "src/app/main.pyc", Rule: "x"}, ""},
	} {
		d.leftOut = []snapshot.LeftOut{{Name: "other", Rule: "x"}, c.left}
		err := d.checkLeftOut()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.left, err, c.want)
		}
	}
}

// What is called by its path in an environment is found by name in the one that is made.
func TestCheckLeftOutEnvironment(t *testing.T) {
	err := explainLeftOut(".venv/bin/uvicorn", snapshot.LeftOut{Name: ".venv"})
	if !strings.Contains(err.Error(), "is a virtual environment") || platform.HintOf(err) != "name its packages in requirements.txt; their programs are found by name: uvicorn" {
		t.Errorf("got %v: %s", err, platform.HintOf(err))
	}
}

func TestIgnoredText(t *testing.T) {
	rule := func(names ...string) (left []snapshot.LeftOut) {
		for _, name := range names {
			left = append(left, snapshot.LeftOut{Name: name, Rule: ".gitignore:1: x"})
		}
		return append(left, snapshot.LeftOut{Name: ".git"})
	}
	for want, left := range map[string][]snapshot.LeftOut{
		"":                                rule(),
		"; 1 ignored: a.pkl":              rule("a.pkl"),
		"; 3 ignored: a, b, c":            rule("a", "b", "c"),
		"; 5 ignored: a, b, c and 2 more": rule("a", "b", "c", "d", "e"),
	} {
		if got := ignoredText(left); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// An app that misses a file which was ignored is told which rule it was.
func TestMissesLeftOut(t *testing.T) {
	d := deployment{leftOut: []snapshot.LeftOut{
		{Name: "data", Rule: ".gitignore:1: data"}, {Name: "model.pkl", Rule: ".gitignore:2: *.pkl"}, {Name: ".git"},
		{Name: "lib", Rule: ".gitignore:3: lib/"}, {Name: "local_settings.py", Rule: ".gitignore:4: local_settings.py"},
	}}
	d.revision.ID = platform.RevisionID{Function: "shop", Number: 2}
	for line, want := range map[string]string{
		`FileNotFoundError: [Errno 2] No such file or directory: 'model.pkl'`:                             "model.pkl",
		`FileNotFoundError: [Errno 2] No such file or directory: '/var/cache/x/data/a.csv'`:               "",
		`FileNotFoundError: [Errno 2] No such file or directory: 'data/a.csv'`:                            "data",
		`No such file or directory: '/var/cache/private/fnctl/shop-00002@3/data/a.csv'`:                   "data",
		`No such file or directory: '/var/cache/private/fnctl/shop-00003@3/data/a.csv'`:                   "",
		`FileNotFoundError: [Errno 2] No such file or directory: './data'`:                                "data",
		`Error: ENOENT: no such file or directory, open '/var/cache/fnctl/x/model.pkl'`:                   "model.pkl",
		`FileNotFoundError: [Errno 2] No such file or directory: 'other.pkl'`:                             "",
		`FileNotFoundError: [Errno 2] No such file or directory: '.git'`:                                  "",
		`open data/x.json: no such file or directory`:                                                     "data",
		`main.rb:1:in 'initialize': No such file or directory @ rb_sysopen - data/x.json (Errno::ENOENT)`: "data",
		`java.io.FileNotFoundException: data/x.json (No such file or directory)`:                          "data",
		`ModuleNotFoundError: No module named 'lib.core'`:                                                 "lib",
		`ModuleNotFoundError: No module named 'local_settings'`:                                           "local_settings.py",
		`ModuleNotFoundError: No module named 'library'`:                                                  "",
		`nothing`: "",
	} {
		if left, _ := d.missesLeftOut([]string{"first", line}); left.Name != want {
			t.Errorf("%s: got %q, want %q", line, left.Name, want)
		}
	}
}
