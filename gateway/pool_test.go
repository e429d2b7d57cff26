package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// rig is a pool whose instances become ready when the test says so. Time is the bubble's.
type rig struct {
	*pool
	fleet  *fleet
	starts sync.Map // socket → when the instance will have started (time.Time), or the error of its probe
	asked  sync.Map // socket → *atomic.Int32, how often it was asked
	leases chan *lease
}

// inBubble runs a test on a pool in a bubble of its own.
func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		group := newGroup()
		f := newFleet(Config{Paths: platform.Paths{Root: "/"}, MaxQueue: 1000, MaxBuffered: 1 << 20, Logger: slog.New(slog.DiscardHandler)}, nil, group, newMetrics())
		r := &rig{fleet: f, leases: make(chan *lease, 1000)}
		f.env.probe = r.ask
		r.pool = f.pool(platform.RevisionID{Function: "ping", Number: 1})
		r.limit(0)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { group.Run(ctx) })
		test(t, r)
		cancel()
		running.Wait()
		for _, inst := range r.instances {
			inst.upstream.takeSpare().close()
		}
	})
}

// limit lets each instance have so many requests in flight.
func (r *rig) limit(n int) {
	r.configure(limits{concurrency: n, queue: r.limits.queue, liveness: time.Minute})
}

func (r *rig) want(ctx context.Context) (*lease, error) {
	return r.acquire(func() context.Context { return ctx }, 'G', 1)
}

func (r *rig) ask(ctx context.Context, socket string, _ byte) (net.Conn, error) {
	n, _ := r.asked.LoadOrStore(socket, new(atomic.Int32))
	n.(*atomic.Int32).Add(1)
	start, _ := r.starts.Load(socket)
	if err, failed := start.(error); failed {
		return nil, err
	}
	platform.Sleep(ctx, time.Until(start.(time.Time)))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	far.Close()
	return near, nil
}

func (r *rig) socket(index int) string {
	return r.env.paths.InstanceSocket(platform.InstanceID{Revision: r.revision, Index: index})
}

// arm adds an instance that takes so long to start.
func (r *rig) arm(index int, start time.Duration) {
	r.starts.Store(r.socket(index), time.Now().Add(start))
	r.appear(index)
}

// armBroken adds an instance that refuses connections.
func (r *rig) armBroken(index int) {
	r.starts.Store(r.socket(index), errors.New("connection refused"))
	r.appear(index)
}

func (r *rig) askedTimes(index int) int {
	n, ok := r.asked.Load(r.socket(index))
	if !ok {
		return 0
	}
	return int(n.(*atomic.Int32).Load())
}

// hold sends n requests that are never finished.
func (r *rig) hold(ctx context.Context, n int) {
	for range n {
		go func() {
			if l, err := r.want(ctx); err == nil {
				r.leases <- l
			}
		}()
	}
	synctest.Wait()
}

// loads are the requests in flight by instance index, and those that wait.
func (r *rig) loads() (loads map[int]int, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	loads = make(map[int]int)
	for _, inst := range r.instances {
		loads[inst.id.Index] = inst.inFlight
	}
	return loads, r.waiters.Len()
}

func (r *rig) finishAll() {
	for len(r.leases) > 0 {
		(<-r.leases).release()
		synctest.Wait()
	}
}

func TestHeldRequestsAreSpread(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 200*time.Millisecond)
		for i := 2; i <= 10; i++ {
			r.arm(i, 200*time.Millisecond+time.Duration(i)*30*time.Millisecond)
		}
		r.hold(t.Context(), 100)
		time.Sleep(201 * time.Millisecond)
		synctest.Wait()
		if loads, waiting := r.loads(); loads[1] != 10 || waiting != 90 {
			t.Errorf("when the first is ready: got %v and %d waiting, want 10 on it", loads, waiting)
		}
		time.Sleep(320 * time.Millisecond)
		synctest.Wait()
		loads, waiting := r.loads()
		for i := 1; i <= 10; i++ {
			if loads[i] != 10 {
				t.Errorf("when all are ready: got %v and %d waiting, want 10 on each", loads, waiting)
				break
			}
		}
		r.finishAll()
	})
}

func TestSpreadingIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 100*time.Millisecond)
		r.arm(2, time.Hour)
		r.hold(t.Context(), 100)
		time.Sleep(101 * time.Millisecond)
		synctest.Wait()
		if loads, waiting := r.loads(); loads[1] != 50 || waiting != 50 {
			t.Errorf("while it spreads: got %v and %d waiting", loads, waiting)
		}
		time.Sleep(spreadFor(100 * time.Millisecond))
		synctest.Wait()
		if loads, waiting := r.loads(); loads[1] != 100 || waiting != 0 {
			t.Errorf("after: got %v and %d waiting", loads, waiting)
		}
		r.finishAll()
	})
}

