package autoscaler_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

// inStandby is a function of ten requests a second and instance, with instances in standby.
func inStandby(standby int) autoscaler.Simulation {
	s := simulation(autoscaler.DefaultConfig(autoscaler.RPS, 10))
	s.Standby, s.WakeTime, s.SandboxTime = standby, 2*time.Millisecond, 20*time.Millisecond
	return s
}

func at(seconds ...int) func(int) int {
	return func(second int) (arrivals int) {
		for _, s := range seconds {
			arrivals += b2i(s == second)
		}
		return arrivals
	}
}

func near(got, want float64) bool { return math.Abs(got-want) < 1e-6 }

// An instance at zero is frozen instead of stopped, and the next request wakes it, which is no cold start.
func TestSimulateStandby(t *testing.T) {
	counts := trace(900, at(10, 500))
	points := autoscaler.Simulate(counts, inStandby(1))
	total, without := autoscaler.Total(points), autoscaler.Total(autoscaler.Simulate(counts, inStandby(0)))
	if total.ColdStarts != 1 || total.ArmedStarts != 1 || total.Wakes != 1 || total.PoisedStarts != 0 {
		t.Errorf("%+v, want a cold start from armed, then a wake", total)
	}
	if !near(total.QueueSeconds, 0.302) || !near(total.ArmedQueueSeconds, 0.3) || !near(total.WakeQueueSeconds, 0.002) {
		t.Errorf("%+v, want 0.302 s waited, 0.3 of it for a start and 0.002 for a wake", total)
	}
	if points[400].Standby != 1 || points[400].Ready != 0 || points[505].Standby != 0 || points[505].Ready != 1 || points[899].Standby != 1 {
		t.Errorf("at zero %+v, after the wake %+v, at the end %+v", points[400], points[505], points[899])
	}
	awake, inMemory := total.InstanceSeconds, total.InstanceSeconds+total.StandbySeconds
	if math.Abs(inMemory-890) > 0.01 || math.Abs(awake-without.InstanceSeconds) > 1 {
		t.Errorf("%v instance-seconds, %v in memory; want %v and 890", awake, inMemory, without.InstanceSeconds)
	}
	if without.ColdStarts != 2 || without.ArmedStarts != 2 || without.Wakes != 0 || without.StandbySeconds != 0 || without.Resident != 1 {
		t.Errorf("without standby %+v", without)
	}
}

// No more than so many are in standby: the others are stopped. A higher load wakes those first.
func TestSimulateStandbyIsBounded(t *testing.T) {
	s := inStandby(2)
	counts := trace(1200, func(i int) int { return 40 * b2i(i < 60 || i >= 900 && i < 960) })
	points := autoscaler.Simulate(counts, s)
	first, total := autoscaler.Total(points[:800]), autoscaler.Total(points)
	if first.Ready != 4 || points[800].Ready != 0 || points[800].Standby != 2 {
		t.Errorf("%d instances, then %d, and %d in standby; want 4, 0, 2", first.Ready, points[800].Ready, points[800].Standby)
	}
	if total.Wakes != 2 || total.ArmedStarts != first.ArmedStarts+2 || total.ColdStarts != first.ColdStarts {
		t.Errorf("%+v after %+v, want two wakes and two starts for the second burst, and no cold start", total, first)
	}
}

// What is in standby goes when there are more instances than the budget has room for, and only then.
func TestSimulateBudget(t *testing.T) {
	counts := trace(1200, func(i int) int { return 40*b2i(i < 60) + b2i(i == 900) })
	type outcome struct{ standby, evicted, resident int }
	for budget, want := range map[int]outcome{0: {4, 0, 4}, 9: {4, 0, 4}, 4: {4, 0, 4}, 3: {3, 1, 4}, 1: {1, 3, 4}} {
		s := inStandby(100)
		s.Budget = budget
		points := autoscaler.Simulate(counts, s)
		total := autoscaler.Total(points)
		if got := (outcome{points[800].Standby, total.Evictions, total.Resident}); got != want {
			t.Errorf("budget %d: got %+v, want %+v", budget, got, want)
		}
		if total.Wakes != 1 {
			t.Errorf("budget %d: %d wakes, want 1", budget, total.Wakes)
		}
	}
}

