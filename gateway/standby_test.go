package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

// bed is a pool whose instances can be frozen: plain files take the place of those of the kernel.
type bed struct {
	*rig
	t     *testing.T
	paths platform.Paths
	late  map[int]time.Duration // how long it takes to wake an instance
	woken map[int]int           // how often each was woken
}

func inBed(t *testing.T, test func(t *testing.T, b *bed)) {
	inBubble(t, func(t *testing.T, r *rig) {
		b := &bed{rig: r, t: t, paths: platform.Paths{Root: t.TempDir()}, late: make(map[int]time.Duration), woken: make(map[int]int)}
		r.env.wake = b.wake
		test(t, b)
		r.finishAll()
	})
}

func (b *bed) wake(ctx context.Context, id platform.InstanceID) (*standby.Claim, error) {
	b.mu.Lock()
	b.woken[id.Index]++
	late := b.late[id.Index]
	b.mu.Unlock()
	if late > 0 {
		platform.Sleep(ctx, late)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return waker(b.paths)(ctx, id)
}

func (b *bed) group(index int) platform.Cgroup {
	return platform.InstanceCgroup(b.paths, platform.SliceName("ping"), platform.InstanceID{Revision: b.revision, Index: index})
}

// bear adds an instance that answers at once when it is awake, and can be frozen.
func (b *bed) bear(index int) {
	b.t.Helper()
	file := b.group(index).Sleeper().FreezeFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.arm(index, 0)
}

// lay adds an instance that may be frozen from now on.
func (b *bed) lay(index int) {
	b.t.Helper()
	b.bear(index)
	b.mark(index, platform.MarkStandby, true)
}

// bury makes an instance one that cannot be woken.
func (b *bed) bury(index int) {
	b.t.Helper()
	if err := os.RemoveAll(b.group(index).Dir()); err != nil {
		b.t.Fatal(err)
	}
}

// claimed reports whether an instance cannot be frozen.
func (b *bed) claimed(index int) bool {
	b.t.Helper()
	err := standby.Freeze(b.group(index))
	if err != nil && !errors.Is(err, standby.ErrClaimed) {
		b.t.Fatal(err)
	}
	return err != nil
}

func (b *bed) request() *lease {
	b.t.Helper()
	l, err := b.want(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// check compares the state that the metrics have of an instance, and not of an earlier one.
func (b *bed) check(what string, index int, want string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []string
	for key := range b.pool.loads() {
		if key.index == index && key.state != draining.label() {
			got = append(got, key.state)
		}
	}
	if !slices.Equal(got, []string{want}) {
		b.t.Errorf("%s: instance %d is %v, want %s", what, index, got, want)
	}
}

// checkAsked compares how often instances were probed, and woken.
func (b *bed) checkAsked(what string, index, asked, woken int) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := b.askedTimes(index); got != asked || b.woken[index] != woken {
		b.t.Errorf("%s: instance %d was probed %d times and woken %d times, want %d and %d", what, index, got, b.woken[index], asked, woken)
	}
}

func TestMarkedInstanceRests(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.bear(1)
		b.request().release()
		upstream := b.instances.current(1).upstream
		if upstream.spare == nil {
			t.Fatal("no connection is kept")
		}
		b.check("in use", 1, "ready")
		b.mark(1, platform.MarkStandby, true)
		b.check("marked", 1, "standby")
		if upstream.spare != nil {
			t.Error("it rests, and has a connection")
		}
		b.bear(2)
		b.mark(2, platform.MarkStandby, true)
		b.check("marked before it was proved", 2, "standby")
		b.mark(2, platform.MarkStandby, false)
		b.check("unmarked", 2, "unproven")
		b.checkAsked("unmarked", 2, 0, 0)
		b.mark(3, platform.MarkStandby, true) // it is not there
	})
}

// What is in flight keeps an instance awake that is marked; it takes other requests meanwhile.
func TestMarkedInstanceFinishesBefore(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.bear(1)
		first := b.request()
		b.mark(1, platform.MarkStandby, true)
		b.check("in flight", 1, "ready")
		second := b.request()
		first.release()
		b.check("one in flight", 1, "ready")
		second.release()
		b.check("nothing in flight", 1, "standby")
		b.checkAsked("all over", 1, 1, 0)
	})
}

