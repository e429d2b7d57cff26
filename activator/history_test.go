package activator

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// armed is an instance whose socket listens.
func armed(index int) *instance {
	i := &instance{id: platform.InstanceID{Revision: ping1.Revision, Index: index}}
	i.update("socket", unit("active", "listening"), epoch)
	return i
}

func (i *instance) starts(now time.Time) *instance {
	i.update("service", unit("active", "running"), now)
	return i
}

// ends makes the service end by itself, as systemd reports it.
func (i *instance) ends(now time.Time) *instance {
	i.update("service", unit("deactivating", "stop-post"), now)
	i.update("service", unit("inactive", "dead"), now.Add(time.Second))
	return i
}

func (i *instance) accepts() *instance {
	i.accepted()
	return i
}

func instancesOf(list ...*instance) instances {
	f := instances{}
	for _, i := range list {
		f[i.id.Index] = i
	}
	return f
}

// A revision is stuck when its last start has failed and no other instance may still become ready.
func TestStuck(t *testing.T) {
	later := epoch.Add(time.Minute)
	failed := func(index int) *instance { return armed(index).starts(epoch).ends(later) }
	drained := failed(3)
	drained.update("service", unit("active", "running"), later)
	drained.update("socket", unit("inactive", "dead"), later)
	deaf := armed(4).starts(epoch).accepts()
	deaf.load = &InstanceLoad{Deaf: true}
	masked := &instance{id: platform.InstanceID{Revision: ping1.Revision, Index: 5}}
	masked.failed(epoch)
	armedAtLast := armed(6).starts(epoch).accepts()
	armedAtLast.consecutive = 3 // of those before it
	armedAtLast.ends(epoch)
	armedAtLast.update("socket", unit("failed", "failed"), later)
	armedAtLast.failed(later) // the action reports it, too
	armedAtLast.update("socket", unit("active", "listening"), later)
	if armedAtLast.consecutive != 3 {
		t.Errorf("%d starts in a row came to nothing, want 3: no service was started", armedAtLast.consecutive)
	}
	killed := armed(8).starts(epoch).accepts()
	killed.update("service", unit("failed", "failed"), epoch)
	killed.update("socket", unit("failed", "failed"), later)
	killed.failed(later)
	killed.update("socket", unit("active", "listening"), later)
	endedBefore := failed(7)
	endedBefore.update("socket", unit("failed", "failed"), later)
	endedBefore.failed(later.Add(time.Hour))
	endedBefore.update("socket", unit("active", "listening"), later.Add(time.Hour))
	for name, c := range map[string]struct {
		instances instances
		want      int // index, 0 for none
	}{
		"nothing there":                             {instancesOf(), 0},
		"armed":                                     {instancesOf(armed(1)), 0},
		"its first start":                           {instancesOf(armed(1).starts(epoch)), 0},
		"it ended at once":                          {instancesOf(failed(1)), 1},
		"it is started again":                       {instancesOf(failed(1).starts(later)), 1},
		"another is ready":                          {instancesOf(failed(1), armed(2).starts(epoch).accepts()), 0},
		"another starts":                            {instancesOf(failed(1), armed(2).starts(epoch)), 0},
		"another starts again":                      {instancesOf(failed(1), failed(2).starts(later.Add(time.Hour))), -1},
		"another drains":                            {instancesOf(failed(1), drained), 1},
		"another is deaf":                           {instancesOf(failed(1), deaf), 1},
		"there is no socket":                        {instancesOf(masked), 5},
		"its socket was late":                       {instancesOf(armedAtLast), 0},
		"it was killed, and its socket was late":    {instancesOf(killed), 0},
		"it ended at once, and its socket was late": {instancesOf(endedBefore), 7},
		"killed when it was ready":                  {instancesOf(armed(1).starts(epoch).accepts().ends(later)), 0},
		"and then did not come back":                {instancesOf(armed(1).starts(epoch).accepts().ends(later).starts(later.Add(time.Minute)).ends(later.Add(time.Hour))), 1},
	} {
		got := 0
		if i := c.instances.stuck(); i != nil {
			got = i.id.Index
		}
		if got != c.want && !(c.want < 0 && got > 0) {
			t.Errorf("%s: got instance %d, want %d", name, got, c.want)
		}
	}
}

// An instance that was ready and ended pauses before it is started again, also when systemd reports its socket meanwhile.
func TestCrashPauses(t *testing.T) {
	i := armed(1)
	i.update("socket", unit("active", "running"), epoch)
	i.starts(epoch).accepts().ends(epoch)
	i.update("socket", unit("active", "listening"), epoch)
	if !i.notBefore.After(epoch) {
		t.Error("it may be started again at once")
	}
}

// The result of a probe may come before the end of the service, and after it.
func TestProofOfAnEndedInstance(t *testing.T) {
	i := armed(1).starts(epoch).ends(epoch.Add(time.Second)).accepts()
	if instancesOf(i).stuck() != nil {
		t.Error("it accepted a connection, so it could start")
	}
	if i.starts(epoch.Add(time.Minute)); i.state() != platform.Starting {
		t.Errorf("got %s: the proof is that of another process", i.state())
	}
}

