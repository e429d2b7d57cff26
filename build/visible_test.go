package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// A program that an instance would not find, or not be allowed to execute, is refused with what leads there.
func TestCheckVisible(t *testing.T) {
	dir := t.TempDir()
	config := platform.DefaultConfig()
	config.ReadOnlyPaths = []string{dir} // what is below /tmp is an instance's own otherwise
	make := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(name, target string) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	closed := make("closed/program", 0o755)
	if err := os.Chmod(filepath.Dir(closed), 0o750); err != nil {
		t.Fatal(err)
	}
	good := make("bin/program", 0o755)
	home := link("home", "/root/program")
	for program, want := range map[string]string{
		good:                               "",
		link("good", "bin/program"):        "",
		link("far", "good"):                "",
		make("private", 0o700):             "/private has the mode 0700",
		closed:                             "/closed has the mode 0750",
		link("to-closed", closed):          "/closed has the mode 0750",
		home:                               home + " is a link to /root/program, and functions see nothing of /root",
		link("to-home", home):              home + " is a link to /root/program, and functions see nothing of /root",
		"/root/program":                    "functions see nothing of /root, where /root/program is",
		"/tmp/nobody/program":              "",
		"/tmp/program":                     "functions see nothing of /tmp, where /tmp/program is",
		link("loop", "loop"):               "",
		filepath.Join(dir, "not", "there"): "",
	} {
		got := ""
		if err := checkVisible(program, config); err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", program, got, want)
		}
	}
}

func TestInterpreterOf(t *testing.T) {
	for line, want := range map[string]string{
		"#!/bin/sh -e\necho": "/bin/sh", "#! /opt/x/python\n": "/opt/x/python", "#!/usr/bin/env sh\n": "/usr/bin/sh", "#!sh\n": "", "#!\n": "", "": "",
		"\x7fELF": "", "#!/usr/bin/env no-such-program\n": "", "#!" + strings.Repeat("/x", 500): "/x" + strings.Repeat("/x", 126),
	} {
		path := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(path, []byte(line), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := interpreterOf(path); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestCheckInterpreter(t *testing.T) {
	for text, want := range map[string]string{
		"#!/bin/sh\necho\n":                            "",
		"\x7fELF\x02\x01\x00":                          "",
		"#!/bin/sh\r\nexec python3 main.py\r\n":        "has the line ends of Windows",
		"exec python3 main.py\n":                       "is a text, and its first line names no program to run it",
		"\xEF\xBB\xBF#!/bin/sh\n":                      "is a text, and its first line names no program to run it",
		"#!/opt/no/python3\nprint()\n":                 "is a script for /opt/no/python3, which is not installed",
		"#!/usr/bin/env no-such-program\n":             "is a script for no-such-program, which is not installed",
		"#!/usr/bin/env -S no-such-program --option\n": "",
		"": "",
	} {
		path := filepath.Join(t.TempDir(), "start")
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		err := checkInterpreter(path, false)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), path+" "+want) || platform.HintOf(err) == "") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if err := checkInterpreter(path, true); strings.Contains(want, "no-such-program") && err != nil {
			t.Errorf("%q: packages may bring it: %v", text, err)
		}
	}
}
