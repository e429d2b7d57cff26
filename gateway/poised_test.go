package gateway

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fnctl/fnctl/platform"
)

// poise adds a poised instance that takes so long to start.
func (r *rig) poise(index int, start time.Duration) {
	r.starts.Store(r.socket(index), time.Now().Add(start))
	r.appear(index, platform.MarkPoised)
}

// checkProbed compares how often an instance was probed.
func (r *rig) checkProbed(t *testing.T, what string, index, want int) {
	t.Helper()
	synctest.Wait()
	if got := r.askedTimes(index); got != want {
		t.Errorf("%s: instance %d was probed %d times, want %d", what, index, got, want)
	}
}

func (r *rig) stateOf(index int) state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.instances.current(index).state
}

// A thousand requests to an instance that is ready do not wake the one beside it that is poised: whether they come one after the other
// or all at once, find the first proof too old, or more requests than the limit.
func TestPoisedIsHeldBackBesideReady(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 0)
		r.poise(2, 0)
		for n := range 1000 {
			l, err := r.want(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.release()
			if n%10 == 0 {
				time.Sleep(2 * upstreamIdleTimeout)
			}
		}
		r.limit(1)
		r.hold(t.Context(), 1000)
		if loads, waiting := r.loads(); loads[1] != 1 || waiting != 999 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
		r.checkProbed(t, "beside a ready one", 2, 0)
		r.limit(0)
		before := r.askedTimes(1)
		r.connectionLost(r.instances.current(1))
		r.finishAll()
		r.hold(t.Context(), 1)
		r.checkProbed(t, "a connection was lost", 1, before+1)
		r.checkProbed(t, "beside one that is proved again", 2, 0)
		r.finishAll()
	})
}

// With nothing else there, one poised instance is proved, and no other one.
func TestPoisedIsProvedWithNothingElse(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.poise(1, 100*time.Millisecond)
		r.poise(2, 0)
		r.checkProbed(t, "nobody asks", 1, 0)
		l, err := r.want(t.Context())
		if err != nil || l.instance.id.Index != 1 || l.wake != (wake{platform.Poised, 100 * time.Millisecond}) {
			t.Fatalf("got %+v, %v", l, err)
		}
		r.checkProbed(t, "a request", 1, 1)
		r.hold(t.Context(), 10)
		r.checkProbed(t, "others", 2, 0)
		r.vanish(1)
		r.hold(t.Context(), 1)
		r.checkProbed(t, "the first drains", 2, 1)
		l.release()
		r.finishAll()
	})
}

// What has become the app is as any other instance, though its mark is still there: it is asked before one is started that is armed or
// poised.
func TestPoisedHasBecomeTheApp(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.poise(1, 0)
		r.hold(t.Context(), 1)
		r.finishAll()
		time.Sleep(2 * upstreamIdleTimeout)
		r.arm(2, time.Hour)
		r.poise(3, 0)
		r.hold(t.Context(), 1)
		r.checkProbed(t, "the app", 1, 2)
		r.checkProbed(t, "poised", 3, 0)
		if loads, waiting := r.loads(); loads[1] != 1 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
		r.finishAll()
		time.Sleep(2 * upstreamIdleTimeout)
		r.vanish(2)
		r.mark(1, platform.MarkPoised, false)
		r.mark(1, platform.MarkPoised, true) // made anew: it has ended, and is poised again
		r.arm(4, 0)
		r.hold(t.Context(), 1)
		r.checkProbed(t, "poised again", 1, 2)
		r.finishAll()
	})
}

// One that is on its way is waited for, however long that takes; one that takes no connections is not.
func TestPoisedBesideProving(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, time.Hour)
		r.poise(2, 0)
		ctx, cancel := context.WithCancel(t.Context())
		r.hold(ctx, 1)
		time.Sleep(10 * proveTimeout)
		r.checkProbed(t, "one starts", 2, 0)
		cancel()
		time.Sleep(proveTimeout)
		r.vanish(1)
		r.armBroken(3)
		r.hold(t.Context(), 1)
		r.checkProbed(t, "one refuses once", 2, 0)
		time.Sleep(2 * loudBackoff)
		r.checkProbed(t, "one fails", 2, 1)
		if loads, waiting := r.loads(); loads[2] != 1 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
		r.finishAll()
	})
}

// A poised instance that fails is no reason to hold the next one back.
func TestPoisedFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.poise(1, 0)
		r.starts.Store(r.socket(1), errors.New("connection refused"))
		r.poise(2, 0)
		r.hold(t.Context(), 1)
		r.checkProbed(t, "the first refuses once", 2, 0)
		time.Sleep(2 * loudBackoff)
		r.checkProbed(t, "the first fails", 2, 1)
		r.finishAll()
	})
}