// A request wakes one instance that rests, and starts nothing beside it. It was no cold start.
func TestRequestWakesOne(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.arm(3, time.Minute)
		b.lay(1)
		b.lay(2)
		b.late[1] = 2 * coldStartFloor
		first := b.request()
		if want := (wake{platform.Standby, 2 * coldStartFloor}); first.instance.id.Index != 1 || first.wake != want || first.wake.coldStart() != 0 || !first.waited {
			t.Errorf("got instance %d, %v", first.instance.id.Index, first.wake)
		}
		if !b.claimed(1) || b.claimed(2) {
			t.Errorf("claimed: %v and %v, want the one that was woken", b.claimed(1), b.claimed(2))
		}
		b.check("woken", 1, "ready")
		b.check("the other", 2, "standby")
		b.hold(t.Context(), 10)
		if loads, waiting := b.loads(); loads[1] != 11 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
		b.checkAsked("woken", 1, 1, 1)
		b.checkAsked("the other", 2, 0, 0)
		b.checkAsked("armed", 3, 0, 0)
		b.mark(1, platform.MarkStandby, false)
		b.request().release()
		b.checkAsked("armed, and none is marked that was woken", 3, 1, 0)
		first.release()
	})
}

// With a limit, what one cannot take wakes the next, and starts one when there are no more.
func TestRequestsWakeAsManyAsNeeded(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.limit(1)
		b.arm(3, 0)
		b.lay(1)
		b.lay(2)
		b.hold(t.Context(), 2)
		b.checkAsked("two requests", 1, 1, 1)
		b.checkAsked("two requests", 2, 1, 1)
		b.checkAsked("two requests", 3, 0, 0)
		b.hold(t.Context(), 1)
		b.checkAsked("three requests", 3, 1, 0)
		if loads, waiting := b.loads(); loads[1] != 1 || loads[2] != 1 || loads[3] != 1 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
	})
}

// An instance that cannot be woken has ended, as far as anybody knows: it is proved, and so are the others, at once.
func TestWakeFails(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.lay(1)
		b.bury(1)
		b.starts.Store(b.socket(1), time.Now().Add(time.Minute))
		b.arm(2, time.Second)
		began := time.Now()
		b.hold(t.Context(), 1)
		b.checkAsked("that cannot be woken", 1, 1, 1)
		b.checkAsked("armed", 2, 1, 0)
		if l := <-b.leases; l.instance.id.Index != 2 || l.wake != (wake{platform.Armed, time.Second}) || time.Since(began) != time.Second {
			t.Errorf("instance %d, %v, after %v", l.instance.id.Index, l.wake, time.Since(began))
		} else {
			l.release()
		}
		time.Sleep(time.Minute)
		b.checkAsked("a minute later", 1, 1, 1)
	})
}

// An instance whose wake takes long has another started beside it. Until it is woken it gets nothing, not even a probe.
func TestWakeIsLate(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.arm(2, time.Minute)
		b.lay(1)
		b.late[1] = 4 * wakePatience
		began := time.Now()
		b.hold(t.Context(), 1)
		time.Sleep(wakePatience - time.Nanosecond)
		b.checkAsked("within its time", 2, 0, 0)
		time.Sleep(time.Nanosecond)
		b.checkAsked("late", 2, 1, 0)
		b.checkAsked("late", 1, 0, 1)
		l := <-b.leases
		if l.instance.id.Index != 1 || l.wake != (wake{platform.Standby, 4 * wakePatience}) || time.Since(began) != 4*wakePatience || !b.claimed(1) {
			t.Errorf("got instance %d, %v, after %v", l.instance.id.Index, l.wake, time.Since(began))
		}
		l.release()
	})
}

// An instance that is slow to read after it was woken has another started beside it.
func TestWokenIsLate(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.arm(2, 3*wakePatience)
		b.lay(1)
		b.starts.Store(b.socket(1), time.Now().Add(time.Hour))
		b.hold(t.Context(), 1)
		time.Sleep(wakePatience)
		b.checkAsked("late", 2, 1, 0)
		l := <-b.leases
		if l.instance.id.Index != 2 || l.wake != (wake{platform.Armed, 3 * wakePatience}) {
			t.Errorf("got instance %d, %v", l.instance.id.Index, l.wake)
		}
		l.release()
	})
}