// An instance that ran before the activator may have been ready. Only its next start can fail.
func TestInheritedInstance(t *testing.T) {
	i := armed(1).starts(epoch)
	i.inherit(epoch)
	if i.ends(epoch.Add(time.Second)); instancesOf(i).stuck() != nil {
		t.Error("it may have been ready")
	}
	if i.starts(epoch.Add(time.Minute)).ends(epoch.Add(time.Minute)); instancesOf(i).stuck() == nil {
		t.Error("it ended at once")
	}
}

// A failure in an earlier life of the index is no failure of this one.
func TestFailureOfAnEarlierLife(t *testing.T) {
	i := armed(1)
	i.update("service", unit("failed", "failed"), epoch)
	if i.failures != 0 || instancesOf(i).stuck() != nil {
		t.Errorf("got %d failures", i.failures)
	}
	if i.starts(epoch).ends(epoch); i.failures != 1 {
		t.Errorf("got %d failures, want that of this one", i.failures)
	}
}

// systemd reports a failure, and so does the end of the action.
func TestFailuresCountOnce(t *testing.T) {
	i := armed(1).starts(epoch)
	i.ends(epoch)
	i.failed(epoch.Add(100 * time.Millisecond))
	if i.failures != 1 {
		t.Errorf("got %d failures, want 1", i.failures)
	}
	i.starts(epoch.Add(1100 * time.Millisecond)).ends(epoch.Add(1150 * time.Millisecond))
	if i.failures != 2 {
		t.Errorf("got %d failures, want 2: an app that ends at once does so once a second", i.failures)
	}
}

func TestArmingBacksOff(t *testing.T) {
	var a arming
	now := epoch
	for _, want := range []time.Duration{0, 1, 2, 4, 8, 16, 30, 30} {
		a.failed(now)
		if pause := want * time.Second; !a.allowed(now.Add(pause)) || pause > 0 && a.allowed(now.Add(pause-1)) {
			t.Errorf("after %d failures: want a pause of %v", a.failures, pause)
		}
		now = now.Add(want * time.Second)
	}
	a.succeeded()
	if !a.allowed(epoch) {
		t.Error("after a success there is a pause")
	}
}

// An index that cannot be armed is passed over for a while, and forgotten then.
func TestFailedIndexIsPassedOver(t *testing.T) {
	f := instancesOf(&instance{id: ping1})
	f[1].failed(epoch)
	busy := map[platform.InstanceID]bool{}
	f.prune(busy, epoch)
	if got := f.freeIndex(epoch); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
	now := epoch.Add(minBackoff)
	f.prune(map[platform.InstanceID]bool{ping1: true}, now)
	if len(f) != 1 {
		t.Error("an instance that something is done to was forgotten")
	}
	f.prune(busy, now)
	if got := f.freeIndex(now); got != 1 || len(f) > 0 {
		t.Errorf("got %d, %d remembered, want 1 and none", got, len(f))
	}
}

func TestReplaceReason(t *testing.T) {
	config := platform.Config{Timeouts: platform.Timeouts{LivenessTimeout: platform.Seconds(10)}}
	now := epoch.Add(20 * time.Second)
	deaf := armed(1).starts(epoch).accepts()
	deaf.load = &InstanceLoad{Deaf: true, InFlight: 3}
	lost := armed(1)
	lost.socketLost = true
	refusing := armed(1).starts(epoch)
	for range maxRefusals {
		refusing.refused(fmt.Errorf("dial: %w", unix.ECONNREFUSED), epoch)
	}
	interrupted := armed(1).starts(epoch)
	for range 2 * maxRefusals {
		interrupted.refused(unix.ECONNRESET, epoch)
	}
	relapsed := armed(1).starts(epoch).accepts()
	relapsed.load = &InstanceLoad{}
	relapsed.expireProof(true, epoch)
	relapsed.expireProof(true, epoch.Add(expireProofAfter))
	broken := armed(1)
	for n := range minAllowedFailures {
		at := epoch.Add(time.Duration(n) * time.Minute)
		broken.starts(at)
		broken.update("service", unit("deactivating", "stop-post"), at)
	}
	for name, c := range map[string]struct {
		instance *instance
		now      time.Time
		want     string
		unread   bool
	}{
		"ready":               {armed(1).starts(epoch).accepts(), now, "", false},
		"starting":            {armed(1).starts(epoch), now, "", false},
		"starting for long":   {armed(1).starts(epoch), now.Add(time.Minute), "it has accepted nothing for 1m0s", true},
		"deaf":                {deaf, now, "it has not read for 10s", false},
		"lost":                {lost, now, "the file of its socket is gone", false},
		"refusing":            {refusing, now, "it has closed its socket", false},
		"interrupted":         {interrupted, now, "", false},
		"ready once":          {relapsed, now, "it has accepted nothing for 10s", false},
		"broken":              {broken, now, "it came to nothing 2 times in a row", false},
		"what took its place": {broken.replacement(2), now, "", false},
	} {
		got := c.instance.findReplaceReason(config, time.Minute, c.now)
		if got != c.want || c.instance.unread != c.unread {
			t.Errorf("%s: got %q, unread %v, want %q, %v", name, got, c.instance.unread, c.want, c.unread)
		}
		if c.instance.replaceReason = got; got != "" && c.instance.findReplaceReason(config, time.Minute, c.now) != "" {
			t.Errorf("%s: it is news again", name)
		}
	}
}

