package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

const aUser = "alice:$2y$05$abcdefghijklmnopqrstuuSG5fhAAjgH7OLzPHlqj1tYmQhXYBbyG\n"

// The users of a request are those of its directory, or of the revision of which it is made, and no revision without them is the same.
func TestUsersOfARequest(t *testing.T) {
	dir := t.TempDir()
	put := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(dir+"/jcloud.yml", "name: ping\nauth: {basic: {users: conf/users}}\ncommand: [./run]\nruntime: socket\n")
	put(dir+"/run", "#!/bin/sh\n")
	if err := os.Chmod(dir+"/run", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRequest(Source{Dir: dir}); err == nil || !strings.Contains(err.Error(), "auth.basic.users: there is no ") {
		t.Errorf("without the file: %v", err)
	}
	put(dir+"/conf/users", "alice:hunter2")
	if _, err := NewRequest(Source{Dir: dir}); err == nil || !strings.Contains(err.Error(), "conf/users:1: ") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("with a password in it: %v", err)
	}
	put(dir+"/conf/users", aUser)
	r, err := NewRequest(Source{Dir: dir})
	if err != nil || string(r.users) != aUser || len(r.withoutUsers()) != 1 || r.withoutUsers()[0] != "conf/users" {
		t.Fatalf("got %+v, %v", r, err)
	}
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	rev := platform.Revision{ID: platform.RevisionID{Function: "ping", Number: 1}, Config: r.Config}
	if r.hasUsersOf(store.Paths, rev.ID) {
		t.Error("a revision without users is the same")
	}
	if _, err := usersOf(store.Paths, rev); err == nil || platform.HintOf(err) == "" {
		t.Errorf("of a revision that has lost them: %v", err)
	}
	if err := os.MkdirAll(store.Paths.Revision(rev.ID), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.writeUsers(store.Paths.Revision(rev.ID)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(store.Paths.Users(rev.ID)); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v", info, err)
	}
	if data, err := usersOf(store.Paths, rev); err != nil || string(data) != aUser || !r.hasUsersOf(store.Paths, rev.ID) {
		t.Errorf("got %q, %v", data, err)
	}
	r.users = []byte(strings.Replace(aUser, "alice", "bob", 1))
	if r.hasUsersOf(store.Paths, rev.ID) {
		t.Error("a revision with others is the same")
	}
}