// Whoever has the lock for ever does not make an instance one that is never frozen.
func TestWakeComesToNothing(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.lay(1)
		b.late[1] = time.Hour
		b.arm(2, 2*proveTimeout)
		b.hold(t.Context(), 1)
		time.Sleep(proveTimeout)
		b.checkAsked("tried again", 1, 0, 2)
		l := <-b.leases
		if l.instance.id.Index != 2 {
			t.Errorf("got instance %d", l.instance.id.Index)
		}
		time.Sleep(proveTimeout)
		synctest.Wait()
		b.check("in the end", 1, "standby")
		l.release()
	})
}

// Once it has rested, an instance gets no request without a claim, whatever happens to its mark.
func TestMarkComesAndGoes(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.lay(1)
		b.mark(1, platform.MarkStandby, false)
		l := b.request()
		if !b.claimed(1) {
			t.Error("the mark has gone, and it is lent without a claim")
		}
		l.release()
		if !b.claimed(1) {
			t.Error("the claim ends with the first request")
		}
		b.mark(1, platform.MarkStandby, true)
		if b.claimed(1) {
			t.Error("marked anew, it is still claimed")
		}
		b.check("marked anew", 1, "standby")
		l = b.request()
		if !b.claimed(1) {
			t.Error("marked anew, and lent without a claim")
		}
		b.mark(1, platform.MarkStandby, false)
		b.mark(1, platform.MarkStandby, true)
		b.mark(1, platform.MarkStandby, false)
		l.release()
		if !b.claimed(1) {
			t.Error("the claim is gone though the mark is, too")
		}
		b.check("unmarked while in flight", 1, "ready")
		time.Sleep(time.Minute) // its proof is worth nothing
		l = b.request()
		if !b.claimed(1) {
			t.Error("proved again, and lent without a claim")
		}
		l.release()
		b.checkAsked("in the end", 1, 3, 2)
	})
}

// Whatever happens, a request that an instance gets after it has rested comes with a claim, and the metrics call nothing standby that is
// claimed or has a request.
func TestNothingIsLentWithoutClaim(t *testing.T) {
	for seed := range uint64(200) {
		inBed(t, func(t *testing.T, b *bed) {
			random := rand.New(rand.NewPCG(seed, 1))
			const last = 3
			rested := make(map[int]bool)
			for index := 1; index <= last; index++ {
				b.bear(index)
			}
			var leases []*lease
			for range 100 {
				index := 1 + random.IntN(last)
				switch random.IntN(9) {
				case 0, 1:
					b.mark(index, platform.MarkStandby, true)
				case 2:
					b.mark(index, platform.MarkStandby, false)
				case 3, 4:
					leases = append(leases, b.request())
				case 5, 6:
					if len(leases) > 0 {
						leases[0].release()
						leases = leases[1:]
					}
				case 7:
					time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
				case 8:
					if len(leases) > 0 {
						leases[0].strike()
					}
					b.connectionLost(b.instances.current(index))
				}
				synctest.Wait()
				for index := 1; index <= last; index++ {
					inst := b.instances.current(index)
					rested[index] = rested[index] || inst.state == resting
					if rested[index] && inst.inFlight > 0 && !b.claimed(index) {
						t.Fatalf("seed %d: instance %d has a request, and can be frozen", seed, index)
					}
					if asleep := slices.Contains(b.resting(), index); asleep && (b.claimed(index) || inst.inFlight > 0) {
						t.Fatalf("seed %d: instance %d is called standby, and is in use", seed, index)
					}
				}
			}
			for _, l := range leases {
				l.release()
			}
		})
	}
}

// While the mark of an instance that was woken is there, another one is armed that must not start: not when the proof of the first is
// worth nothing any more either.
func TestWokenIsWokenAgain(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.arm(2, 0)
		b.lay(1)
		for n := 1; n <= 3; n++ {
			b.request().release()
			b.checkAsked("a request", 1, n, n)
			b.checkAsked("a request", 2, 0, 0)
			time.Sleep(2 * upstreamIdleTimeout)
		}
		b.connectionLost(b.instances.current(1))
		b.request().release()
		b.checkAsked("a connection was lost", 2, 0, 0)
	})
}