// A start that takes too long is a failure with its reason, and the next one has twice as long, up to a limit, whichever instance
// it is. It stays known that the revision cannot start, until one can.
func TestLateStarts(t *testing.T) {
	rev := newRevision(pingRevision(), instancesOf(), epoch)
	rev.config.StartTimeout = platform.Seconds(60)
	now, i := epoch, armed(1)
	for n, limit := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		limit *= time.Minute
		i.starts(now)
		if reason := i.findReplaceReason(rev.config, rev.startLimit(), now.Add(limit)); reason != "" {
			t.Fatalf("try %d: got %q within %v", n+1, reason, limit)
		}
		now = now.Add(limit + time.Second)
		if reason := i.findReplaceReason(rev.config, rev.startLimit(), now); reason != explainLate(limit) || i.late != limit {
			t.Fatalf("try %d: got %q, want it after %v", n+1, reason, limit)
		}
		rev.late++
		next := i.replacement(i.id.Index + 1)
		next.update("socket", unit("active", "listening"), now)
		if stuck := instancesOf(next).stuck(); stuck != next || next.consecutive != n+1 {
			t.Fatalf("try %d: of the next one it is not known that %d starts came to nothing", n+1, n+1)
		}
		i = next
	}
	i.starts(now).accepts()
	if instancesOf(i).stuck() != nil {
		t.Error("one that has started is still late")
	}
	if rev.started(2 * time.Minute); rev.startLimit() == time.Minute {
		t.Error("a start that needed more than the first limit makes the next one begin with that")
	}
	if rev.started(time.Second); rev.startLimit() != time.Minute {
		t.Error("a start in time does not make the next one usual")
	}
}

// An instance that ran before the activator is not late: it may have been ready, and work on a request.
func TestInheritedInstanceIsNotLate(t *testing.T) {
	config := platform.Config{StartTimeout: platform.Seconds(30), Timeouts: platform.Timeouts{Timeout: platform.Seconds(600)}}
	i := armed(1).starts(epoch.Add(-time.Hour))
	i.inherit(epoch)
	if reason := i.findReplaceReason(config, 30*time.Second, epoch.Add(10*time.Minute)); reason != "" {
		t.Errorf("got %q", reason)
	}
	if reason := i.findReplaceReason(config, 30*time.Second, epoch.Add(11*time.Minute)); reason == "" || i.failures > 0 {
		t.Errorf("got %q, %d failures", reason, i.failures)
	}
}

// A proof expires if the gateway contradicts it while requests wait, and only after a while.
func TestProofExpires(t *testing.T) {
	ready := func(load *InstanceLoad) *instance {
		i := armed(1).starts(epoch).accepts()
		i.load = load
		return i
	}
	for name, c := range map[string]struct {
		load    *InstanceLoad
		waiting bool
		want    platform.InstanceState
	}{
		"nobody waits":             {&InstanceLoad{}, false, platform.Ready},
		"the gateway uses it":      {&InstanceLoad{Ready: true}, true, platform.Ready},
		"the gateway has not seen": {nil, true, platform.Ready},
		"the gateway waits for it": {&InstanceLoad{}, true, platform.Starting},
	} {
		i := ready(c.load)
		i.expireProof(c.waiting, epoch)
		if i.state() != platform.Ready {
			t.Errorf("%s: doubted at once", name)
		}
		i.expireProof(c.waiting, epoch.Add(expireProofAfter))
		if i.state() != c.want {
			t.Errorf("%s: got %s, want %s", name, i.state(), c.want)
		}
	}
	i := ready(&InstanceLoad{})
	i.expireProof(true, epoch)
	i.expireProof(false, epoch.Add(expireProofAfter))
	i.expireProof(true, epoch.Add(2*expireProofAfter))
	if i.state() != platform.Ready {
		t.Error("two short waits are not one long one")
	}
}

// A deaf instance is no capacity.
func TestDeafInstance(t *testing.T) {
	i := armed(1).starts(epoch).accepts()
	i.load = &InstanceLoad{Deaf: true}
	f := instancesOf(i)
	if f.count(platform.Ready) != 0 || f.count(platform.Deaf) != 1 {
		t.Errorf("got state %s", i.state())
	}
	i.replaceReason = "deaf"
	if f.hasOther(nil, (*instance).listens) {
		t.Error("it can take the place of another")
	}
	i.update("socket", unit("inactive", "dead"), epoch)
	if i.state() != platform.Draining {
		t.Errorf("without a socket: got %s", i.state())
	}
}
