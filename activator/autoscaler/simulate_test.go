package autoscaler_test

import (
	"math"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

// trace makes n seconds of arrivals.
func trace(n int, arrivals func(second int) int) []int {
	counts := make([]int, n)
	for i := range counts {
		counts[i] = arrivals(i)
	}
	return counts
}

func simulation(c autoscaler.Config) autoscaler.Simulation {
	c.Min, c.Max = 0, 100
	return autoscaler.Simulation{Config: c, ColdStart: 300 * time.Millisecond, ServiceTime: 50 * time.Millisecond}
}

func TestSimulateOneRequest(t *testing.T) {
	s := simulation(autoscaler.DefaultConfig(autoscaler.RPS, 10))
	points := autoscaler.Simulate(trace(180, func(i int) int { return b2i(i == 10) }), s)
	if len(points) != 180 {
		t.Fatalf("%d points, want 180", len(points))
	}
	total := autoscaler.Total(points)
	if total.Arrivals != 1 || total.ColdStarts != 1 || total.Desired != 1 {
		t.Errorf("%+v, want one arrival, one cold start, one instance", total)
	}
	if math.Abs(total.QueueSeconds-0.3) > 1e-9 {
		t.Errorf("queued for %v s, want 0.3", total.QueueSeconds)
	}
	// From the request until stable_window after the last tick that saw it.
	if math.Abs(total.InstanceSeconds-120) > 0.5 {
		t.Errorf("%v instance-seconds, want about 120", total.InstanceSeconds)
	}
	if last := points[179]; last.Ready != 0 || points[129].Ready != 1 {
		t.Errorf("ready %d at the end, %d before", last.Ready, points[129].Ready)
	}
}

func TestSimulateMin(t *testing.T) {
	s := simulation(autoscaler.DefaultConfig(autoscaler.RPS, 10))
	s.Config.Min, s.Ready = 2, 2
	total := autoscaler.Total(autoscaler.Simulate(make([]int, 60), s))
	if total.InstanceSeconds != 120 || total.ColdStarts != 0 {
		t.Errorf("%+v, want 120 instance-seconds", total)
	}
}

func TestSimulateReachesTheNeededSizeWithinASecond(t *testing.T) {
	s := simulation(autoscaler.DefaultConfig(autoscaler.Concurrency, 6))
	s.ServiceTime = time.Second
	points := autoscaler.Simulate(trace(30, func(i int) int { return 102 * b2i(i >= 10) }), s)
	if got := points[11].Desired; got < 17 {
		t.Errorf("desired %d after two seconds, want 17", got)
	}
}

func TestSimulateSlowStartsCauseNoOvershoot(t *testing.T) {
	s := simulation(autoscaler.DefaultConfig(autoscaler.RPS, 10))
	s.ColdStart = 10 * time.Second
	total := autoscaler.Total(autoscaler.Simulate(trace(120, func(int) int { return 35 }), s))
	if total.Desired != 4 {
		t.Errorf("up to %d instances desired, want 4", total.Desired)
	}
}

func TestSimulateCPU(t *testing.T) {
	s := simulation(autoscaler.DefaultConfig(autoscaler.CPU, 40))
	s.Config.Min, s.Config.Max, s.Ready = 1, 2, 1
	points := autoscaler.Simulate(trace(400, func(i int) int { return 16 * b2i(i < 60) }), s) // 80 % of a core
	if points[59].Ready != 2 || points[399].Ready != 1 {
		t.Errorf("%d instances under load, %d after; want 2 and 1", points[59].Ready, points[399].Ready)
	}
}

func TestSimulateCountsDrainingInstances(t *testing.T) {
	s := simulation(autoscaler.KnativeConfig(autoscaler.RPS, 10)) // in which a long request isn't load
	s.ServiceTime, s.Slots = 100*time.Second, 1
	total := autoscaler.Total(autoscaler.Simulate(trace(200, func(i int) int { return b2i(i == 0) }), s))
	if math.Abs(total.InstanceSeconds-100.3) > 0.01 {
		t.Errorf("%v instance-seconds, want those of the request, 100.3", total.InstanceSeconds)
	}
}

func TestSimulateReportsTheFirstRequestOnce(t *testing.T) {
	s := simulation(autoscaler.KnativeConfig(autoscaler.RPS, 1))
	total := autoscaler.Total(autoscaler.Simulate(trace(120, func(i int) int { return 4 * b2i(i == 0) }), s))
	if total.Desired != 2 { // first 1 / 0.7, then (1 + 3 + 0) / 3 / 0.7
		t.Errorf("up to %d instances desired, want 2", total.Desired)
	}
}

func TestSimulateSeesRequestsBetweenTicks(t *testing.T) {
	s := simulation(autoscaler.DefaultConfig(autoscaler.Concurrency, 10))
	s.Ready, s.ServiceTime, s.Config.Tick = 1, time.Millisecond, 300*time.Millisecond
	points := autoscaler.Simulate(trace(200, func(i int) int { return b2i(i == 61) }), s)
	if points[179].Ready != 1 || points[185].Ready != 0 {
		t.Errorf("ready %d two minutes after the request, %d later", points[179].Ready, points[185].Ready)
	}
}

// The traces of the comparison in `make bench`.
func TestOursAgainstKnative(t *testing.T) {
	for name, arrivals := range map[string]func(int) int{
		"steady": func(int) int { return 40 },
		"burst":  func(i int) int { return 200 * b2i(i%300 < 20) },
		"wave":   func(i int) int { return int(50 - 50*math.Cos(float64(i)*2*math.Pi/1800)) },
	} {
		counts := trace(3600, arrivals)
		us := autoscaler.Total(autoscaler.Simulate(counts, simulation(autoscaler.DefaultConfig(autoscaler.RPS, 10))))
		they := autoscaler.Total(autoscaler.Simulate(counts, simulation(autoscaler.KnativeConfig(autoscaler.RPS, 10))))
		t.Logf("%-6s   ours: %3d cold starts, %6.1f s queued, %6.0f instance-seconds, at most %d", name, us.ColdStarts, us.QueueSeconds, us.InstanceSeconds, us.Desired)
		t.Logf("%-6s Knative: %3d cold starts, %6.1f s queued, %6.0f instance-seconds, at most %d", name, they.ColdStarts, they.QueueSeconds, they.InstanceSeconds, they.Desired)
		if us.QueueSeconds > they.QueueSeconds || us.InstanceSeconds > 2*they.InstanceSeconds {
			t.Errorf("%s: ours waits longer than Knative, or costs twice as much", name)
		}
	}
}

func TestSimulateSeveralMetrics(t *testing.T) {
	counts := trace(600, func(int) int { return 40 }) // what waited for the first instance is forgotten by then
	for _, c := range []struct {
		target float64
		want   int
	}{{40, 4}, {4, 10}, {1000, 4}} { // of rps, beside 0.5 in flight where there are 2
		s := simulation(autoscaler.DefaultConfig(autoscaler.RPS, c.target))
		s.Slots = 4
		s.Others = []autoscaler.Config{autoscaler.DefaultConfig(autoscaler.Concurrency, 0.5), autoscaler.DefaultConfig(autoscaler.Memory, 100)}
		s.Others[0].Max, s.Others[1].Max = 100, 100
		if last := autoscaler.Simulate(counts, s)[599]; last.Ready != c.want {
			t.Errorf("target %v: %d instances, want %d", c.target, last.Ready, c.want)
		}
	}
}

func TestSimulateOddInputs(t *testing.T) {
	autoscaler.Simulate(nil, autoscaler.Simulation{})
	autoscaler.Simulate([]int{-1, 0, 5}, autoscaler.Simulation{ColdStart: -1, ServiceTime: -1, Ready: -1, Slots: -1})
	for _, m := range []autoscaler.Metric{autoscaler.Memory, autoscaler.Prometheus, ""} {
		points := autoscaler.Simulate([]int{3, 0, 5}, autoscaler.Simulation{Config: autoscaler.Config{Metric: m}})
		if total := autoscaler.Total(points); total.Arrivals != 8 || total.Queued != 0 {
			t.Errorf("%q: %+v", m, total)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