// An instance that is marked while it is proved for nothing rests after that, whether it was proved or not.
func TestMarkedWhileProved(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.bear(1)
		b.starts.Store(b.socket(1), time.Now().Add(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		b.hold(ctx, 1)
		b.mark(1, platform.MarkStandby, true)
		b.check("being proved", 1, "unproven")
		cancel()
		time.Sleep(proveTimeout + time.Second)
		b.check("not needed any more", 1, "standby")
		b.bear(2)
		b.starts.Store(b.socket(2), time.Now().Add(proveTimeout/2))
		b.vanish(1)
		ctx, cancel = context.WithCancel(t.Context())
		b.hold(ctx, 1)
		b.mark(2, platform.MarkStandby, true)
		cancel()
		time.Sleep(proveTimeout / 2)
		synctest.Wait()
		b.check("proved, and not needed any more", 2, "standby")
	})
}

// A deaf instance that was marked rests as soon as it reads again and has nothing.
func TestMarkedWhileDeaf(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.bear(1)
		l := b.request()
		b.instances.current(1).state = deaf
		b.mark(1, platform.MarkStandby, true)
		l.release()
		b.checkReading(time.Now())
		b.check("it reads again", 1, "standby")
	})
}

// An instance that drains is nobody's any more, whether it rests, is woken or in use.
func TestSleeperDrains(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.lay(1)
		b.vanish(1)
		if len(b.instances) > 0 {
			t.Error("one that rests stays")
		}
		b.lay(1)
		l := b.request()
		b.vanish(1)
		if b.claimed(1) {
			t.Error("it drains, and is claimed")
		}
		l.release()
		b.lay(1)
		b.late[1] = wakePatience / 2
		b.hold(t.Context(), 1)
		b.vanish(1)
		time.Sleep(wakePatience)
		if b.claimed(1) {
			t.Error("it was woken when it drained, and is claimed")
		}
		b.checkAsked("it drained", 1, 1, 2)
		b.arm(2, 0)
		synctest.Wait()
		if loads, waiting := b.loads(); len(loads) != 1 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
	})
}

// That no instance can start concerns nobody while one can be woken.
func TestFailureBesideSleeper(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		reason := cannotStart("ping", "it is broken")
		refused := func() bool {
			t.Helper()
			_, err := b.want(t.Context())
			return errors.Is(err, reason)
		}
		b.armBroken(2)
		b.fail(reason)
		if !refused() {
			t.Error("nothing can start, and it is not refused")
		}
		b.lay(1)
		b.late[1] = wakePatience / 2
		b.hold(t.Context(), 1)
		b.fail(reason)
		b.hold(t.Context(), 1) // while it is woken
		if _, waiting := b.loads(); waiting != 2 {
			t.Errorf("%d wait, want 2", waiting)
		}
		time.Sleep(time.Second) // they are spread for a while
		if loads, waiting := b.loads(); loads[1] != 2 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
		b.finishAll()
		b.mark(1, platform.MarkStandby, false)
		b.mark(1, platform.MarkStandby, true)
		b.bury(1)
		b.starts.Store(b.socket(1), errors.New("connection refused"))
		b.late[1] = 0
		b.fail(reason) // the proof of the first ended the last failure
		if !refused() {
			t.Error("it cannot be woken, and the request is not refused")
		}
	})
}

// Where no route leads, nothing is woken.
func TestRetiredSleeper(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.lay(1)
		b.late[1] = wakePatience / 2
		waits := make(chan error, 1)
		go func() {
			_, err := b.want(t.Context())
			waits <- err
		}()
		synctest.Wait()
		b.retire()
		if err := <-waits; !errors.Is(err, errRerouted) {
			t.Errorf("it waits: %v", err)
		}
		time.Sleep(time.Second)
		b.mark(1, platform.MarkStandby, false)
		b.mark(1, platform.MarkStandby, true)
		time.Sleep(2 * upstreamIdleTimeout)
		if _, err := b.want(t.Context()); !errors.Is(err, errRerouted) {
			t.Errorf("it comes: %v", err)
		}
		b.checkAsked("retired", 1, 1, 1)
		if b.isEmpty() {
			t.Error("it is empty though an instance rests")
		}
	})
}

// elder is a gateway that has handed over.
type elder struct {
	gone uint64
	lent []platform.InstanceID
}

