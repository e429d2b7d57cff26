package inspect

import (
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/journal"
)

func TestFailuresAmong(t *testing.T) {
	created := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	at := func(minutes int, what, instance, why string) journal.Event {
		revision, _, _ := strings.Cut(instance, "@")
		if revision == instance {
			instance = ""
		}
		return journal.Event{
			Time: created.Add(time.Duration(minutes) * time.Minute), Event: what, Function: "ping", Revision: revision, Instance: instance, Why: why,
		}
	}
	serving := []string{"ping-00002"}
	list := []journal.Event{
		at(-5, "fail", "ping-00002@9", "of another function"), at(1, "start", "ping-00002@1", ""), at(1, "fail", "ping-00001@1", "went away"),
		at(2, "fail", "ping-00002@1", "main process exited, code=exited, status=3"), at(3, "start", "ping-00002@1", ""),
		at(4, "fail", "ping-00002@1", "main process exited, code=killed, status=9/KILL"), at(4, "fail", "ping-00002@1", "failed with result 'oom-kill'"),
		at(5, "stop", "ping-00002@3", ""),
	}
	got := failuresAmong(list, serving, created)
	if got == nil || got.Count != 2 || got.Last != list[6] {
		t.Fatalf("got %+v", got)
	}
	if text := got.String(); !strings.HasPrefix(text, "2 within an hour, the last at ") ||
		!strings.HasSuffix(text, ": ping-00002@1: failed with result 'oom-kill'; see fnctl events ping") {
		t.Errorf("got %q", text)
	}
	if got.ended != list[6] || !got.started.Equal(list[4].Time) {
		t.Errorf("the end of %+v, which began at %v", got.ended, got.started)
	}
	// What a revision comes to is that of its last instance.
	got = failuresAmong(append(list, at(6, "fail", "ping-00002", "cannot start: exited with status 1")), serving, created)
	got.Reason, got.Hint = "port 9100 is held by ping-00002@2", "choose another port"
	if got.ended != list[6] || !strings.HasSuffix(got.String(), ": ping-00002: cannot start: exited with status 1: port 9100 is held by ping-00002@2; choose another port; see fnctl events ping") {
		t.Errorf("got %q, ended %+v", got, got.ended)
	}
	if got := failuresAmong(list[:3], serving, created); got != nil {
		t.Errorf("nothing failed since: got %+v", got)
	}
}
