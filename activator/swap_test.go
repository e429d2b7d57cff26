package activator

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

// newSwapper has three instances in standby since the epoch, on a machine with swap of which so much is free.
func newSwapper(t *testing.T, swapFree int64) sleepers {
	t.Helper()
	s := newSleepers(t)
	s.keeper.swaps = true
	s.host.memory = platform.HostMemory{Total: 1000, SwapTotal: 1000, SwapFree: swapFree}
	s.host.free = 500
	for n := range 3 {
		rev := s.add(n+1, time.Duration(n+1)*time.Second, 90)
		rev.instances[n+1].rest.frozenAt = epoch
	}
	return s
}

// What sleeps for long goes to swap when it would have to be evicted soon, what is worth least first, and one after another.
func TestSwapsOut(t *testing.T) {
	first := func(s sleepers) *instance {
		id := platform.RevisionID{Function: "ping", Number: 1}
		return s.world.instances[id][1]
	}
	for _, c := range []struct {
		name   string
		change func(sleepers)
		want   string
	}{
		{"they have more than half of their share", func(sleepers) {}, "swap 1"},
		{"they have less", func(s sleepers) { s.keeper.share = 0.6 }, ""},
		{"they have less, and the machine has little", func(s sleepers) { s.keeper.share, s.host.free = 0.6, 149 }, "swap 1"},
		{"not wanted", func(s sleepers) { s.keeper.swaps = false }, ""},
		{"there is no swap", func(s sleepers) { s.host.memory.SwapTotal, s.host.memory.SwapFree = 0, 0 }, ""},
		{"a quarter of the swap is for others", func(s sleepers) { s.host.memory.SwapFree = 339 }, ""},
		{"just enough swap", func(s sleepers) { s.host.memory.SwapFree = 340 }, "swap 1"},
		{"another one is under way", func(s sleepers) { s.done.swapping = true }, ""},
		{"the first has just gone to sleep", func(s sleepers) { first(s).rest.frozenAt = epoch.Add(time.Second) }, "swap 2"},
		{"the first is there", func(s sleepers) { first(s).rest.swapTried = true }, "swap 2"},
		{"the first is awake", func(s sleepers) { first(s).rest.frozen = false }, "swap 2"},
		{"the first is about to change", func(s sleepers) { s.done.busy[first(s).id] = true }, "swap 2"},
	} {
		s := newSwapper(t, 1000)
		c.change(s)
		s.swapOut(t.Context(), epoch.Add(swapAfter))
		if got := s.done.list(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	s := newSwapper(t, 1000)
	if s.keeper.wantsSwap(platform.HostMemory{Total: 1000}, 0) {
		t.Error("swap is wanted where there is none")
	}
	s.swapOut(t.Context(), epoch.Add(swapAfter-time.Millisecond))
	if got := s.done.list(); got != "" {
		t.Errorf("too early: %q", got)
	}
}

// What went to swap is measured anew, counts no more, and makes room for others.
func TestSwappedIsMeasured(t *testing.T) {
	s := newSwapper(t, 1000)
	w, id := s.world, platform.RevisionID{Function: "ping", Number: 1}
	rev := w.revisions[id]
	i := rev.instances[1]
	w.sleeperFile(t, i.id, "populated 1\nfrozen 1\n")
	dir := platform.InstanceCgroup(w.store.Paths, rev.slice, i.id).Dir()
	for name, text := range map[string]string{"memory.current": "15\n", "memory.stat": "inactive_file 5\n", "memory.swap.current": "80\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	look := func() {
		t.Helper()
		rev.lookAtRest(w.store.Paths)
		s.keeper.note(rev, epoch)
	}
	look()
	if i.rest.size != 90 || s.keeper.cache.Size() != 270 {
		t.Errorf("it was measured without need: %+v", i.rest)
	}
	w.noteAction(action{verb: actionSwap, id: i.id}, epoch)
	if !w.awake[id] {
		t.Error("nobody looks")
	}
	look()
	if i.rest.size != 10 || s.keeper.cache.Size() != 190 || s.keeper.swappedBytes() != 80 {
		t.Errorf("got %+v, %d bytes are kept, %d swapped", i.rest, s.keeper.cache.Size(), s.keeper.swappedBytes())
	}
	if i.mayBeSwapped(epoch.Add(time.Hour)) {
		t.Error("it would go once more")
	}
	s.keeper.forget(id)
	if got := s.keeper.swappedBytes(); got != 0 {
		t.Errorf("%d bytes of a revision that is gone", got)
	}
	s.keeper.noteSwap(id, 80)
	w.sleeperFile(t, i.id, "populated 1\nfrozen 0\n")
	look()
	if got := s.keeper.swappedBytes(); got != 0 {
		t.Errorf("%d bytes of one that is awake", got)
	}
}

// An instance whose memory stays where it is was none that could not be frozen, and one that was woken meanwhile may be tried again.
func TestSwapFails(t *testing.T) {
	s := newSwapper(t, 1000)
	rev := s.world.revisions[platform.RevisionID{Function: "ping", Number: 1}]
	i := rev.instances[1]
	failed := action{verb: actionSwap, id: i.id, err: errors.New("no such device")}
	s.world.noteAction(failed, epoch)
	if i.rest.unable || !i.rest.swapTried || i.failures > 0 {
		t.Errorf("got %+v, %d failures", i.rest, i.failures)
	}
	i.rest.frozen, i.rest.swapTried = false, false
	s.world.noteAction(failed, epoch)
	if i.rest.swapTried {
		t.Error("it was tried in its next sleep before that began")
	}
}

// A kernel that cannot do it is asked once.
func TestCannotSwap(t *testing.T) {
	a := New(Config{Store: newTestWorld(t).store, StandbyMemory: 0.5, StandbySwap: true, Log: slog.New(slog.DiscardHandler)})
	if !a.reconciler.keeper.swaps {
		t.Fatal("swap is not wanted")
	}
	a.actor.swapping = true
	a.actionEnded(t.Context(), action{verb: actionSwap, id: ping1, err: fmt.Errorf("%w: no file", standby.ErrCannotSwap)})
	if a.reconciler.keeper.swaps || a.actor.isSwapping() {
		t.Errorf("wanted: %v, under way: %v", a.reconciler.keeper.swaps, a.actor.isSwapping())
	}
}

// What an activator that was killed has left allowed is forbidden when the instance is needed.
func TestWakeForbidsSwap(t *testing.T) {
	w := newTestWorld(t)
	var running sync.WaitGroup
	a := newActor(nil, w.store, &running)
	w.sleeperFile(t, ping1, "populated 1\nfrozen 1\n")
	group := a.group(ping1)
	files := map[string]string{group.Sleeper().FreezeFile(): "1", filepath.Join(group.Dir(), "memory.swap.max"): "9"}
	for file, text := range files {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.wake(t.Context(), ping1)
	if done := <-a.ended; done.err != nil {
		t.Error(done.err)
	}
	running.Wait()
	for file := range files {
		if got, err := os.ReadFile(file); err != nil || string(got) != "0" {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
}
