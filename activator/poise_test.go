package activator

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// poised is an instance that waits in its sandbox.
func poised(index int) *instance {
	i := armed(index)
	i.poised = true
	i.update("service", unit("active", "running"), epoch)
	return i
}

// aboutTo is an instance that is started up to its sandbox.
func aboutTo(index int) *instance {
	i := armed(index)
	i.poised = true
	return i
}

// One step with instances that wait in their sandbox.
func TestReconcilePoised(t *testing.T) {
	now := epoch.Add(time.Minute)
	ready := func(index int) *instance {
		i := atRest(index, "ready")
		i.load.InFlight = 1
		return i
	}
	replaced := func(i *instance) *instance {
		i.replaceReason = "it is to be"
		return i
	}
	for _, c := range []struct {
		name     string
		existing instances
		unrouted bool
		spare    bool
		desired  int
		want     string
	}{
		{name: "none desired: it is the place to wait at", existing: instancesOf(poised(1)), want: ""},
		{name: "none desired: nor is one that is about to be", existing: instancesOf(aboutTo(1)), want: ""},
		{name: "one waits, one is armed", existing: instancesOf(armed(1), poised(2)), want: "drain 1"},
		{name: "two wait", existing: instancesOf(poised(1), poised(2)), want: "drain 2"},
		{name: "one desired: it becomes the app", existing: instancesOf(poised(1)), desired: 1, want: "probe 1, start 1"},
		{name: "one desired: sooner than what is armed", existing: instancesOf(armed(1), poised(2)), desired: 1, want: "probe 2, start 2"},
		{name: "two desired", existing: instancesOf(ready(1), poised(2)), desired: 2, want: "probe 2, start 2"},
		{name: "three desired", existing: instancesOf(ready(1), poised(2)), desired: 3, want: "probe 2, start 2, start 3"},
		{name: "the next of a loaded one", existing: instancesOf(ready(1), poised(2)), spare: true, desired: 1, want: ""},
		{name: "the next of one that is not loaded any more", existing: instancesOf(ready(1), poised(2)), desired: 1, want: "drain 2"},
		{name: "an armed one beside it goes", existing: instancesOf(ready(1), poised(2), armed(3)), spare: true, desired: 1, want: "drain 3"},
		{name: "to zero: a request can wait at it", existing: instancesOf(atRest(1, "ready"), poised(2)), want: "drain 1"},
		{name: "one that is replaced is none", existing: instancesOf(replaced(poised(1)), armed(2)), desired: 1, want: "drain 1, start 2"},
		{name: "no route", existing: instancesOf(poised(1)), unrouted: true, want: "drain 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTestWorld(t)
			done := &changes{busy: w.busy}
			h := newHost(platform.Paths{Root: t.TempDir()})
			_ = h.refresh(0) // without a file, memory bounds nothing
			r := &reconciler{paths: w.store.Paths, world: w, actor: done, host: h, keeper: newKeeper(1), metrics: newMetrics(), log: slog.New(slog.DiscardHandler)}
			rev := newRevision(pingRevision(), c.existing, epoch)
			rev.routed, rev.metricsKnown, rev.metricsAsOf, rev.load, rev.spare = !c.unrouted, true, now, &Load{}, c.spare
			rev.decision = autoscaler.Decision{Desired: c.desired}
			r.reconcile(t.Context(), rev, now)
			if got := done.list(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The state of an instance that waits is told from that of one whose app starts, and nobody probes it.
func TestPoisedStates(t *testing.T) {
	i := aboutTo(1)
	if got := i.state(); got != platform.Armed {
		t.Errorf("before its service runs: %s", got)
	}
	i.update("service", unit("active", "running"), epoch)
	if got := i.state(); got != platform.Poised || i.probeDue(epoch.Add(time.Hour)) {
		t.Errorf("it is %s, to be probed: %v", got, i.probeDue(epoch.Add(time.Hour)))
	}
	if reason := i.findReplaceReason(platform.DefaultConfig(), time.Second, epoch.Add(time.Hour)); reason != "" {
		t.Errorf("it is to be replaced: %s", reason)
	}
	later := epoch.Add(time.Hour)
	i.begin(later)
	if got := i.state(); got != platform.Starting || !i.probeDue(later) || !i.startingSince.Equal(later) {
		t.Errorf("once it is the app, it is %s since %v", got, i.startingSince)
	}

	ended := poised(1)
	ended.update("service", unit("deactivating", "stop-post"), epoch)
	if got := ended.state(); got != platform.Poised {
		t.Errorf("while it ends it is %s", got)
	}
	ended.update("service", unit("inactive", "dead"), epoch)
	if got := ended.state(); got != platform.Armed || ended.poised || ended.failures != 0 {
		t.Errorf("after its end it is %s, with %d failures", got, ended.failures)
	}
	failed := poised(1)
	failed.update("service", unit("failed", "failed"), epoch)
	if got := failed.state(); got != platform.Failed || failed.poised || failed.failures != 1 {
		t.Errorf("after a failure it is %s, with %d failures", got, failed.failures)
	}
}

// poisers is a reconciler with revisions whose instances may wait.
type poisers struct {
	*reconciler
	done *changes
}

func newPoisers(t *testing.T, most int, share float64) poisers {
	t.Helper()
	w := newTestWorld(t)
	done := &changes{busy: w.busy}
	h := newHost(w.store.Paths)
	h.memory, h.free = platform.HostMemory{Total: 100 * poisedSize}, 50*poisedSize
	return poisers{&reconciler{
		paths: w.store.Paths, world: w, actor: done, host: h, keeper: newKeeper(0.5), poiser: &poiser{most: most, share: share},
		metrics: newMetrics(), log: slog.New(slog.DiscardHandler),
	}, done}
}

// add adds a revision that was used at a time, with its number as the index of its instances.
func (p poisers) add(number int, usedAt time.Time, existing ...*instance) *revision {
	described := pingRevision()
	described.ID.Number = number
	described.Poised = true
	for _, i := range existing {
		i.id.Revision = described.ID
	}
	rev := newRevision(described, instancesOf(existing...), epoch)
	rev.routed, rev.usedAt = true, usedAt
	p.world.revisions[rev.id], p.world.instances[rev.id] = rev, rev.instances
	return rev
}

// finish has the actions that are under way end, and their services run.
func (p poisers) finish() {
	clear(p.world.busy)
	for _, rev := range p.world.revisions {
		for _, i := range rev.instances {
			if i.poised {
				i.update("socket", unit("active", "running"), epoch)
				i.update("service", unit("active", "running"), epoch)
			}
		}
	}
}

// Those wait that were used last, one after the other, and as many as may.
func TestPoise(t *testing.T) {
	p := newPoisers(t, 2, 1)
	p.add(1, epoch, armed(1))
	p.add(2, epoch.Add(2*time.Second), armed(2))
	p.add(3, epoch.Add(time.Second), armed(3))
	p.poise(t.Context(), epoch)
	p.poise(t.Context(), epoch) // the first is under way
	if got := p.done.list(); got != "poise 2" || !p.poiser.unfinished {
		t.Fatalf("got %q, unfinished %v", got, p.poiser.unfinished)
	}
	p.finish()
	p.poise(t.Context(), epoch)
	p.finish()
	p.poise(t.Context(), epoch)
	if got := p.done.list(); got != "poise 2, poise 3" || p.poiser.unfinished {
		t.Fatalf("got %q, unfinished %v", got, p.poiser.unfinished)
	}
	p.world.revisions[platform.RevisionID{Function: "ping", Number: 1}].usedAt = epoch.Add(time.Minute)
	p.done.done = nil
	p.poise(t.Context(), epoch)
	if got := p.done.list(); got != "dismiss 3, poise 1" {
		t.Errorf("the one that was used longest ago: got %q", got)
	}
}

func TestPoisePlaces(t *testing.T) {
	loaded := func(r *revision) {
		r.decision = autoscaler.Decision{Desired: 1, Target: 10, Stable: 7}
	}
	for _, c := range []struct {
		name     string
		existing instances
		most     int
		share    float64
		free     int64
		change   func(*revision)
		want     string
	}{
		{name: "armed", existing: instancesOf(armed(1)), want: "poise 1"},
		{name: "none may", existing: instancesOf(armed(1)), most: -1, want: ""},
		{name: "no memory for it", existing: instancesOf(armed(1)), share: 0.001, want: ""},
		{name: "the machine has none", existing: instancesOf(armed(1)), free: 1, want: ""},
		{name: "the machine has none, and one waits", existing: instancesOf(poised(1)), free: -1, want: "dismiss 1"},
		{name: "ready", existing: instancesOf(atRest(1, "ready")), change: func(r *revision) { r.decision.Desired = 1 }, want: ""},
		{name: "ready, and going", existing: instancesOf(atRest(1, "ready"), armed(2)), want: ""},
		{name: "in standby", existing: instancesOf(asleep(1), armed(2)), want: ""},
		{name: "in standby, and it waits already", existing: instancesOf(asleep(1), poised(2)), want: ""},
		{name: "loaded: the next", existing: instancesOf(atRest(1, "ready")), change: loaded, want: "poise 2"},
		{name: "loaded: it is there", existing: instancesOf(atRest(1, "ready"), poised(2)), change: loaded, want: ""},
		{name: "loaded, and has all that it may", existing: instancesOf(atRest(1, "ready")), change: func(r *revision) {
			loaded(r)
			r.gauges[0].config.Max = 1
		}, want: ""},
		{name: "loaded, and single", existing: instancesOf(atRest(1, "ready")), change: func(r *revision) {
			loaded(r)
			r.config.Autoscale.Single = true
		}, want: ""},
		{name: "hardly loaded", existing: instancesOf(atRest(1, "ready")), change: func(r *revision) {
			loaded(r)
			r.decision.Stable = 5
		}, want: ""},
		{name: "hardly loaded any more", existing: instancesOf(atRest(1, "ready"), poised(2)), change: func(r *revision) {
			loaded(r)
			r.decision.Stable, r.spare = 5, true
		}, want: ""},
		{name: "one is armed, and one waits", existing: instancesOf(armed(1), poised(2)), want: ""},
		{name: "it starts too late", existing: instancesOf(armed(1)), change: func(r *revision) { r.late = 1 }, want: ""},
		{name: "failing", existing: instancesOf(armed(1)), change: func(r *revision) { r.failure = &platform.Failure{} }, want: ""},
		{name: "it has failed", existing: instancesOf(func() *instance { i := armed(1); i.failed(epoch); return i }()), want: ""},
		{name: "no route", existing: instancesOf(armed(1)), change: func(r *revision) { r.routed = false }, want: ""},
		{name: "units without the program", existing: instancesOf(armed(1)), change: func(r *revision) { r.poisable = false }, want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPoisers(t, 9, 1)
			switch {
			case c.most < 0:
				p.poiser.most = 0
			case c.share > 0:
				p.poiser.share = c.share
			}
			if c.free != 0 {
				p.host.free = c.free
			}
			var all []*instance
			for _, i := range c.existing {
				all = append(all, i)
			}
			rev := p.add(1, epoch, all...)
			if c.change != nil {
				c.change(rev)
			}
			p.poise(t.Context(), epoch)
			if got := p.done.list(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A revision keeps its spare one for longer than it takes to get one.
func TestIsLoaded(t *testing.T) {
	p := newPoisers(t, 9, 1)
	rev := p.add(1, epoch)
	for _, c := range []struct {
		load float64
		want bool
	}{{5.9, false}, {6.1, true}, {5.9, true}, {4.1, true}, {3.9, false}, {4.1, false}} {
		rev.decision = autoscaler.Decision{Desired: 1, Target: 10, Stable: c.load}
		p.poise(t.Context(), epoch)
		if rev.spare != c.want {
			t.Errorf("with %v of 10: got %v", c.load, rev.spare)
		}
	}
}

// Who has an instance in standby loses its place to who has none.
func TestPoiseBeforeStandby(t *testing.T) {
	p := newPoisers(t, 1, 1)
	p.add(1, epoch.Add(time.Minute), asleep(1), poised(7))
	p.add(2, epoch, armed(2))
	p.poise(t.Context(), epoch)
	if got := p.done.list(); got != "dismiss 7, poise 2" {
		t.Errorf("got %q", got)
	}
}

// A revision with an instance that waits needs no look, and one with a spare one does: it may have to go.
func TestSettledWithPoised(t *testing.T) {
	for _, c := range []struct {
		name     string
		existing instances
		desired  int
		want     bool
	}{
		{"at zero", instancesOf(poised(1)), 0, true},
		{"at zero, and another", instancesOf(poised(1), armed(2)), 0, false},
		{"a ready one", instancesOf(atRest(1, "ready")), 1, true},
		{"beside a ready one", instancesOf(atRest(1, "ready"), poised(2)), 1, false},
	} {
		rev := newRevision(pingRevision(), c.existing, epoch)
		rev.gauges[0].target.Metric = platform.MetricRPS
		rev.routed, rev.metricsKnown = true, true
		rev.decision = autoscaler.Decision{Desired: c.desired, Settled: true}
		if got := rev.settled(); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

// Another activator takes over what waits as that, not as something that was ready.
func TestInheritPoised(t *testing.T) {
	i := poised(1)
	i.inherit(epoch)
	if i.wasReady || i.state() != platform.Poised {
		t.Errorf("it is %s, was ready: %v", i.state(), i.wasReady)
	}
}

// An instance whose process is another one has become the app: it starts from now on, and its mark goes.
func TestLookAtPoised(t *testing.T) {
	now := epoch.Add(time.Hour)
	p := newPoisers(t, 9, 1)
	rev := p.add(1, epoch, poised(1), poised(2), aboutTo(3), poised(4))
	rev.instances[4].waiter = 1 << 22 // a process that is gone
	for index := range 4 {
		if err := p.world.store.Mark(platform.InstanceID{Revision: rev.id, Index: index + 1}, platform.MarkPoised); err != nil {
			t.Fatal(err)
		}
	}
	busy := rev.instances[2]
	p.world.busy[busy.id] = true // it is not there yet
	p.lookAtPoised(rev, now)
	if i := rev.instances[1]; i.state() != platform.Starting || !i.startingSince.Equal(now) {
		t.Errorf("it is %s since %v", i.state(), i.startingSince)
	}
	if busy.state() != platform.Poised || !rev.instances[3].poised || rev.instances[4].state() != platform.Poised {
		t.Error("what is about to wait does not, or what is about to end starts")
	}
	if left, err := p.world.store.Marks(platform.MarkPoised); err != nil || len(left) != 3 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// What else starts has precedence, and a command that changes the function.
func TestPoiseWaits(t *testing.T) {
	p := newPoisers(t, 9, 1)
	rev := p.add(1, epoch, armed(1))
	p.host.reserved[platform.InstanceID{Revision: rev.id, Index: 7}] = 1
	p.poise(t.Context(), epoch)
	clear(p.host.reserved)
	unlock, err := p.world.store.TryLock(rev.id.Function)
	if err != nil {
		t.Fatal(err)
	}
	p.poise(t.Context(), epoch)
	if got := p.done.list(); got != "" || !p.poiser.unfinished {
		t.Errorf("got %q, unfinished %v", got, p.poiser.unfinished)
	}
	unlock()
	p.poise(t.Context(), epoch)
	if got := p.done.list(); got != "poise 1" {
		t.Errorf("got %q", got)
	}
}

// A poise that fails is a start that has failed, and its mark goes.
func TestPoiseFails(t *testing.T) {
	w := newTestWorld(t)
	i := aboutTo(1)
	w.instances[ping1.Revision] = instancesOf(i)
	w.revisions[ping1.Revision] = newRevision(pingRevision(), w.instances[ping1.Revision], epoch)
	w.noteAction(action{verb: actionPoise, id: ping1, err: errors.New("226/NAMESPACE")}, epoch)
	if i.poised || i.failures != 1 {
		t.Errorf("poised %v, failures %d", i.poised, i.failures)
	}
}

// Marks of instances that wait no more are removed.
func TestSweepPoised(t *testing.T) {
	w := newTestWorld(t)
	gone := platform.InstanceID{Revision: ping1.Revision, Index: 2}
	busy := platform.InstanceID{Revision: ping1.Revision, Index: 3}
	w.instances[ping1.Revision] = instancesOf(poised(1))
	w.busy[busy] = true
	for _, id := range []platform.InstanceID{ping1, gone, busy} {
		if err := w.store.Mark(id, platform.MarkPoised); err != nil {
			t.Fatal(err)
		}
	}
	w.sweepPoised()
	if left, err := w.store.Marks(platform.MarkPoised); err != nil || len(left) != 1 || left[0] != busy {
		t.Errorf("left: %v, %v", left, err)
	}
}

// What has become the app before its revision is known counts as an instance that runs.
func TestAdoptPoised(t *testing.T) {
	w := newTestWorld(t)
	w.deploy(t, pingRevision())
	for _, name := range []string{ping1.Socket(), ping1.Service()} {
		w.setUnit(platform.UnitStatus{Name: name, Active: "active"})
	}
	w.instance(ping1).poised = true
	if err := w.store.Mark(ping1, platform.MarkPoised); err != nil {
		t.Fatal(err)
	}
	rev := w.revision(ping1.Revision, epoch)
	if rev == nil || rev.loggedDesired != 1 || w.instance(ping1).state() != platform.Starting {
		t.Errorf("got %+v", rev)
	}
	if left, err := w.store.Marks(platform.MarkPoised); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
