package activator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/activator/keepalive"
	"github.com/fnctl/fnctl/platform"
)

// Pressure is the machine's for a moment after memory was taken for it, and neither for what was before anybody looked, nor for functions
// at their own limit.
func TestPressureOfMachine(t *testing.T) {
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	var p pressure
	check := func(what string, ms int, want bool) {
		t.Helper()
		if got := p.isOfMachine(at(ms)); got != want {
			t.Errorf("%s: got %v", what, got)
		}
	}
	check("nobody has looked", 0, false)
	p.look(platform.Reclaims{Direct: 700, Kswapd: 700}, at(0))
	check("it was before", 0, false)
	p.look(platform.Reclaims{Direct: 700, Kswapd: 700}, at(200))
	check("nothing was taken", 200, false)
	p.look(platform.Reclaims{Direct: 701, Kswapd: 700}, at(400))
	check("something was taken", 400, true)
	check("a moment ago", 2600, true)
	check("some time ago", 2601, false)
	p.lookAway()
	p.look(platform.Reclaims{Direct: 900, Kswapd: 900}, at(5000))
	check("while nobody looked", 5000, false)
	p.look(platform.Reclaims{Direct: 901, Kswapd: 900}, at(9000)) // a machine without memory is slow
	check("after a long tick", 9000, true)
	p.look(platform.Reclaims{Direct: 901, Kswapd: 901}, at(20000))
	check("by kswapd", 20000, true)
	p.look(platform.Reclaims{Direct: 901, Kswapd: 901, Limits: 1}, at(20200))
	check("by kswapd, and a function is at its limit", 20200, false)
	p.look(platform.Reclaims{Direct: 902, Kswapd: 901, Limits: 2}, at(20400))
	check("by a process, and a function is at its limit", 20400, true)
	p.look(platform.Reclaims{Direct: 902, Kswapd: 902, Limits: 2}, at(22601))
	check("by kswapd, and none is at its limit any more", 22601, true)
}

// A burst of pressure evicts one instance, and then twice as much each time, when those of the last time have ended or do not end.
func TestPressureBacksOff(t *testing.T) {
	var p pressure
	for _, c := range []struct {
		name    string
		at      time.Duration
		leaving int64
		want    int64
		evicted int64
	}{
		{"the first", 0, 0, 1, 100},
		{"it has not ended", time.Second, 100, 0, 0},
		{"it has", 1500 * time.Millisecond, 0, 200, 210},
		{"they have not ended", 2 * time.Second, 110, 0, 0},
		{"they do not end", 3500 * time.Millisecond, 110, 420, 0},
		{"none could go", 4500 * time.Millisecond, 0, 420, 500},
		{"another burst, while they end", 15 * time.Second, 500, 1, 70},
		{"its second time", 16 * time.Second, 0, 140, 140},
	} {
		now := epoch.Add(c.at)
		if got := p.due(c.leaving, now); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
		p.note(c.evicted, now)
	}
}

// press evicts as much as the machine has too little, one at least, and nothing while the machine has memory.
func TestPress(t *testing.T) {
	for _, c := range []struct {
		name    string
		free    int64
		reclaim bool
		want    string
	}{
		{"the machine has memory", 100, false, ""},
		{"it has memory, and had to take some", 100, true, "drain 1"},
		{"it has little left", -10, false, "drain 1"},
		{"it has less", -150, true, "drain 1, drain 2"},
		{"it has none", -1000, true, "drain 1, drain 2, drain 3"},
	} {
		s := newSleepers(t)
		for n := range 3 {
			s.add(n+1, time.Duration(n+1)*time.Second, 100)
		}
		s.host.free = c.free
		s.pressure.look(platform.Reclaims{}, epoch)
		if c.reclaim {
			s.pressure.look(platform.Reclaims{Direct: 1}, epoch)
		}
		s.press(t.Context(), epoch)
		if got := s.done.list(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		s.pressure.look(platform.Reclaims{Direct: 2}, epoch.Add(time.Second))
		s.host.free = 0
		s.press(t.Context(), epoch.Add(time.Second))
		if got := s.done.list(); c.want != "" && got != c.want {
			t.Errorf("%s: while they go, others are evicted: %q", c.name, got)
		}
	}
}

// What cannot go now leaves it to the next.
func TestPressLeavesWhatIsLocked(t *testing.T) {
	s := newSleepers(t)
	s.add(1, time.Second, 100)
	s.add(2, time.Minute, 100)
	s.done.busy[platform.InstanceID{Revision: platform.RevisionID{Function: "ping", Number: 1}, Index: 1}] = true
	s.host.free = -10
	s.press(t.Context(), epoch)
	if got := s.done.list(); got != "drain 2" {
		t.Errorf("got %q", got)
	}
}

// Without the kernel's file nobody waits for it, and it is said once.
func TestNoPressure(t *testing.T) {
	var logged bytes.Buffer
	w := newPressureWatcher(platform.Paths{Root: t.TempDir()}, slog.New(slog.NewTextHandler(&logged, nil)))
	if err := w.run(t.Context()); err != nil {
		t.Error(err)
	}
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=INFO") || !strings.Contains(got, "proc/pressure/memory") {
		t.Errorf("logged %q", got)
	}
}