// A deaf instance is nothing that could be waited for.
func TestPoisedBesideDeaf(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 0)
		r.hold(t.Context(), 1)
		r.poise(2, 0)
		r.instances.current(1).state = deaf
		r.hold(t.Context(), 1)
		r.checkProbed(t, "beside a deaf one", 2, 1)
		r.finishAll()
	})
}

// What rests is woken before. If that is late, the poised one takes its place.
func TestPoisedBesideSleeper(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.poise(2, 0)
		b.lay(1)
		b.late[1] = wakePatience - time.Millisecond
		b.request().release()
		b.checkAsked("woken", 1, 1, 1)
		b.checkProbed(t, "beside one that is woken", 2, 0)
		b.mark(1, platform.MarkStandby, false)
		b.mark(1, platform.MarkStandby, true)
		b.late[1] = 4 * wakePatience
		b.hold(t.Context(), 1)
		time.Sleep(wakePatience - time.Nanosecond)
		b.checkProbed(t, "within its time", 2, 0)
		time.Sleep(time.Nanosecond)
		b.checkProbed(t, "late", 2, 1)
		if l := <-b.leases; l.instance.id.Index != 2 || l.wake != (wake{platform.Poised, wakePatience}) {
			t.Errorf("got instance %d, %v", l.instance.id.Index, l.wake)
		} else {
			l.release()
		}
	})
}

// One that was woken and does not read is late, too.
func TestPoisedBesideWoken(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.poise(2, 0)
		b.lay(1)
		b.starts.Store(b.socket(1), time.Now().Add(time.Hour))
		b.hold(t.Context(), 1)
		b.checkProbed(t, "within its time", 2, 0)
		time.Sleep(wakePatience)
		b.checkProbed(t, "late", 2, 1)
	})
}

// Without its mark an instance is as any other, at once.
func TestPoisedNoMore(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.limit(1)
		r.arm(1, 0)
		r.poise(2, 100*time.Millisecond)
		r.hold(t.Context(), 1)
		first := <-r.leases
		r.hold(t.Context(), 1)
		r.checkProbed(t, "poised", 2, 0)
		r.mark(2, platform.MarkPoised, false)
		r.checkProbed(t, "not any more", 2, 1)
		if l := <-r.leases; l.instance.id.Index != 2 || l.wake != (wake{}) { // it found another one ready
			t.Errorf("got instance %d, %v", l.instance.id.Index, l.wake)
		} else {
			l.release()
		}
		first.release()
	})
}

// An instance that was ready and is poised has no process any more that was proved: it gets no request beside another one.
func TestReadyBecomesPoised(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 0)
		r.hold(t.Context(), 1)
		r.arm(2, 0)
		r.hold(t.Context(), 2)
		r.mark(1, platform.MarkPoised, true)
		if r.stateOf(1) != ready {
			t.Error("it has requests, and is not ready")
		}
		r.finishAll()
		if r.stateOf(1) != unproven {
			t.Error("it is ready after its last request")
		}
		r.mark(2, platform.MarkPoised, true)
		if r.stateOf(2) != unproven {
			t.Error("it is ready after its mark")
		}
		r.vanish(1)
		r.hold(t.Context(), 1)
		r.finishAll()
		r.mark(2, platform.MarkPoised, true) // as it was: its mark is found again
		if r.stateOf(2) != ready {
			t.Error("it has become the app, and its proof is gone")
		}
		r.mark(2, platform.MarkPoised, false)
		if r.stateOf(2) != ready {
			t.Error("the mark of the app is gone, and its proof with it")
		}
	})
}

// Where no instance can start, the poised one is tried as any other: only if nothing else is.
func TestPoisedOfAFailedRevision(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		reason := cannotStart("ping", "it is broken")
		refused := func() {
			t.Helper()
			if _, err := r.want(t.Context()); !errors.Is(err, reason) {
				t.Errorf("got %v", err)
			}
		}
		r.fail(reason)
		r.arm(1, time.Hour)
		r.poise(2, 100*time.Millisecond)
		refused()
		r.checkProbed(t, "beside another one", 2, 0)
		r.vanish(1)
		refused()
		r.checkProbed(t, "alone", 2, 1)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if l, err := r.want(t.Context()); err != nil || l.wake != (wake{}) {
			t.Errorf("it has started: %+v, %v", l, err)
		} else {
			l.release()
		}
	})
}