func (e *elder) departed(platform.InstanceID) (number uint64, ok bool) {
	e.gone++
	return e.gone, true
}
func (e *elder) lend(id platform.InstanceID) { e.lent = append(e.lent, id) }
func (e *elder) closeIdle()                  {}
func (e *elder) done() <-chan struct{}       { return nil }

// tell has a predecessor say what it has left.
func (b *bed) tell(from predecessor, l load) {
	b.changePeers(func(p *peers) int { return p.update(from, l) })
}

// An instance is in standby when it rests for all gateways.
func TestStandbyWithPredecessors(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		a, c := &elder{}, &elder{}
		b.lay(1)
		b.lay(2)
		b.check("alone", 1, "standby")
		b.env.predecessors.add(a)
		b.env.predecessors.add(c)
		b.check("they have said nothing", 1, "unproven")
		b.tell(a, load{Resting: []int{1, 2}})
		b.check("one has said so", 1, "unproven")
		b.tell(c, load{Resting: []int{1}})
		b.check("both have", 1, "standby")
		b.check("one has", 2, "unproven")
		if got := b.pool.load().Resting; !slices.Equal(got, []int{1}) {
			t.Errorf("a successor is told that %v rest", got)
		}
		b.tell(c, load{InFlight: 1, Instances: map[int]int{1: 1}})
		b.check("one has a request", 1, "unproven")
		b.tell(c, load{Resting: []int{1}, InFlight: 1, Instances: map[int]int{1: 1}})
		b.check("one has a request that another has taken over", 1, "unproven")
		b.tell(c, load{Resting: []int{1}})
		b.check("over", 1, "standby")
		b.vanish(1)
		b.lay(1)
		b.check("what they have said is about an earlier one", 1, "unproven")
		b.tell(a, load{Resting: []int{1}})
		b.changePeers(func(p *peers) int { p.ack(a, a.gone); return 0 })
		b.check("one knows", 1, "unproven")
		b.changePeers(func(p *peers) int { p.ack(c, c.gone); return 0 })
		b.check("both know", 1, "standby")
		b.env.predecessors.remove(c)
		b.tell(a, load{})
		b.check("it rests no more for one", 1, "unproven")
		b.env.predecessors.remove(a)
		b.changePeers(func(p *peers) int { return p.drop(a) })
		b.changePeers(func(p *peers) int { return p.drop(c) })
		b.check("they have ended", 1, "standby")
		if len(b.peers.loads) > 0 {
			t.Errorf("left of them: %+v", *b.peers.loads[0])
		}
	})
}

// What a predecessor has said is known when the instance is found, and that it is gone later.
func TestRestingIsToldBeforeThePoolIsThere(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		from := &elder{}
		b.env.predecessors.add(from)
		other := platform.RevisionID{Function: "ping", Number: 2}
		b.fleet.updatePredecessor(from, other, load{Resting: []int{1}})
		b.fleet.appear(platform.InstanceID{Revision: other, Index: 1})
		b.fleet.mark(platform.InstanceID{Revision: other, Index: 1}, platform.MarkStandby, true)
		p := b.fleet.pool(other)
		if got := p.load().Resting; !slices.Equal(got, []int{1}) {
			t.Errorf("got %v", got)
		}
		b.fleet.dropPredecessor(from)
		p.vanish(1)
		if !p.isEmpty() {
			t.Error("the pool stays")
		}
	})
}

// A successor is sent what rests, and what rests no more, and is not sent what has not changed. What is marked anew is sent although
// nothing else has happened for long.
func TestRestingIsSent(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		link := &successorLink{succession: &succession{fleet: b.fleet}, sent: make(map[platform.RevisionID]load)}
		check := func(what string, want ...string) {
			t.Helper()
			var got []string
			for _, l := range link.changedLoads() {
				got = append(got, fmt.Sprint(l.Resting))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		expire := func() {
			time.Sleep(2 * maxRecent)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.counts.isActive(time.Now(), time.Now())
		}
		b.bear(1)
		b.bear(2)
		check("awake")
		b.mark(1, platform.MarkStandby, true)
		check("marked", "[1]")
		check("the same")
		b.mark(2, platform.MarkStandby, true)
		check("two", "[1 2]")
		l := b.request()
		check("woken", "[2]")
		l.release()
		expire()
		check("nothing for long", "[]")
		b.mark(2, platform.MarkStandby, false)
		b.mark(2, platform.MarkStandby, true)
		check("marked anew", "[2]")
		b.vanish(2)
		check("gone", "[]")
	})
}

