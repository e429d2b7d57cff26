package activator

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// What systemd said of an instance is published, unless the revision could start since it was asked.
func TestDiagnosisAndRecovery(t *testing.T) {
	for name, c := range map[string]struct {
		asked     time.Duration // after an instance was ready last
		published bool
	}{
		"before it could start": {-time.Second, false},
		"after that":            {time.Second, true},
	} {
		w := newTestWorld(t)
		w.deploy(t, pingRevision())
		w.functionsChanged(functionChange{names: []string{"ping"}})
		if err := os.MkdirAll(w.store.Paths.Failures(), 0o755); err != nil {
			t.Fatal(err)
		}
		notices := newFailureNotices(w, nil, slog.New(slog.DiscardHandler))
		ready := armed(1).starts(epoch).accepts()
		w.instances[ping1.Revision] = instancesOf(ready)
		rev := w.adopt(ping1.Revision, epoch)
		notices.diagnose(t.Context(), ping1.Revision)
		delete(rev.instances, 1)
		rev.instances[2] = armed(2).starts(epoch).ends(epoch.Add(time.Second))
		notices.diagnosed(diagnosis{id: rev.instances[2].id, askedAt: rev.soundAt.Add(c.asked), explanation: "exited with status 3", late: true})
		failure, err := w.store.Failure(ping1.Revision)
		if published := err == nil; published != c.published {
			t.Errorf("%s: published: %t (%v)", name, published, err)
		}
		if c.published && !failure.Late {
			t.Errorf("%s: the notice is not that of a late start", name)
		}
		if notices.settled(rev); platform.Exists(w.store.Paths.Failure(ping1.Revision)) {
			t.Errorf("%s: the notice outlives the requests for it", name)
		}
	}
}

// While a command holds the function it has stopped what ran, so that what fails besides says nothing about the revision yet.
func TestNoNoticeWhileHeld(t *testing.T) {
	w := newTestWorld(t)
	w.deploy(t, pingRevision())
	w.functionsChanged(functionChange{names: []string{"ping"}})
	if err := os.MkdirAll(w.store.Paths.Failures(), 0o755); err != nil {
		t.Fatal(err)
	}
	notices := newFailureNotices(w, nil, slog.New(slog.DiscardHandler)) // and no diagnoser: it may not be asked
	w.instances[ping1.Revision] = instancesOf(armed(2).starts(epoch).ends(epoch.Add(time.Second)))
	rev := w.adopt(ping1.Revision, epoch)
	rev.instances[2].failed(epoch)
	unlock, err := w.store.TryLock("ping")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Hold("ping"); err != nil {
		t.Fatal(err)
	}
	notices.diagnose(t.Context(), ping1.Revision)
	found := diagnosis{id: rev.instances[2].id, askedAt: epoch.Add(time.Minute), explanation: "exited with status 1"}
	rev.diagnosedAt = rev.instances[2].failedAt
	notices.diagnosed(found)
	if platform.Exists(w.store.Paths.Failure(ping1.Revision)) || !rev.diagnosedAt.IsZero() {
		t.Errorf("held: there is a notice, or it is not looked at again: %v", rev.diagnosedAt)
	}
	unlock()
	if notices.diagnosed(found); !platform.Exists(w.store.Paths.Failure(ping1.Revision)) {
		t.Error("when the command is done there is no notice")
	}
}