func TestSpreadingLetsFastRequestsFlow(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 100*time.Millisecond)
		r.arm(2, time.Hour)
		began := time.Now()
		var done sync.WaitGroup
		for range 100 {
			done.Go(func() {
				l, err := r.want(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
				l.release()
			})
		}
		done.Wait()
		if took := time.Since(began); took > 120*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// Warm traffic is not held because one more instance starts.
func TestScaleUpHoldsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 0)
		r.hold(t.Context(), 10)
		r.arm(2, time.Minute)
		r.hold(t.Context(), 10)
		if loads, waiting := r.loads(); loads[1] != 20 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
		time.Sleep(61 * time.Second)
		r.hold(t.Context(), 1) // it was not probed for a while
		r.hold(t.Context(), 10)
		if loads, _ := r.loads(); loads[2] != 10 {
			t.Errorf("got %v, want the new instance to get all until it has as many", loads)
		}
		r.finishAll()
	})
}

func TestConcurrencyIsNeverExceeded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.limit(1)
		r.arm(1, 10*time.Millisecond)
		r.arm(2, 20*time.Millisecond)
		var done sync.WaitGroup
		for range 50 {
			done.Go(func() {
				l, err := r.want(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if loads, _ := r.loads(); loads[1] > 1 || loads[2] > 1 {
					t.Errorf("got %v", loads)
				}
				time.Sleep(time.Millisecond)
				l.release()
			})
		}
		done.Wait()
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.limit(1)
		r.arm(1, 10*time.Millisecond)
		order := make(chan int, 20)
		var done sync.WaitGroup
		defer done.Wait()
		for i := range 20 {
			done.Go(func() {
				l, err := r.want(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				order <- i
				time.Sleep(time.Millisecond)
				l.release()
			})
			synctest.Wait()
		}
		for want := range 20 {
			if got := <-order; got != want {
				t.Fatalf("got %d, want %d", got, want)
			}
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.limits.queue = 3
		ctx, cancel := context.WithCancelCause(t.Context())
		r.hold(ctx, 3)
		if _, err := r.want(ctx); !errors.Is(err, errQueueFull) {
			t.Errorf("got %v", err)
		}
		cancel(errTimeout)
		synctest.Wait()
		if _, waiting := r.loads(); waiting != 0 {
			t.Errorf("%d wait whose clients have gone", waiting)
		}
		if _, err := r.want(ctx); !errors.Is(err, errTimeout) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

// A client that leaves in the moment in which it is served must not keep the instance.
func TestLeavingGivesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		w, _, _ := r.enter('G', 1)
		r.arm(1, 0)
		synctest.Wait()
		if loads, _ := r.loads(); loads[1] != 1 {
			t.Fatalf("got %v", loads)
		}
		r.abandon(w)
		if loads, _ := r.loads(); loads[1] != 0 {
			t.Errorf("got %v", loads)
		}
	})
}

func TestFailingInstanceIsAskedLessAndLess(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.armBroken(1)
		ctx, cancel := context.WithCancel(t.Context())
		r.hold(ctx, 1)
		time.Sleep(10 * time.Second)
		if n := r.askedTimes(1); n < 10 || n > 20 {
			t.Errorf("asked %d times in 10 s", n)
		}
		cancel()
		time.Sleep(2 * time.Second)
		before := r.askedTimes(1)
		time.Sleep(time.Minute)
		if n := r.askedTimes(1); n != before {
			t.Errorf("asked %d times though nobody waits", n-before)
		}
		r.starts.Store(r.socket(1), time.Now())
		r.hold(t.Context(), 1)
		if loads, waiting := r.loads(); loads[1] != 1 || waiting != 0 {
			t.Errorf("when it works again: got %v and %d waiting", loads, waiting)
		}
		r.finishAll()
	})
}

// One that fails must not make the others wait for it.
func TestFailingInstanceHasNoShare(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 100*time.Millisecond)
		r.armBroken(2)
		r.hold(t.Context(), 10)
		time.Sleep(101 * time.Millisecond)
		synctest.Wait()
		if loads, waiting := r.loads(); loads[1] != 10 || waiting != 0 {
			t.Errorf("got %v and %d waiting", loads, waiting)
		}
		r.finishAll()
	})
}

// A new socket refuses until it has its final mode. It has its share all the same.
func TestNewSocketHasItsShare(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 100*time.Millisecond)
		r.armBroken(2)
		r.hold(t.Context(), 10)
		time.Sleep(10 * time.Millisecond)
		r.starts.Store(r.socket(2), time.Now().Add(200*time.Millisecond))
		time.Sleep(91 * time.Millisecond)
		synctest.Wait()
		if loads, waiting := r.loads(); loads[1] != 5 || waiting != 5 {
			t.Errorf("before the second is ready: got %v and %d waiting", loads, waiting)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if loads, waiting := r.loads(); loads[2] != 5 || waiting != 0 {
			t.Errorf("when it is: got %v and %d waiting", loads, waiting)
		}
		r.finishAll()
	})
}

func TestStrikeAsksAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 0)
		r.arm(2, 0)
		r.hold(t.Context(), 2)
		broken, late := <-r.leases, <-r.leases
		index := broken.instance.id.Index
		r.starts.Store(r.socket(index), time.Now().Add(time.Second))
		broken.strike()
		broken.release()
		r.hold(t.Context(), 5)
		if loads, waiting := r.loads(); loads[index] != 0 || waiting != 0 {
			t.Errorf("got %v and %d waiting, want nothing on the one that broke off", loads, waiting)
		}
		time.Sleep(1100 * time.Millisecond)
		r.hold(t.Context(), 5)
		if loads, _ := r.loads(); loads[index] != 5 {
			t.Errorf("got %v, want it back in service", loads)
		}
		broken.strike() // refutes an earlier proof
		if broken.instance.state != ready {
			t.Error("an old strike took a new proof back")
		}
		late.release()
		r.finishAll()
	})
}

func TestIdleInstanceProvesItselfAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 0)
		r.hold(t.Context(), 1)
		time.Sleep(time.Minute)
		r.hold(t.Context(), 1)
		if n := r.askedTimes(1); n != 1 {
			t.Errorf("asked %d times while something was in flight", n)
		}
		r.finishAll()
		time.Sleep(upstreamIdleTimeout + time.Millisecond)
		r.hold(t.Context(), 1)
		if n := r.askedTimes(1); n != 2 {
			t.Errorf("asked %d times, want once more after a pause", n)
		}
		r.finishAll()
	})
}

func TestDrainFinishesWhatItHas(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 0)
		r.hold(t.Context(), 2)
		r.arm(2, 0)
		r.vanish(1)
		r.hold(t.Context(), 5)
		if loads, _ := r.loads(); loads[1] != 2 || loads[2] != 5 {
			t.Errorf("got %v", loads)
		}
		r.finishAll()
		if loads, _ := r.loads(); len(loads) != 1 {
			t.Errorf("got %v, want only the one that is left", loads)
		}
	})
}

func TestReroutedWhenTheRevisionHasNothingLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		failed := make(chan error, 1)
		go func() {
			_, err := r.want(t.Context())
			failed <- err
		}()
		synctest.Wait()
		r.retire()
		if err := <-failed; !errors.Is(err, errRerouted) {
			t.Errorf("got %v", err)
		}
		if _, err := r.want(t.Context()); !errors.Is(err, errRerouted) {
			t.Errorf("got %v", err)
		}
		r.limit(0)
		r.arm(1, 0)
		r.hold(t.Context(), 1)
		r.retire()
		r.hold(t.Context(), 1)
		if loads, _ := r.loads(); loads[1] != 2 {
			t.Errorf("got %v, want requests that come late to be served while an instance is ready", loads)
		}
		r.finishAll()
		if r.isEmpty() {
			t.Error("it still has an instance")
		}
		r.vanish(1)
		if !r.isEmpty() {
			t.Error("it is not empty")
		}
	})
}

func TestTiesAreBrokenAtRandom(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for i := 1; i <= 3; i++ {
			r.arm(i, 0)
		}
		r.hold(t.Context(), 3)
		r.finishAll()
		hits := make(map[int]int)
		for range 300 {
			l, err := r.want(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			hits[l.instance.id.Index]++
			l.release()
		}
		for i := 1; i <= 3; i++ {
			if hits[i] < 50 {
				t.Errorf("got %v", hits)
			}
		}
	})
}

func TestMeterIntegral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m meter
		m.add(time.Now(), 3)
		time.Sleep(2 * time.Second)
		m.add(time.Now(), -2)
		time.Sleep(500 * time.Millisecond)
		if got := m.integral(time.Now()); got != 6.5 {
			t.Errorf("got %v, want 6.5", got)
		}
		m.add(time.Now(), -1)
		time.Sleep(time.Hour)
		if got := m.integral(time.Now()); got != 6.5 {
			t.Errorf("idle: got %v, want 6.5", got)
		}
	})
}

// A request that another gateway goes on with counts there and no more here, and nothing is left of it when it has ended.
func TestPoolOfRequestsHandedOver(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.arm(1, 0)
		r.counts.begin(time.Now())
		l, err := r.want(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var to rig
		to.pool = newPool(r.revision, r.function, r.env, nil)
		to.appear(1)
		adopted := to.adopt(1)
		if adopted == nil || to.adopt(2) != nil {
			t.Fatal("it is not the instance that is there which is lent")
		}
		l.last = true
		l.release()
		r.leave(time.Now())
		check := func(p *pool, inFlight, open int) {
			t.Helper()
			if p.counts.inFlight.n != inFlight || p.counts.open != open || p.instances.current(1).load() != inFlight || p.counts.codes[101] != 0 && inFlight > 0 {
				t.Errorf("%+v, %d on the instance; want %d in flight, %d open", p.counts, p.instances.current(1).load(), inFlight, open)
			}
		}
		check(r.pool, 0, 0)
		check(to.pool, 1, 1)
		adopted.last = true
		adopted.release()
		to.counts.end(time.Now(), outcome{code: 101, left: true})
		check(to.pool, 0, 0)
	})
}
