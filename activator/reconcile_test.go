package activator

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// changes records what a reconciler does. As with an actor, an instance is busy from then on.
type changes struct {
	done     []string
	busy     map[platform.InstanceID]bool
	swapping bool
}

func (c *changes) note(verb string, id platform.InstanceID) {
	c.done = append(c.done, fmt.Sprintf("%s %d", verb, id.Index))
	c.busy[id] = verb != "probe"
}

func (c *changes) isBusy(id platform.InstanceID) bool              { return c.busy[id] }
func (c *changes) isProbing(platform.InstanceID) bool              { return false }
func (c *changes) arm(_ context.Context, id platform.InstanceID)   { c.note("arm", id) }
func (c *changes) start(_ context.Context, id platform.InstanceID) { c.note("start", id) }
func (c *changes) poise(_ context.Context, id platform.InstanceID) { c.note("poise", id) }
func (c *changes) dismiss(_ context.Context, id platform.InstanceID) {
	c.note("dismiss", id)
}
func (c *changes) probe(_ context.Context, id platform.InstanceID) { c.note("probe", id) }
func (c *changes) drain(_ context.Context, id platform.InstanceID) { c.note("drain", id) }
func (c *changes) stop(_ context.Context, id platform.InstanceID, _ time.Duration) {
	c.note("stop", id)
}
func (c *changes) kill(_ context.Context, id platform.InstanceID)   { c.note("kill", id) }
func (c *changes) repair(_ context.Context, id platform.InstanceID) { c.note("repair", id) }
func (c *changes) mark(_ context.Context, id platform.InstanceID)   { c.note("mark", id) }
func (c *changes) freeze(_ context.Context, id platform.InstanceID) { c.note("freeze", id) }
func (c *changes) wake(_ context.Context, id platform.InstanceID)   { c.note("wake", id) }

func (c *changes) isSwapping() bool { return c.swapping }
func (c *changes) swapOut(_ context.Context, id platform.InstanceID) {
	c.done, c.swapping = append(c.done, fmt.Sprintf("swap %d", id.Index)), true
}

// list is what was done, in no order.
func (c *changes) list() string {
	slices.Sort(c.done)
	return strings.Join(c.done, ", ")
}