// The marks are followed: those that are made before their sockets, after them, and while the gateway does not look.
func TestPoisedMarksAreFollowed(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		store := platform.Store{Paths: b.paths}
		s := &socketFollower{paths: b.paths, fleet: b.fleet, log: slog.New(slog.DiscardHandler)}
		b.must(os.MkdirAll(b.paths.Instances(), 0o755))
		id := func(index int) platform.InstanceID { return platform.InstanceID{Revision: b.revision, Index: index} }
		changed := func(name string, op fsnotify.Op) { s.Changed(nil, []fsnotify.Event{{Name: name, Op: op}}) }
		mark := func(index int) string {
			b.must(store.Mark(id(index), platform.MarkPoised))
			return b.paths.Mark(id(index), platform.MarkPoised)
		}
		socket := func(index int) string {
			b.starts.Store(b.socket(index), time.Now())
			b.must(os.WriteFile(b.paths.InstanceSocket(id(index)), nil, 0o600))
			return b.paths.InstanceSocket(id(index))
		}
		b.limit(1)
		socket(1)
		socket(2)
		mark(2)
		s.Resync()
		b.hold(t.Context(), 2) // the second waits for all that follows
		b.checkProbed(t, "not marked", 1, 1)
		b.checkProbed(t, "marked before", 2, 0)
		mark(3)
		changed(socket(3), fsnotify.Create)
		b.checkProbed(t, "marked when it appears", 3, 0)
		b.must(os.Remove(b.paths.InstanceSocket(id(3))))
		mark(4)
		socket(4)
		s.Resync()
		b.checkProbed(t, "marked when it is found", 4, 0)
		b.must(store.Unmark(id(4), platform.MarkPoised))
		s.Resync()
		b.checkProbed(t, "unmarked meanwhile", 4, 1)
		if loads, waiting := b.loads(); loads[4] != 1 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
		changed(socket(5), fsnotify.Create)
		changed(mark(5), fsnotify.Create)
		b.hold(t.Context(), 1)
		b.checkProbed(t, "marked after it has appeared", 5, 0)
		b.must(store.Unmark(id(5), platform.MarkPoised))
		changed(b.paths.Mark(id(5), platform.MarkPoised), fsnotify.Remove)
		b.checkProbed(t, "unmarked", 5, 1)
		socket(6)
		s.Resync()
		mark(6)
		s.Resync()
		b.hold(t.Context(), 1)
		b.checkProbed(t, "marked after it was found", 6, 0)
		b.checkProbed(t, "in the end", 2, 0)
	})
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// A wake is counted by the state that a request found the instance in, and nothing else is.
func TestWakesAreCounted(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		check := func(what string, armed, poised, standby float64) {
			t.Helper()
			synctest.Wait()
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(b.fleet.metrics.wakes, b.fleet.metrics.wake)
			families, err := registry.Gather()
			b.must(err)
			want := map[string]float64{"armed": armed, "poised": poised, "standby": standby}
			for _, family := range families {
				got := make(map[string]float64)
				for _, m := range family.GetMetric() {
					from := m.GetLabel()[0].GetValue() // they are sorted
					got[from] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
				for from, n := range want {
					if got[from] != n {
						t.Errorf("%s: %s has %v of %s, want %v", what, family.GetName(), got[from], from, n)
					}
				}
			}
			if len(families) != 2 && armed+poised+standby > 0 {
				t.Errorf("%s: there are %d metrics, want 2", what, len(families))
			}
		}
		b.arm(1, 100*time.Millisecond)
		check("nobody asks", 0, 0, 0)
		b.request().release()
		check("armed", 1, 0, 0)
		time.Sleep(2 * upstreamIdleTimeout)
		b.request().release()
		check("it runs, and is only proved", 1, 0, 0)
		b.arm(2, time.Second)
		b.request().release()
		time.Sleep(time.Second)
		check("started beside one that is ready", 1, 0, 0)
		b.vanish(1)
		b.vanish(2)
		b.poise(3, 100*time.Millisecond)
		go func() {
			time.Sleep(50 * time.Millisecond)
			b.mark(3, platform.MarkPoised, false) // it is the app
		}()
		if l := b.request(); l.wake != (wake{platform.Poised, 100 * time.Millisecond}) {
			t.Errorf("got %v", l.wake)
		} else {
			l.release()
		}
		check("poised", 1, 1, 0)
		b.poise(4, 0)
		b.vanish(3)
		b.request().release()
		check("poised, and at once there: it was no more", 1, 1, 0)
		b.vanish(4)
		b.lay(5)
		if l := b.request(); l.wake.from != platform.Standby {
			t.Errorf("got %v", l.wake)
		} else {
			l.release()
		}
		check("in standby, whatever it takes", 1, 1, 1)
		b.mark(5, platform.MarkStandby, false)
		time.Sleep(2 * upstreamIdleTimeout)
		if l := b.request(); l.wake != (wake{}) {
			t.Errorf("awake, it was only proved: %v", l.wake)
		} else {
			l.release()
		}
		check("awake, and only proved", 1, 1, 1)
		b.vanish(5)
		b.retire()
		b.fleet.survey()
		if n := testutil.CollectAndCount(b.fleet.metrics.wakes) + testutil.CollectAndCount(b.fleet.metrics.wake); n != 0 {
			t.Errorf("the function is gone, and %d series are left", n)
		}
	})
}
