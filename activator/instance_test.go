package activator

import (
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

var (
	epoch = time.Unix(1_700_000_000, 0)
	ping1 = platform.InstanceID{Revision: platform.RevisionID{Function: "ping", Number: 1}, Index: 1}
)

func unit(active, sub string) platform.UnitStatus {
	return platform.UnitStatus{Name: "u", Active: active, Sub: sub}
}

// The life of an instance, as systemd reports it.
func TestInstanceStates(t *testing.T) {
	i := &instance{id: ping1}
	for n, step := range []struct {
		kind, active, sub string
		accept            bool
		want              platform.InstanceState
	}{
		{kind: "socket", active: "active", sub: "listening", want: platform.Armed},
		{kind: "socket", active: "active", sub: "running", want: platform.Armed},
		{kind: "service", active: "activating", sub: "start", want: platform.Starting},
		{kind: "service", active: "active", sub: "running", want: platform.Starting},
		{kind: "service", active: "active", sub: "running", accept: true, want: platform.Ready},
		{kind: "service", active: "deactivating", sub: "stop-post", want: platform.Failed},
		{kind: "service", active: "failed", sub: "failed", want: platform.Failed},
		{kind: "service", active: "activating", sub: "start", want: platform.Starting},
		{kind: "service", active: "active", sub: "running", accept: true, want: platform.Ready},
		{kind: "socket", active: "inactive", sub: "dead", want: platform.Draining},
		{kind: "service", active: "deactivating", sub: "stop-sigterm", want: platform.Draining},
		{kind: "service", active: "inactive", sub: "dead", want: ""},
	} {
		i.update(step.kind, unit(step.active, step.sub), epoch)
		if step.accept {
			i.accepted()
		}
		if got := i.state(); got != step.want {
			t.Errorf("step %d: got %q, want %q", n, got, step.want)
		}
	}
}

func TestFailuresBackOff(t *testing.T) {
	i := &instance{id: ping1}
	i.update("socket", unit("active", "listening"), epoch)
	now := epoch
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		i.update("service", unit("active", "running"), now)
		i.update("service", unit("deactivating", "stop-post"), now)
		if got := i.notBefore.Sub(now); got != want*time.Second {
			t.Errorf("after %d failures: got a pause of %v, want %v", i.failures, got, want*time.Second)
		}
		i.update("service", unit("failed", "failed"), now) // the same failure
		now = i.notBefore
	}
	i.update("service", unit("active", "running"), now)
	i.accepted()
	if i.failures != 0 || now.Before(i.notBefore) {
		t.Errorf("a ready instance has %d failures and waits until %v", i.failures, i.notBefore)
	}
}

// A draining instance counts as drained only by a report of the gateway from after its socket had gone.
func TestDrained(t *testing.T) {
	i := &instance{id: ping1}
	i.update("socket", unit("active", "running"), epoch)
	i.update("service", unit("active", "running"), epoch)
	gone := epoch.Add(time.Second)
	i.update("socket", unit("inactive", "dead"), gone)
	for name, c := range map[string]struct {
		asked time.Time
		load  *InstanceLoad
		want  bool
	}{
		"asked before":        {gone.Add(-time.Millisecond), nil, false},
		"the gateway is free": {gone.Add(time.Millisecond), nil, true},
		"not seen yet":        {gone.Add(time.Millisecond), &InstanceLoad{}, false},
		"still in flight":     {gone.Add(time.Millisecond), &InstanceLoad{InFlight: 1, Draining: true}, false},
		"drained":             {gone.Add(time.Millisecond), &InstanceLoad{Draining: true}, true},
	} {
		i.load = c.load
		if got := i.drained(c.asked); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// A busy instance never goes while an idle one exists.
func TestLeastBusyFirst(t *testing.T) {
	make := func(index int, inFlight float64, proved bool) *instance {
		return &instance{id: platform.InstanceID{Revision: ping1.Revision, Index: index}, proved: proved, load: &InstanceLoad{InFlight: inFlight}}
	}
	list := []*instance{make(1, 3, true), make(2, 0, true), make(3, 0, false), make(4, 1, true), make(5, 0, true)}
	sortLeastBusyFirst(list, platform.Config{}, epoch)
	for n, want := range []int{3, 5, 2, 4, 1} {
		if got := list[n].id.Index; got != want {
			t.Errorf("place %d: got instance %d, want %d", n, got, want)
		}
	}
}

func TestFreeIndex(t *testing.T) {
	f := instances{1: &instance{}, 2: &instance{socket: unit("active", "listening")}, 3: &instance{service: unit("active", "running")}}
	if got := f.freeIndex(epoch); got != 1 {
		t.Errorf("got %d, want 1, of which nothing is left", got)
	}
	delete(f, 1)
	f[1] = &instance{service: unit("deactivating", "stop-post")}
	if got := f.freeIndex(epoch); got != 4 {
		t.Errorf("got %d, want 4: all others have a unit that is not gone", got)
	}
}