// One that has a request is not frozen, and goes on serving until it has none.
func TestSimulateBusyIsNotFrozen(t *testing.T) {
	s := inStandby(10)
	s.Config = autoscaler.KnativeConfig(autoscaler.RPS, 10) // in which a long request is no load
	s.ServiceTime, s.Slots = 100*time.Second, 1
	points := autoscaler.Simulate(trace(300, at(0)), s)
	if points[90].Ready != 1 || points[90].Standby != 0 || points[110].Ready != 0 || points[110].Standby != 1 {
		t.Errorf("%+v while it has a request, %+v after it", points[90], points[110])
	}
}

// The gateway wakes one instance after the other, while those that are awake have no room. Without a limit they have.
func TestSimulateGatewayWakes(t *testing.T) {
	for _, c := range []struct {
		slots, arrivals int
		service         time.Duration
		want            int
	}{{1, 3, 2 * time.Second, 3}, {2, 3, 2 * time.Second, 2}, {3, 3, 2 * time.Second, 1}, {0, 30, 50 * time.Millisecond, 1}} {
		s := inStandby(10)
		s.Slots, s.ServiceTime, s.WakeTime, s.Config.Tick = c.slots, c.service, 200*time.Millisecond, time.Second
		counts := trace(902, func(i int) int { return 40*b2i(i < 3) + c.arrivals*b2i(i == 900) })
		points := autoscaler.Simulate(counts, s)
		if points[899].Standby < 3 || points[899].Ready != 0 {
			t.Fatalf("%+v before, want three in standby", points[899])
		}
		if wakes := points[900].Wakes; wakes != c.want {
			t.Errorf("%d requests in a second, %d at once: %d wakes, want %d", c.arrivals, c.slots, wakes, c.want)
		}
	}
}

// A start from poised is as much shorter as the sandbox takes, and one at a time is poised.
func TestSimulatePoised(t *testing.T) {
	s := inStandby(0)
	s.Poised = true
	total := autoscaler.Total(autoscaler.Simulate(trace(600, at(10, 500)), s))
	if total.PoisedStarts != 2 || total.ArmedStarts != 0 || total.ColdStarts != 2 {
		t.Errorf("%+v, want two starts from poised", total)
	}
	if !near(total.QueueSeconds, 0.56) || !near(total.PoisedQueueSeconds, 0.56) {
		t.Errorf("%+v, want two starts from poised, of 0.28 s", total)
	}
	burst := autoscaler.Total(autoscaler.Simulate(trace(60, func(i int) int { return 400 * b2i(i >= 30) }), s))
	if burst.PoisedStarts < 1 || burst.PoisedStarts > 5 || burst.PoisedStarts+burst.ArmedStarts != 40 {
		t.Errorf("%d starts from poised and %d from armed for a burst, want a few and the rest of 40", burst.PoisedStarts, burst.ArmedStarts)
	}
}

// Whatever the load, standby keeps to its bounds, loses no request, and no instance is woken that did not sleep.
func TestSimulateStandbyProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 60 {
		s := inStandby(random.IntN(6))
		s.Budget, s.Poised, s.Slots = random.IntN(8), random.IntN(2) == 0, random.IntN(3)
		s.Config.Max = 1 + random.IntN(8)
		s.Config.StableWindow, s.Config.ScaleToZeroAfter = 20*time.Second, 20*time.Second
		level := 0
		counts := trace(600, func(i int) int {
			if random.IntN(40) == 0 {
				level = random.IntN(2) * random.IntN(60)
			}
			return level * b2i(i < 500)
		})
		points := autoscaler.Simulate(counts, s)
		slept, awake := 0, 0
		for i, p := range points {
			if p.Standby > s.Standby || s.Budget > 0 && p.Standby > 0 && p.Ready+p.Starting+p.Standby > s.Budget {
				t.Fatalf("%+v: %+v", s, p)
			}
			if sum := p.WakeQueueSeconds + p.PoisedQueueSeconds + p.ArmedQueueSeconds; sum > p.QueueSeconds+1e-9 {
				t.Fatalf("waited %v s, of which %v for instances", p.QueueSeconds, sum)
			}
			if i > 0 {
				// What came into standby in this second is at least what is there more, was woken or evicted.
				slept += p.Standby - points[i-1].Standby + p.Wakes + p.Evictions
			}
			awake += p.Wakes + p.PoisedStarts + p.ArmedStarts
		}
		total := autoscaler.Total(points)
		if last := points[599]; last.Queued != 0 || slept > awake || s.Standby == 0 && total.Wakes+total.Evictions+total.Standby > 0 {
			t.Fatalf("%+v: %+v, %d fell asleep, %d were awake", s, last, slept, awake)
		}
	}
}
