package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
		d := deployment{request: request{dir: dir, app: app{text: c.app}}, revision: platform.Revision{Command: c.command}}
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
	d := deployment{request: request{dir: dir, app: app{text: "src.app.main:app"}}}
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
		err := d.checkLeftOut([]snapshot.LeftOut{{Name: "other", Rule: "x"}, c.left})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.left, err, c.want)
		}
	}
}

// The bar fits into a line with the spinner before it and the time after it.
func TestCopyBar(t *testing.T) {
	total := snapshot.Amount{Files: 10_000, Bytes: 999_900_000}
	for _, c := range []struct {
		done, total snapshot.Amount
		want        string
	}{
		{snapshot.Amount{}, total, strings.Repeat("░", barWidth) + " 0/10000 files, 0 B/999.9 MB"},
		{snapshot.Amount{Files: 9999, Bytes: 999_899_999}, total, strings.Repeat("█", barWidth-1) + "░ 9999/10000 files, 999.9 MB/999.9 MB"},
		{total, total, strings.Repeat("█", barWidth) + " 10000/10000 files, 999.9 MB/999.9 MB"},
		{snapshot.Amount{Files: 1}, snapshot.Amount{Files: 2}, strings.Repeat("█", barWidth) + " 1/2 files, 0 B/0 B"},
	} {
		got := copyBar(c.done, c.total)
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if width := len([]rune("⣾ copying the app " + got + " (99.9s)")); width > 80 {
			t.Errorf("%q is %d wide", got, width)
		}
	}
}