// A request that comes with a lease from elsewhere keeps an instance from being in standby, and the next wakes it.
func TestLentWhileItRests(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.lay(1)
		tunnel := b.adopt(1)
		if tunnel == nil {
			t.Fatal("there is no such instance")
		}
		b.check("a tunnel goes on there", 1, "unproven")
		b.request().release()
		b.checkAsked("a request beside the tunnel", 1, 1, 1)
		b.mark(1, platform.MarkStandby, false)
		b.mark(1, platform.MarkStandby, true)
		if !b.claimed(1) {
			t.Error("marked, with a tunnel, and not claimed")
		}
		tunnel.release()
		b.check("the tunnel is over", 1, "standby")
	})
}

// A predecessor that needs a slot has an instance woken, which is in use until it says otherwise.
func TestPredecessorWakes(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		b.limit(1)
		b.arm(2, 0)
		b.lay(1)
		from := &elder{}
		b.env.predecessors.add(from)
		b.tell(from, load{Queued: 1, Asks: 1, Resting: []int{1}})
		b.checkAsked("asked for", 1, 1, 1)
		b.checkAsked("armed", 2, 0, 0)
		if len(from.lent) != 1 || from.lent[0].Index != 1 || !b.claimed(1) {
			t.Errorf("lent: %v", from.lent)
		}
		b.mark(1, platform.MarkStandby, false)
		b.mark(1, platform.MarkStandby, true)
		b.check("lent and marked", 1, "unproven")
		b.tell(from, load{Granted: 1, Resting: []int{1}})
		b.check("over", 1, "standby")
	})
}

// The marks are followed, those that were there before included.
func TestMarksAreFollowed(t *testing.T) {
	inBed(t, func(t *testing.T, b *bed) {
		store := platform.Store{Paths: b.paths}
		s := &socketFollower{paths: b.paths, fleet: b.fleet, log: slog.New(slog.DiscardHandler)}
		if err := os.MkdirAll(b.paths.Instances(), 0o755); err != nil {
			t.Fatal(err)
		}
		id := func(index int) platform.InstanceID { return platform.InstanceID{Revision: b.revision, Index: index} }
		socket := func(index int) string {
			if err := os.WriteFile(b.paths.InstanceSocket(id(index)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return b.paths.InstanceSocket(id(index))
		}
		changed := func(name string, op fsnotify.Op) { s.Changed(nil, []fsnotify.Event{{Name: name, Op: op}}) }
		mark := func(index int) {
			if err := store.Mark(id(index), platform.MarkStandby); err != nil {
				t.Fatal(err)
			}
		}
		socket(1)
		socket(2)
		mark(1)
		mark(9) // it is gone
		s.Resync()
		b.check("marked before", 1, "standby")
		b.check("not marked", 2, "unproven")
		mark(2)
		changed(b.paths.Mark(id(2), platform.MarkStandby), fsnotify.Create)
		b.check("marked", 2, "standby")
		if err := store.Unmark(id(2), platform.MarkStandby); err != nil {
			t.Fatal(err)
		}
		changed(b.paths.Mark(id(2), platform.MarkStandby), fsnotify.Remove)
		b.check("unmarked", 2, "unproven")
		mark(3)
		changed(b.paths.Mark(id(3), platform.MarkStandby), fsnotify.Create)
		changed(socket(3), fsnotify.Create)
		b.check("marked when it appears", 3, "standby")
		if err := os.Remove(b.paths.Mark(id(1), platform.MarkStandby)); err != nil {
			t.Fatal(err)
		}
		s.Resync()
		b.check("unmarked meanwhile", 1, "unproven")
		if b.stateOf(1) != resting {
			t.Error("unmarked, it gets requests without a claim")
		}
		if err := os.Remove(b.paths.InstanceSocket(id(1))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		s.Resync()
		if got := b.indexes(); !slices.Equal(got, []int{2, 3}) {
			t.Errorf("got %v", got)
		}
	})
}
