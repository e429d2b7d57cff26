package platform_test

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

func TestFailure(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	id := platform.RevisionID{Function: "my-app", Number: 12}
	if _, err := store.Failure(id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing was written: got %v", err)
	}
	if err := store.RemoveFailure(id); err != nil {
		t.Errorf("nothing is to be removed: %v", err)
	}
	// The directory need not exist.
	put := platform.Failure{Revision: id, Since: time.Unix(1_700_000_000, 0).UTC(), Explanation: "exited with status 1"}
	for _, reason := range []string{put.Explanation, "exited with status 1, 2 times in a row"} {
		put.Explanation = reason
		if err := store.PutFailure(put); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Failure(id); got != put || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, put)
		}
	}
	if info, err := os.Stat(store.Paths.Failure(id)); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the gateway must be able to read it: %v, %v", info.Mode(), err)
	}
	if ids, err := store.Failures(); err != nil || !slices.Equal(ids, []platform.RevisionID{id}) {
		t.Errorf("got %v, %v", ids, err)
	}
	if err := store.RemoveFailure(id); err != nil {
		t.Fatal(err)
	}
	if ids, err := store.Failures(); err != nil || len(ids) > 0 {
		t.Errorf("got %v, %v", ids, err)
	}
}

// Whatever systemd says, it ends as one line in the response to a client.
func TestFailureIsOneLine(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	id := platform.RevisionID{Function: "ping", Number: 1}
	for _, reason := range []string{"a\nb\r\nSet-Cookie: x", "\x1b[31m\x00", "\xff\xfe", strings.Repeat("é", 1000)} {
		if err := store.PutFailure(platform.Failure{Revision: id, Explanation: reason}); err != nil {
			t.Fatal(err)
		}
		got, err := store.Failure(id)
		if err != nil || len(got.Explanation) > 310 || strings.ContainsAny(got.Explanation, "\r\n\x00\x1b") {
			t.Errorf("%q: got %q, %v", reason, got.Explanation, err)
		}
	}
}

func TestFailureOfAnother(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	ping := platform.RevisionID{Function: "ping", Number: 1}
	if err := store.PutFailure(platform.Failure{Revision: ping, Explanation: "x"}); err != nil {
		t.Fatal(err)
	}
	other := platform.RevisionID{Function: "ping", Number: 2}
	if err := os.Rename(store.Paths.Failure(ping), store.Paths.Failure(other)); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Failure(other); err == nil {
		t.Errorf("got %+v", got)
	}
}

func TestHowAServiceEnded(t *testing.T) {
	for _, c := range []struct {
		result string
		status int
		want   string
	}{
		{"success", 0, "exited with status 0"},
		{"", 0, "exited with status 0"},
		{"exit-code", 1, "exited with status 1"},
		{"exit-code", 203, "cannot be executed: status 203/EXEC"},
		{"exit-code", 217, "cannot be executed: status 217/USER"},
		{"signal", 9, "was killed by SIGKILL"},
		{"core-dump", 11, "was killed by SIGSEGV"},
		{"signal", 99, "was killed by signal 99"},
		{"oom-kill", 9, "ran out of memory"},
		{"timeout", 15, "was stopped: it took too long"},
		{"resources", 0, "systemd cannot start it: resources"},
	} {
		status := platform.ServiceStatus{Result: c.result, ExitStatus: c.status}
		if got := status.Ending(); got != c.want {
			t.Errorf("%s %d: got %q, want %q", c.result, c.status, got, c.want)
		}
	}
	stopped := platform.ServiceStatus{Result: "success", ExitStatus: 15, Signaled: true}
	if got := stopped.Ending(); got != "was stopped by SIGTERM" {
		t.Errorf("stopped by hand: got %q", got)
	}
}

// A command says of an instance that it waits for how it ended, and what the statuses mean that systemd has given.
func TestStartEnding(t *testing.T) {
	for _, c := range []struct {
		result string
		status int
		want   string
	}{
		{"success", 0, "it ended at once with exit status 0"},
		{"exit-code", 3, "it ended with exit status 3"},
		{"exit-code", 202, "it ended with exit status 202"},
		{"exit-code", 203, "it ended with exit status 203 (systemd could not execute it: is the interpreter there, and the file a program for this machine?)"},
		{"exit-code", 243, "it ended with exit status 243 (systemd could not decrypt its secrets, or not read them: set them again with --secret)"},
		{"core-dump", 11, "it was ended by signal 11"},
		{"oom-kill", 9, "it ended: oom-kill"},
	} {
		status := platform.ServiceStatus{ExitStatus: c.status, Result: c.result}
		if got := status.StartEnding(); got != c.want {
			t.Errorf("%s, %d: got %q, want %q", c.result, c.status, got, c.want)
		}
	}
}
