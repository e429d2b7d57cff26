package activator

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// atRest is an instance that was ready and has done nothing for a minute, as the gateway says in a state.
func atRest(index int, seenAs string) *instance {
	i := armed(index).starts(epoch).accepts()
	i.background.note(0, false, epoch)
	i.load = &InstanceLoad{Ready: seenAs == "ready", Resting: seenAs == "standby"}
	return i
}

func markedAt(i *instance, at time.Time) *instance {
	i.noteRest(action{verb: actionMark}, at)
	return i
}

func asleep(index int) *instance {
	i := markedAt(atRest(index, "standby"), epoch)
	i.rest.frozen = true
	return i
}

// One step to standby or back, by the instances that exist and the number that is desired.
func TestReconcileStandby(t *testing.T) {
	now := epoch.Add(time.Minute)
	noted := func(index int) *instance { return markedAt(atRest(index, "standby"), now.Add(-time.Second)) }
	change := func(i *instance, by func(*instance)) *instance { by(i); return i }
	for _, c := range []struct {
		name             string
		existing         instances
		most             int
		desired          int
		unrouted, locked bool
		want             string
	}{
		{name: "idle: the next is armed first", existing: instancesOf(atRest(1, "ready")), most: 9, want: "arm 2"},
		{name: "idle: it is marked", existing: instancesOf(atRest(1, "ready"), armed(2)), most: 9, want: "mark 1"},
		{name: "no standby", existing: instancesOf(atRest(1, "ready"), armed(2)), want: "drain 1"},
		{name: "noted: it is frozen", existing: instancesOf(noted(1), armed(2)), most: 9, want: "standby 1"},
		{name: "not noted", existing: instancesOf(change(noted(1), func(i *instance) { i.load.Resting = false }), armed(2)), most: 9, want: ""},
		{name: "woken: it is marked anew", existing: instancesOf(change(noted(1), func(i *instance) { i.rest.woken, i.load.Resting = true, false }), armed(2)), most: 9, want: "mark 1"},
		{name: "not noted for long: it is marked anew", existing: instancesOf(markedAt(atRest(1, "ready"), now.Add(-remarkAfter-time.Second)), armed(2)), most: 9, want: "mark 1"},
		{name: "noted before it was marked", existing: instancesOf(markedAt(noted(1), now), armed(2)), most: 9, want: ""},
		{name: "noted, and in use by another", existing: instancesOf(change(noted(1), func(i *instance) { i.load.InFlight = 1 }), armed(2)), most: 9, want: ""},
		{name: "not known to the gateway", existing: instancesOf(change(noted(1), func(i *instance) { i.load = nil }), armed(2)), most: 9, want: ""},
		{name: "as many as may: the others end", existing: instancesOf(asleep(1), noted(2), atRest(3, "ready"), armed(4)), most: 2, want: "drain 2, mark 3"},
		{name: "all that may sleep do", existing: instancesOf(asleep(1), noted(2), armed(3)), most: 1, want: "drain 2"},
		{name: "three idle, two may sleep", existing: instancesOf(atRest(1, "ready"), atRest(2, "ready"), atRest(3, "ready"), armed(4)), most: 2, want: "drain 1, mark 2, mark 3"},
		{name: "it works", existing: instancesOf(change(noted(1), func(i *instance) { i.background.note(time.Minute, true, now) }), armed(2)), most: 9, want: "drain 1"},
		{name: "unable", existing: instancesOf(change(noted(1), func(i *instance) { i.rest.unable = true }), armed(2)), most: 9, want: "drain 1"},
		{name: "never ready", existing: instancesOf(armed(1).starts(now), armed(2)), most: 9, want: "drain 1, probe 1"},
		{name: "one too many, one is needed", existing: instancesOf(atRest(1, "ready"), atRest(2, "ready")), most: 9, desired: 1, want: "mark 2"},
		{name: "one too many: what is needed loses its mark", existing: instancesOf(noted(1), atRest(2, "ready")), most: 9, desired: 1, want: "mark 2, wake 1"},
		{name: "more are desired: what sleeps first", existing: instancesOf(asleep(1), asleep(2), armed(3)), most: 9, desired: 1, want: "wake 1"},
		{name: "more are desired than sleep", existing: instancesOf(asleep(1), armed(2)), most: 9, desired: 3, want: "start 2, start 3, wake 1"},
		{name: "more are desired: what is marked is needed", existing: instancesOf(noted(1), armed(2)), most: 9, desired: 2, want: "start 2, wake 1"},
		{name: "woken by a request: the armed one goes first", existing: instancesOf(noted(1), armed(2)), most: 9, desired: 1, want: "drain 2"},
		{name: "woken by a request: then the mark", existing: instancesOf(noted(1)), most: 9, desired: 1, want: "wake 1"},
		{name: "nothing marked", existing: instancesOf(atRest(1, "ready")), most: 9, desired: 1, want: ""},
		{name: "all sleep, and one is armed", existing: instancesOf(asleep(1), asleep(2), armed(3)), most: 9, want: ""},
		{name: "all sleep, and two are armed", existing: instancesOf(asleep(1), armed(2), armed(3)), most: 9, want: "drain 3"},
		{name: "all sleep, and none is armed", existing: instancesOf(asleep(1), asleep(3)), most: 9, want: "arm 2"},
		{name: "more sleep than may", existing: instancesOf(asleep(1), asleep(2), armed(3)), most: 1, want: "drain 2"},
		{name: "more sleep than may, none", existing: instancesOf(asleep(1), atRest(2, "ready")), desired: 1, want: "drain 1"},
		{name: "no route", existing: instancesOf(asleep(1), noted(2), armed(3)), most: 9, unrouted: true, want: "drain 1, drain 2, drain 3"},
		{name: "locked: nothing is marked", existing: instancesOf(atRest(1, "ready"), armed(2)), most: 9, locked: true, want: ""},
		{name: "locked: nothing is frozen", existing: instancesOf(noted(1), armed(2)), most: 9, locked: true, want: ""},
		{name: "locked: nothing ends", existing: instancesOf(asleep(1), asleep(2), armed(3), armed(4)), most: 1, locked: true, want: ""},
		{name: "failing: one that sleeps is woken, and is no place to wait at before", existing: instancesOf(asleep(1), change(atRest(2, "ready"), func(i *instance) { i.refusals = maxRefusals })), most: 9, desired: 1, want: "arm 3, wake 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTestWorld(t)
			if c.locked {
				unlock, err := w.store.TryLock(ping1.Revision.Function)
				if err != nil {
					t.Fatal(err)
				}
				defer unlock()
			}
			r, done := newTestReconciler(w)
			described := pingRevision()
			described.Config.Autoscale.Standby = c.most
			rev := newRevision(described, c.existing, epoch)
			rev.routed, rev.metricsKnown, rev.metricsAsOf, rev.load = !c.unrouted, true, now, &Load{}
			rev.decision = autoscaler.Decision{Desired: c.desired}
			r.reconcile(t.Context(), rev, now)
			if got := strings.ReplaceAll(done.list(), "freeze", "standby"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What is under way counts, and is not begun once more.
func TestReconcileStandbyBusy(t *testing.T) {
	w := newTestWorld(t)
	r, done := newTestReconciler(w)
	described := pingRevision()
	described.Config.Autoscale.Standby = 1
	existing := instancesOf(atRest(1, "ready"), atRest(2, "ready"), armed(3))
	rev := newRevision(described, existing, epoch)
	rev.routed, rev.metricsKnown, rev.metricsAsOf, rev.load = true, true, epoch.Add(time.Minute), &Load{}
	w.busy[existing[2].id] = true // it is being marked
	r.reconcile(t.Context(), rev, epoch.Add(time.Minute))
	if got := done.list(); got != "drain 1" {
		t.Errorf("got %q", got)
	}
}

// A revision that has nothing but instances in standby and one that is armed needs no look until something happens.
func TestSettledWithStandby(t *testing.T) {
	marked := markedAt(atRest(1, "ready"), epoch)
	for _, c := range []struct {
		name     string
		existing instances
		desired  int
		unrouted bool
		want     bool
	}{
		{name: "all sleep", existing: instancesOf(asleep(1), asleep(2), armed(3)), want: true},
		{name: "none is armed", existing: instancesOf(asleep(1), asleep(2)), want: false},
		{name: "one is needed", existing: instancesOf(asleep(1), armed(2)), desired: 1, want: false},
		{name: "one is ready", existing: instancesOf(asleep(1), atRest(2, "ready")), desired: 1, want: true},
		{name: "it is marked", existing: instancesOf(marked), desired: 1, want: false},
		{name: "no route", existing: instancesOf(asleep(1)), unrouted: true, want: false},
	} {
		described := pingRevision()
		described.Config.Autoscale.Metrics = []platform.MetricTarget{{Metric: platform.MetricRPS, Target: 1}}
		rev := newRevision(described, c.existing, epoch)
		rev.routed, rev.metricsKnown = !c.unrouted, true
		rev.decision = autoscaler.Decision{Desired: c.desired, Settled: true}
		if got := rev.settled(); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

// sleeperFile makes the control group of an instance look frozen, or not.
func (w *world) sleeperFile(t *testing.T, id platform.InstanceID, events string) {
	t.Helper()
	dir := platform.InstanceCgroup(w.store.Paths, platform.SliceName(id.Revision.Function), id).Sleeper().Dir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.events"), []byte(events), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A restarted activator takes the marks over, removes those of instances that are gone, and leaves alone what it changes right now.
func TestSweepMarks(t *testing.T) {
	w := newTestWorld(t)
	id := func(index int) platform.InstanceID {
		return platform.InstanceID{Revision: ping1.Revision, Index: index}
	}
	for index := 1; index <= 5; index++ {
		if err := w.store.Mark(id(index), platform.MarkStandby); err != nil {
			t.Fatal(err)
		}
	}
	w.busy[id(3)], w.busy[id(5)] = true, true
	w.replaceUnits([]platform.UnitStatus{
		{Name: id(1).Socket(), Active: "active"}, {Name: id(1).Service(), Active: "active"},
		{Name: id(2).Socket(), Active: "active"}, // it has ended
		{Name: id(3).Socket(), Active: "active"}, {Name: id(3).Service(), Active: "active"},
		{Name: id(4).Socket(), Active: "inactive"},
		{Name: id(6).Socket(), Active: "active"}, {Name: id(6).Service(), Active: "active"},
	})
	for index, want := range map[int]struct{ known, file bool }{1: {true, true}, 2: {}, 3: {false, true}, 4: {}, 5: {false, true}, 6: {}} {
		i := w.instance(id(index))
		if known := i != nil && i.rest.marked; known != want.known {
			t.Errorf("instance %d: marked %v", index, known)
		}
		if file := platform.Exists(w.store.Paths.Mark(id(index), platform.MarkStandby)); file != want.file {
			t.Errorf("instance %d: has a mark: %v", index, file)
		}
	}
}

// What sleeps when the activator is started stays asleep, and is ready as soon as it wakes, however long it has slept.
func TestAdoptsWhatSleeps(t *testing.T) {
	w := newTestWorld(t)
	w.deploy(t, pingRevision())
	w.functionsChanged(functionChange{names: []string{"ping"}})
	if err := w.store.Mark(ping1, platform.MarkStandby); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.store.Paths.InstanceSocket(ping1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.sleeperFile(t, ping1, "populated 1\nfrozen 1\n")
	w.replaceUnits([]platform.UnitStatus{{Name: ping1.Socket(), Active: "active"}, {Name: ping1.Service(), Active: "active"}})
	rev := w.revision(ping1.Revision, epoch)
	if rev == nil || rev.loggedDesired != 0 || w.instance(ping1).state() != platform.Standby {
		t.Fatalf("got an instance that is %s, want none that runs", w.instance(ping1).state())
	}
	later := epoch.Add(24 * time.Hour)
	w.sleeperFile(t, ping1, "populated 1\nfrozen 0\n")
	rev.measure(w.store.Paths, report{at: later, asOf: later})
	i := w.instance(ping1)
	if reason := i.findReplaceReason(rev.config, rev.startLimit(), later); i.state() != platform.Ready || reason != "" {
		t.Errorf("woken, it is %s, and to be replaced: %q", i.state(), reason)
	}
}

// A mark ends with the process that had it, and so does what was found about it.
func TestRestEndsWithTheService(t *testing.T) {
	i := asleep(1)
	if got := i.state(); got != platform.Standby {
		t.Fatalf("got %s", got)
	}
	i.ends(epoch.Add(time.Hour))
	if i.rest != (rest{}) || i.state() == platform.Standby {
		t.Errorf("it has ended, and is %s, %+v", i.state(), i.rest)
	}
}

// Only what is marked can be frozen, whatever the kernel says of its group.
func TestLookAtRest(t *testing.T) {
	w := newTestWorld(t)
	i := atRest(1, "standby")
	rev := newRevision(pingRevision(), instancesOf(i), epoch)
	look := func(what, events string, want platform.InstanceState) {
		t.Helper()
		w.sleeperFile(t, i.id, events)
		rev.lookAtRest(w.store.Paths)
		if got := i.state(); got != want {
			t.Errorf("%s: got %s", what, got)
		}
	}
	look("not marked", "frozen 1\n", platform.Ready)
	markedAt(i, epoch)
	look("frozen", "populated 1\nfrozen 1\n", platform.Standby)
	look("thawed", "populated 1\nfrozen 0\n", platform.Ready)
}

// The steps to standby change what is known of the instance, and their failure is none of it.
func TestWorldNotesRest(t *testing.T) {
	w := newTestWorld(t)
	w.deploy(t, pingRevision())
	w.functionsChanged(functionChange{names: []string{"ping"}})
	rev := w.revision(ping1.Revision, epoch)
	w.replaceUnits([]platform.UnitStatus{{Name: ping1.Socket(), Active: "active"}, {Name: ping1.Service(), Active: "active"}})
	i := w.instance(ping1)
	i.accepted()
	rev.arming.failed(epoch)
	w.noteAction(action{verb: actionMark, id: ping1}, epoch)
	if !i.rest.marked || !i.rest.markedAt.Equal(epoch) {
		t.Errorf("marked: %+v", i.rest)
	}
	w.noteAction(action{verb: actionStandby, id: ping1, err: errors.New("permission denied")}, epoch)
	if !i.rest.unable || i.failures != 0 || i.problem != "" {
		t.Errorf("it could not be frozen: %+v, %d failures, %q", i.rest, i.failures, i.problem)
	}
	w.noteAction(action{verb: actionWake, id: ping1}, epoch)
	if i.rest != (rest{}) {
		t.Errorf("woken: %+v", i.rest)
	}
	if rev.arming.failures != 1 {
		t.Error("a step to standby counts as one of a socket")
	}
}

func TestParseLoadStandby(t *testing.T) {
	text := strings.ReplaceAll(page, `state="ready"`, `state="standby"`)
	loads, err := ParseLoad(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := loads[ping1.Revision].Instances[1], (InstanceLoad{InFlight: 2, Unread: 1, Resting: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := loads[ping1.Revision].Instances[2]; got.Resting {
		t.Errorf("one that drains: %+v", got)
	}
}
