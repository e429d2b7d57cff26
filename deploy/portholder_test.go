package deploy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

func TestUsedPort(t *testing.T) {
	for line, want := range map[string]uint16{
		`ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 9100): address already in use`:  9100,
		`ERROR:    [Errno 98] error while attempting to bind on address ('::', 9100, 0, 0): address already in use`: 9100,
		`listen tcp :9100: bind: address already in use`:                                                            9100,
		`2026/11/30 06:51:15 listen tcp [::1]:9100: bind: address already in use`:                                   9100,
		`Error: listen EADDRINUSE: address already in use :::9100`:                                                  9100,
		`Error: listen EADDRINUSE: address already in use 0.0.0.0:9100`:                                             9100,
		`Connection in use: ('0.0.0.0', 9100)`:                                                                      9100,
		`Address already in use - bind(2) for "0.0.0.0" port 9100 (Errno::EADDRINUSE)`:                              9100,
		`OSError: [Errno 98] Address already in use`:                                                                0,
		`2026-11-30 06:51:15,123 ERROR Address already in use`:                                                      0,
		`listen tcp :99999: bind: address already in use`:                                                           0,
	} {
		if !portInUse.MatchString(line) {
			t.Errorf("%s: not found", line)
		}
		if got := portIn(usedPort, line); got != want {
			t.Errorf("%s: got %d, want %d", line, got, want)
		}
	}
	if portInUse.MatchString("the address 9100 is already known") {
		t.Error("found what is not there")
	}
}

// A port that no instance has may be another program's: this one's. It may stand above the error only.
func TestPortOfAnother(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	if got := holderOfMachine(port); !strings.Contains(got, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("got %q", got)
	}
	above := []string{
		`  File "main.py", line 2, in <module>`, fmt.Sprintf(`    metrics = ThreadingHTTPServer(("127.0.0.1", %d), Handler)`, port),
		`    mail = SMTP("mail.example.com", 1)`, `  File "/usr/lib/python3.13/socketserver.py", line 457, in __init__`,
	}
	if got := boundPortOf(above); got != port {
		t.Errorf("named above: got %d, want %d", got, port)
	}
	listener.Close()
	if got := holderOfMachine(port); got != "" {
		t.Errorf("when it is free again: %q", got)
	}
	if got := boundPortOf(above); got != 0 {
		t.Errorf("named above, and free: got %d", got)
	}
}

// What an instance printed is its reason, be it an error that is known or a port; of anything else there is none.
func TestWhyFailed(t *testing.T) {
	s := starter{&Engine{Units: &systemd.Manager{}}}
	id := platform.InstanceID{Revision: platform.RevisionID{Function: "shop", Number: 1}, Index: 2}
	for line, want := range map[string]string{
		"ModuleNotFoundError: No module named 'yaml'":       "it imports yaml, which is not installed",
		"Error: Cannot find module 'express'":               "it needs express, which is not installed",
		"Error: Cannot find module './own'":                 "",
		"listen tcp :1: bind: address already in use":       "port 1 is taken: instances share the network of the machine",
		"ValueError: the address 9100 is not one that I do": "",
	} {
		reason, hint := s.whyFailed(t.Context(), id, platform.RuntimeUvicorn, []string{"first", line, "last"})
		if reason != want || (hint == "") != (want == "") {
			t.Errorf("%s: got %q, %q", line, reason, hint)
		}
	}
	slow := []string{"fnctl: it does not listen on port 4711 ($PORT) yet, after 3s", "Error: Cannot find module 'express'", "Node.js v20"}
	if reason, _ := s.whyFailed(t.Context(), id, platform.RuntimePort, slow); reason != "it needs express, which is not installed" {
		t.Errorf("of a program that takes its time to fail: %q", reason)
	}
	slow[1] = "Error: listen EADDRINUSE: address already in use :::1"
	if reason, _ := s.whyFailed(t.Context(), id, platform.RuntimePort, slow); !strings.HasPrefix(reason, "port 1 is taken") {
		t.Errorf("of one that finds its port taken: %q", reason)
	}
	s.Store.Paths.Root = t.TempDir()
	project := filepath.Join(s.Store.Paths.Snapshot(id.Revision), "Pipfile")
	if err := errors.Join(os.MkdirAll(filepath.Dir(project), 0o755), os.WriteFile(project, []byte("[packages]\nyaml = '*'\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, hint := s.whyFailed(t.Context(), id, platform.RuntimeUvicorn, []string{"No module named 'yaml'"}); !strings.HasPrefix(hint, "pipenv requirements") {
		t.Errorf("of a project that names it elsewhere: %q", hint)
	}
}