// The kernel tells of processes that wait for memory. What they do at a limit of their own counts for nobody else.
func TestKernelTellsOfPressure(t *testing.T) {
	w := newPressureWatcher(platform.DefaultPaths(), slog.New(slog.DiscardHandler))
	w.triggers = []string{"some 1000 500000", "some 1000 2000000"} // as little as it takes
	if fd, err := w.open(); err != nil {
		t.Skip(err)
	} else {
		unix.Close(fd)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	before := platform.ReadReclaims(platform.DefaultPaths())
	thrash(t)
	select {
	case <-w.stalls:
	case <-time.After(20 * time.Second):
		t.Error("it has told nothing")
	}
	if now := platform.ReadReclaims(platform.DefaultPaths()); now.Direct != before.Direct {
		t.Errorf("before it %+v, then %+v", before, now)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
}

// thrash has a process read more than fits into its memory, over and over, until the test ends.
func thrash(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "fnctl-pressure-test-") // on a disk: what is in memory has no other place
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "large") // of holes: nobody else waits for the disk
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 256<<20)); err != nil {
		t.Fatal(err)
	}
	group := limitedGroup(t, 16<<20)
	cmd := exec.Command("sh", "-c", fmt.Sprintf("echo $$ >%s/cgroup.procs && while :; do cat %s >/dev/null; done", group, file))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if err := os.Remove(group); err == nil || errors.Is(err, fs.ErrNotExist) { // the last cat has ended
				return
			}
		}
		t.Errorf("%s is left", group)
	})
}

// limitedGroup makes a control group that may have so much memory, in either version of them.
func limitedGroup(t *testing.T, most int) string {
	t.Helper()
	for _, limit := range []string{"/sys/fs/cgroup/memory/*/memory.limit_in_bytes", "/sys/fs/cgroup/*/memory.max"} {
		group, err := os.MkdirTemp(filepath.Dir(filepath.Dir(limit)), "fnctl-pressure-test-")
		if err != nil {
			continue
		}
		file, err := os.OpenFile(filepath.Join(group, filepath.Base(limit)), os.O_WRONLY, 0) // it is not made where it is not
		if err != nil {
			_ = os.Remove(group)
			continue
		}
		defer file.Close()
		if _, err := fmt.Fprint(file, most); err != nil {
			t.Fatal(err)
		}
		return group
	}
	t.Skip("no control group with a limit of its memory can be made")
	return ""
}

// How memory is taken is looked at while something sleeps, and only then.
func TestLooksAtMemory(t *testing.T) {
	a := New(Config{Store: newTestWorld(t).store, StandbyMemory: 0.5, Log: slog.New(slog.DiscardHandler)})
	vmstat := filepath.Join(a.store.Paths.Root, "proc/vmstat")
	if err := os.MkdirAll(filepath.Dir(vmstat), 0o755); err != nil {
		t.Fatal(err)
	}
	look := func(direct int, at time.Time) {
		t.Helper()
		if err := os.WriteFile(vmstat, fmt.Appendf(nil, "pgscan_direct %d\n", direct), 0o600); err != nil {
			t.Fatal(err)
		}
		a.lookAtMemory(at)
	}
	pressure := &a.reconciler.pressure
	look(1, epoch)
	a.reconciler.keeper.cache.Put("ping-00001", keepalive.Instance{Size: 100})
	look(2, epoch.Add(time.Second))
	if pressure.isOfMachine(epoch.Add(time.Second)) {
		t.Error("it counts what was while nothing slept")
	}
	look(3, epoch.Add(2*time.Second))
	if !pressure.isOfMachine(epoch.Add(2 * time.Second)) {
		t.Error("it does not count what is")
	}
	a.reconciler.keeper.cache.Drop("ping-00001")
	look(4, epoch.Add(time.Minute))
	if pressure.looks {
		t.Error("it looks though nothing sleeps")
	}
}
