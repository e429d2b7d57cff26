package activator

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// sleepers is a reconciler with revisions that each have one instance in standby, with a cost of its start and a size of its memory.
type sleepers struct {
	*reconciler
	done *changes
}

func newSleepers(t *testing.T) sleepers {
	t.Helper()
	r, done := newTestReconciler(newTestWorld(t))
	r.keeper = newKeeper(0.5)
	r.host.memory, r.host.free = platform.HostMemory{Total: 1000}, 100
	return sleepers{r, done}
}

func (s sleepers) add(number int, cost time.Duration, size int64) *revision {
	described := pingRevision()
	described.ID.Number = number
	described.Config.Autoscale.Standby = 1
	i := armed(number).starts(epoch).accepts() // its index is the number, so that the record tells which it is
	i.id.Revision = described.ID
	i.rest = rest{marked: true, frozen: true, size: size}
	rev := newRevision(described, instancesOf(i), epoch)
	rev.startTook = cost
	s.world.revisions[rev.id], s.world.instances[rev.id] = rev, rev.instances
	s.keeper.note(rev, epoch)
	return rev
}

// What is worth least goes, and no more of it than must.
func TestRelieve(t *testing.T) {
	for _, c := range []struct {
		name  string
		total int64
		free  int64
		want  string
	}{
		{"there is room", 1000, 100, ""},
		{"all have more than their share", 300, 100, "drain 1, drain 2"},
		{"the machine has little left", 1000, -150, "drain 1, drain 2"},
		{"the machine has nothing left", 1000, -500, "drain 1, drain 2, drain 3"},
		{"unknown memory bounds nothing", math.MaxInt64, 1 << 62, ""},
	} {
		s := newSleepers(t)
		s.add(1, time.Second, 100)
		s.add(2, 2*time.Second, 100)
		s.add(3, 30*time.Second, 150)
		s.host.memory.Total, s.host.free = c.total, c.free
		s.relieve(t.Context(), epoch)
		if got := s.done.list(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		before := s.done.list()
		s.relieve(t.Context(), epoch)
		if got := s.done.list(); got != before {
			t.Errorf("%s: while they go, others are evicted: %q", c.name, got)
		}
	}
}

// A revision that is used often stays, though its start costs less.
func TestKeeperCountsUses(t *testing.T) {
	s := newSleepers(t)
	used := s.add(1, time.Second, 100)
	s.add(2, 2*time.Second, 100)
	for n := range 5 {
		used.active = true
		s.keeper.note(used, epoch.Add(time.Duration(n)*time.Hour/2))
	}
	s.host.free = -50
	s.relieve(t.Context(), epoch.Add(3*time.Hour))
	if got := s.done.list(); got != "drain 2" {
		t.Errorf("got %q", got)
	}
}

// What is evicted counts as free until it has ended, and then no more.
func TestEvictedIsFreeSoon(t *testing.T) {
	s := newSleepers(t)
	rev := s.add(1, time.Second, 100)
	s.host.free = -30
	s.relieve(t.Context(), epoch)
	if s.host.free != 70 {
		t.Errorf("%d bytes are free", s.host.free)
	}
	if n := s.keeper.pending(s.world.isGone); n != 100 {
		t.Errorf("%d bytes are on their way", n)
	}
	s.keeper.note(rev, epoch) // it sleeps still, and is not kept again
	if n := s.keeper.cache.Size(); n != 0 {
		t.Errorf("%d bytes are kept", n)
	}
	rev.instances[1].update("service", unit("inactive", "dead"), epoch)
	if n := s.keeper.pending(s.world.isGone); n != 0 {
		t.Errorf("%d bytes are on their way when it has ended", n)
	}
}

// What a command has locked, or is busy, is left alone and kept.
func TestEvictLeavesWhatIsLocked(t *testing.T) {
	s := newSleepers(t)
	rev := s.add(1, time.Second, 100)
	unlock, err := s.world.store.TryLock("ping")
	if err != nil {
		t.Fatal(err)
	}
	s.host.free = -30
	s.relieve(t.Context(), epoch)
	unlock()
	if got := s.done.list(); got != "" || !s.world.awake[rev.id] {
		t.Errorf("locked: got %q, awake: %v", got, s.world.awake[rev.id])
	}
	s.keeper.note(rev, epoch)
	if n := s.keeper.cache.Size(); n != 100 {
		t.Errorf("%d bytes are kept", n)
	}
}

// An instance that is to start has the memory of what sleeps, and none is refused for it.
func TestStartEvicts(t *testing.T) {
	s := newSleepers(t)
	s.add(1, time.Second, platform.UnknownInstance)
	s.host.memory.Total, s.host.free = 1<<40, platform.UnknownInstance/2
	described := pingRevision()
	described.ID.Function = "pong"
	starting := armed(5)
	starting.id.Revision = described.ID
	rev := newRevision(described, instancesOf(starting), epoch)
	rev.routed, rev.metricsKnown, rev.load = true, true, &Load{}
	rev.decision = autoscaler.Decision{Desired: 1}
	s.reconcile(t.Context(), rev, epoch)
	if got := s.done.list(); got != "drain 1, start 5" || rev.refused != 0 {
		t.Errorf("got %q, %d refused", got, rev.refused)
	}
}

// Without a share of the memory, or without memory, nothing is frozen.
func TestNothingRestsWithoutMemory(t *testing.T) {
	for _, c := range []struct {
		name  string
		share float64
		free  int64
		want  string
	}{
		{"with both", 0.5, 100, "mark 1"},
		{"no share", 0, 100, "drain 1"},
		{"no memory", 0.5, 0, "drain 1"},
	} {
		s := newSleepers(t)
		s.keeper.share, s.host.free = c.share, c.free
		described := pingRevision()
		described.Config.Autoscale.Standby = 1
		i := armed(1).starts(epoch).accepts()
		i.background.note(0, false, epoch)
		rev := newRevision(described, instancesOf(i, armed(2)), epoch)
		rev.routed, rev.metricsKnown, rev.load = true, true, &Load{}
		s.reconcile(t.Context(), rev, epoch.Add(time.Hour))
		if got := s.done.list(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A restarted activator knows which revisions are used, and nothing that it has not seen asleep itself. What it cannot read it forgets.
func TestKeeperIsRestored(t *testing.T) {
	s := newSleepers(t)
	rev := s.add(1, time.Second, 100)
	rev.active = true
	s.keeper.note(rev, epoch)
	file := filepath.Join(t.TempDir(), "standby.json")
	if err := s.keeper.save(file, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	again := newKeeper(0.5)
	again.restore(file, slog.New(slog.DiscardHandler))
	if n := again.cache.Size(); n != 0 {
		t.Errorf("%d bytes are kept", n)
	}
	if entries := again.cache.State().Entries; len(entries) != 1 || entries[0].Frequency == 0 {
		t.Errorf("got %+v", entries)
	}
	if err := os.WriteFile(file, []byte(`{"format": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	again = newKeeper(0.5)
	again.restore(file, slog.New(slog.DiscardHandler))
	if entries := again.cache.State().Entries; len(entries) != 0 {
		t.Errorf("got %+v of another format", entries)
	}
}