// newTestWorld is a world on an empty directory.
func newTestWorld(t *testing.T) *world {
	t.Helper()
	paths := platform.Paths{Root: t.TempDir()}
	for _, dir := range []string{paths.Functions(), paths.Instances(), filepath.Dir(paths.Lock("ping"))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return newWorld(platform.Store{Paths: paths}, map[platform.InstanceID]bool{}, slog.New(slog.DiscardHandler))
}

// newTestReconciler is a reconciler of a world whose changes are recorded. Without a file of the host's, memory bounds nothing.
func newTestReconciler(w *world) (*reconciler, *changes) {
	done := &changes{busy: w.busy}
	h := newHost(w.store.Paths)
	_ = h.refresh(0)
	return &reconciler{
		paths: w.store.Paths, world: w, actor: done, host: h, keeper: newKeeper(1), metrics: newMetrics(), log: slog.New(slog.DiscardHandler),
	}, done
}

// pingRevision is a revision whose instances are never frozen.
func pingRevision() platform.Revision {
	config := platform.DefaultConfig()
	config.Timeout, config.LivenessTimeout = platform.Seconds(60), platform.Seconds(10)
	config.Autoscale.Standby = 0
	return platform.Revision{ID: ping1.Revision, Config: config}
}

// One step, by the instances that exist and the number that is desired.
func TestReconcile(t *testing.T) {
	now := epoch.Add(time.Minute)
	ready := func(index int, inFlight float64) *instance {
		i := armed(index).starts(epoch).accepts()
		i.background.note(0, false, epoch)
		i.load = &InstanceLoad{Ready: true, InFlight: inFlight}
		return i
	}
	// Each was looked at in the last half minute.
	watched := func(i *instance, use time.Duration, locked bool) *instance {
		for at := now.Add(-30 * time.Second); !at.After(now); at = at.Add(backgroundInterval) {
			i.background.note(i.background.cpu+use, locked, at)
		}
		return i
	}
	working := func(i *instance) *instance { return watched(i, backgroundInterval, false) }
	locking := func(i *instance) *instance { return watched(i, 0, true) }
	draining := func(load *InstanceLoad) *instance {
		i := watched(ready(1, 0), 0, false)
		i.update("socket", unit("inactive", "dead"), epoch)
		i.load = load
		return i
	}
	unread := func(i *instance) *instance {
		i.load = &InstanceLoad{Draining: true, InFlight: 1, Unread: 1}
		i.look(platform.Cgroup{}, "/nowhere", now)
		return i
	}
	closed := func(i *instance) *instance {
		i.refusals = maxRefusals
		return i
	}
	unproved := func(index int) *instance {
		i := armed(index).starts(epoch)
		i.update("socket", unit("inactive", "dead"), epoch)
		return i
	}
	notListening := func() *instance {
		i := armed(1)
		i.update("socket", unit("failed", "failed"), epoch)
		return i
	}
	lost := func() *instance {
		i := ready(1, 0)
		i.socketLost = true
		return i
	}
	for _, c := range []struct {
		name     string
		existing instances
		unrouted bool
		desired  int
		want     string
	}{
		{name: "nothing there, none desired", existing: instancesOf(), want: "arm 1"},
		{name: "nothing there, one desired", existing: instancesOf(), desired: 1, want: "arm 1"},
		{name: "one armed, none desired", existing: instancesOf(armed(1)), want: ""},
		{name: "one armed, two desired", existing: instancesOf(armed(1)), desired: 2, want: "start 1, start 2"},
		{name: "two armed, none desired", existing: instancesOf(armed(1), armed(2)), want: "drain 2"},
		{name: "one starts", existing: instancesOf(armed(1).starts(now)), desired: 1, want: "probe 1"},
		{name: "as many as desired", existing: instancesOf(ready(1, 1), ready(2, 1)), desired: 2, want: ""},
		{name: "one armed beside a ready one", existing: instancesOf(ready(1, 1), armed(2)), desired: 1, want: "drain 2"},
		{name: "one too many: the idle one goes", existing: instancesOf(ready(1, 0), ready(2, 3)), desired: 1, want: "drain 1"},
		{name: "to zero: the next is armed first", existing: instancesOf(ready(1, 0)), want: "arm 2"},
		{name: "to zero: the next listens", existing: instancesOf(ready(1, 0), armed(2)), want: "drain 1"},
		{name: "a socket has failed", existing: instancesOf(notListening()), want: "repair 1"},
		{name: "a socket was removed", existing: instancesOf(lost()), desired: 1, want: "arm 2"},
		{name: "a socket was removed, another listens", existing: instancesOf(lost(), ready(2, 0)), desired: 1, want: "drain 1"},
		{name: "drained", existing: instancesOf(draining(nil), armed(2)), want: "stop 1"},
		{name: "still in flight", existing: instancesOf(draining(&InstanceLoad{Draining: true, InFlight: 1}), armed(2)), want: ""},
		{name: "deaf and draining", existing: instancesOf(draining(&InstanceLoad{Deaf: true, InFlight: 1, Unread: 1}), armed(2)), want: "kill 1"},
		{name: "deaf and draining, with a stream", existing: instancesOf(draining(&InstanceLoad{Deaf: true, InFlight: 2, Unread: 1}), armed(2)), want: ""},
		{name: "deaf and draining, a stream has ended", existing: instancesOf(draining(&InstanceLoad{Draining: true, InFlight: 1}), armed(2)), want: ""},
		{name: "draining, and reads nothing any more", existing: instancesOf(draining(&InstanceLoad{Draining: true, InFlight: 2, Unread: 2}), armed(2)), want: "kill 1"},
		{name: "drained, and works", existing: instancesOf(working(draining(nil)), armed(2)), want: ""},
		{name: "deaf, draining, and holds its lock", existing: instancesOf(locking(draining(&InstanceLoad{Deaf: true, InFlight: 1, Unread: 1})), armed(2)), want: ""},
		{name: "deaf, draining, and computes", existing: instancesOf(working(draining(&InstanceLoad{Deaf: true, InFlight: 1, Unread: 1})), armed(2)), want: "kill 1"},
		{name: "one too many: the one that does nothing goes", existing: instancesOf(ready(1, 0), working(ready(2, 0))), desired: 1, want: "drain 1"},
		{name: "one too many: the one that starts goes", existing: instancesOf(ready(1, 0), armed(2).starts(now)), desired: 1, want: "drain 2, probe 2"},
		{name: "drained, and computes with its socket closed", existing: instancesOf(closed(working(draining(nil))), armed(2)), want: "stop 1"},
		{name: "drained, and was never ready", existing: instancesOf(unproved(1), armed(2)), want: "stop 1"},
		{name: "deaf, as the gateway says of one that drains, and holds its lock", existing: instancesOf(unread(locking(draining(nil))), armed(2)), want: ""},
		{name: "no route", existing: instancesOf(ready(1, 1), armed(2)), unrouted: true, want: "drain 1, drain 2"},
	} {
		w := newTestWorld(t)
		r, done := newTestReconciler(w)
		rev := newRevision(pingRevision(), c.existing, epoch)
		rev.routed, rev.metricsKnown, rev.metricsAsOf, rev.load = !c.unrouted, true, now, &Load{}
		rev.decision = autoscaler.Decision{Desired: c.desired}
		r.reconcile(t.Context(), rev, now)
		if got := done.list(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// Of a function that has one instance at a time none is made before the last one has ended, of whichever revision, and none while a command
// holds it.
func TestReconcileSingle(t *testing.T) {
	now := epoch.Add(time.Minute)
	ready := func() *instance {
		i := armed(1).starts(epoch).accepts()
		i.load = &InstanceLoad{Ready: true}
		return i
	}
	draining := func() *instance {
		i := ready()
		i.update("socket", unit("inactive", "dead"), now)
		i.load = &InstanceLoad{Draining: true, InFlight: 1}
		return i
	}
	deaf := func() *instance {
		i := ready()
		i.load = &InstanceLoad{Deaf: true, InFlight: 1}
		return i
	}
	earlier := platform.RevisionID{Function: ping1.Revision.Function, Number: 7}
	for _, c := range []struct {
		name           string
		existing, left instances // of the revision, and of an earlier one
		held           bool
		desired        int
		want           string
	}{
		{name: "nothing there", existing: instancesOf(), want: "arm 1"},
		{name: "nothing there, one desired", existing: instancesOf(), desired: 1, want: "arm 1"},
		{name: "the last one drains", existing: instancesOf(draining()), want: ""},
		{name: "the last one drains, one desired", existing: instancesOf(draining()), desired: 1, want: ""},
		{name: "one of an earlier revision drains", existing: instancesOf(), left: instancesOf(draining()), desired: 1, want: ""},
		{name: "one is armed", existing: instancesOf(armed(1)), desired: 1, want: "start 1"},
		{name: "to zero", existing: instancesOf(ready()), want: "drain 1"},
		{name: "deaf", existing: instancesOf(deaf()), desired: 1, want: "drain 1"},
		{name: "held", existing: instancesOf(), held: true, desired: 1, want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTestWorld(t)
			w.instances[ping1.Revision] = c.existing
			w.instances[earlier] = c.left
			if c.held {
				unlock, err := w.store.TryLock(ping1.Revision.Function)
				if err != nil {
					t.Fatal(err)
				}
				defer unlock()
				if err := w.store.Hold(ping1.Revision.Function); err != nil {
					t.Fatal(err)
				}
			}
			r, done := newTestReconciler(w)
			single := pingRevision()
			single.Config.Autoscale.Single = true
			rev := newRevision(single, c.existing, epoch)
			rev.routed, rev.metricsKnown, rev.metricsAsOf, rev.load = true, true, now, &Load{}
			rev.decision = autoscaler.Decision{Desired: c.desired}
			r.reconcile(t.Context(), rev, now)
			if got := done.list(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A host without memory starts nothing, and the status has how many were refused.
func TestReconcileRefuses(t *testing.T) {
	w := newTestWorld(t)
	r, done := newTestReconciler(w)
	r.host.free = platform.UnknownInstance
	rev := newRevision(pingRevision(), instancesOf(armed(1)), epoch)
	rev.routed, rev.metricsKnown, rev.load = true, true, &Load{}
	rev.decision = autoscaler.Decision{Desired: 3}
	r.reconcile(t.Context(), rev, epoch)
	if got := done.list(); got != "start 1" || rev.refused != 2 {
		t.Errorf("got %q and %d refused, want one start and 2 refused", got, rev.refused)
	}
}
