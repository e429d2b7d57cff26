package autoscaler_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

var start = time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)

// ours is DefaultConfig without a delay and from zero, so that each test sees one rule at a time.
func ours(m autoscaler.Metric, target float64) autoscaler.Config {
	c := autoscaler.DefaultConfig(m, target)
	c.Min, c.Max, c.ScaleDownDelay = 0, 100, 0
	return c
}

// busy is a valid sample with the same value in both windows.
func busy(ready int, value float64) autoscaler.Sample {
	return autoscaler.Sample{Ready: ready, Stable: value, Panic: value, Valid: true, Active: true}
}

func idle(ready int) autoscaler.Sample { return autoscaler.Sample{Ready: ready, Valid: true} }

func want(t *testing.T, d autoscaler.Decision, desired int, reason autoscaler.Reason) {
	t.Helper()
	if d.Desired != desired || d.Reason != reason {
		t.Errorf("got %d (%s), want %d (%s): %s", d.Desired, d.Reason, desired, reason, d.Explanation())
	}
}

func TestStepFromZeroIsFullyServedAtOnce(t *testing.T) {
	a := autoscaler.New(ours(autoscaler.Concurrency, 6), 0, start)
	want(t, a.Decide(start, idle(0)), 0, autoscaler.ReasonIdle)
	want(t, a.Decide(start, autoscaler.Sample{Panic: 100, Stable: 1, Valid: true, Active: true}), 17, autoscaler.ReasonSurge)
}

func TestStepsOfExactMultiples(t *testing.T) {
	a := autoscaler.New(ours(autoscaler.Concurrency, 6), 0, start)
	for i, step := range []struct {
		ready int
		load  float64
		want  int
	}{{0, 12.02, 2}, {2, 12, 2}, {2, 23.9, 4}, {4, 24.1, 4}} {
		d := a.Decide(start, busy(step.ready, step.load))
		if d.Desired != step.want {
			t.Errorf("step %d: desired = %d, want %d: %s", i, d.Desired, step.want, d.Explanation())
		}
	}
}

// A step in load begins anywhere between two ticks; until the last instance it needs is desired, it
// takes at most half a second at the median, and never more than 1.2 s. A step of few requests a
// second is distinguished from chance by counting for longer.
func TestReactionTime(t *testing.T) {
	for _, m := range []autoscaler.Metric{autoscaler.Concurrency, autoscaler.RPS} {
		for _, step := range []struct{ from, to float64 }{{0, 2}, {2, 4}, {0, 17}, {2, 3}, {4, 12}} {
			var times []time.Duration
			for phase := range 20 {
				times = append(times, reaction(ours(m, 20), step.from, step.to, time.Duration(phase)*10*time.Millisecond))
			}
			slices.Sort(times)
			median, slowest := times[len(times)/2], times[len(times)-1]
			t.Logf("%-11s %2v to %2v instances' worth: median %v, slowest %v", m, step.from, step.to, median, slowest)
			few := m == autoscaler.RPS && (step.to == 2 || step.to == 3)
			if !few && median > 450*time.Millisecond || slowest > 1200*time.Millisecond {
				t.Errorf("%s, %v to %v: median %v, slowest %v", m, step.from, step.to, median, slowest)
			}
		}
	}
}

// reaction is how long after a step, phase after a tick, the size is right. Load is in instances'
// worth; the instances are on the way from then on.
func reaction(cfg autoscaler.Config, from, to float64, phase time.Duration) time.Duration {
	a := autoscaler.New(cfg, int(from), start)
	m := cfg.NewMeter()
	s := autoscaler.Sample{Ready: int(from)}
	step, total := start.Add(10*time.Minute+phase), 0.0
	for now := start; now.Before(step.Add(time.Hour)); now = now.Add(cfg.Tick) {
		part := min(1, max(0, float64(now.Sub(step))/float64(cfg.Tick))) // of the tick with the new load
		load := from + (to-from)*part
		total += load * cfg.Target * cfg.Tick.Seconds()
		m.Count(now, total)
		s.Active = load > 0
		d := a.Decide(now, a.Measure(now, s, m, load*cfg.Target))
		if part > 0 && d.Desired >= int(to) {
			return now.Sub(step)
		}
		s.Starting = max(0, d.Desired-s.Ready)
	}
	return time.Hour
}

func TestOneInstanceMoreDoesNotWaitForTheStableWindow(t *testing.T) {
	a := autoscaler.New(ours(autoscaler.Concurrency, 6), 0, start)
	a.Decide(start, busy(4, 24)) // 4 of 4
	s := busy(4, 24)
	s.Panic = 30
	d := a.Decide(start, s)
	want(t, d, 5, autoscaler.ReasonSurge)
	// Nor is it taken away before that has seen it.
	s.Panic, s.Ready = 24, 5
	want(t, a.Decide(start.Add(time.Second), s), 5, autoscaler.ReasonPanic)
}

// A load that goes up and down by itself is no surge until it is higher than usual.
func TestNoiseIsNoSurge(t *testing.T) {
	a := autoscaler.New(ours(autoscaler.Concurrency, 10), 1, start)
	at := start
	for n := range 100 {
		at = at.Add(400 * time.Millisecond)
		s := busy(1, 10)
		s.Panic = 10 + 4*float64(n%2*2-1)
		want(t, a.Decide(at, s), 1, autoscaler.ReasonStable)
	}
	s := busy(1, 10)
	s.Panic = 19 // 15 would be one without noise
	want(t, a.Decide(at.Add(200*time.Millisecond), s), 1, autoscaler.ReasonStable)
	s.Panic = 40
	want(t, a.Decide(at.Add(400*time.Millisecond), s), 4, autoscaler.ReasonSurge)
}

func TestToleranceKeepsASizeButDoesNotCutANeed(t *testing.T) {
	for _, c := range []struct {
		from int
		load float64
		want int
	}{
		{1, 10.9, 1}, {1, 11.1, 2}, // up to 10 % above the target is noise
		{2, 10.0, 1}, {2, 10.6, 2}, // but a shrink goes to the plain ceiling
		{1, 166.7, 17}, {16, 166.7, 16}, {0, 0.1, 1},
	} {
		cfg := ours(autoscaler.Prometheus, 10)
		cfg.PanicThreshold, cfg.MaxScaleDownRate = 1000, 1000
		a := autoscaler.New(cfg, min(c.from, 1), start)
		s := autoscaler.Sample{Ready: c.from, Stable: float64(c.from) * 10, Valid: true, Active: true}
		a.Decide(start, s)
		s.Stable = c.load
		if d := a.Decide(start.Add(time.Minute), s); d.Desired != c.want {
			t.Errorf("load %v on %d: desired = %d, want %d", c.load, c.from, d.Desired, c.want)
		}
	}
}

func TestSlowStartsCauseNoOvershoot(t *testing.T) {
	for _, m := range []autoscaler.Metric{autoscaler.RPS, autoscaler.Concurrency} {
		cfg := ours(m, 6)
		cfg.MaxScaleUpRate = 2
		a := autoscaler.New(cfg, 1, start)
		at := start
		d := a.Decide(at, busy(1, 24))
		want(t, d, 2, autoscaler.ReasonUpRate)
		for range 50 { // ten seconds, during which one instance starts
			at = at.Add(200 * time.Millisecond)
			s := busy(1, 24)
			s.Starting = 1
			d = a.Decide(at, s)
			want(t, d, 2, autoscaler.ReasonUpRate)
		}
	}
}

func TestInstancesOnTheWayEndPanic(t *testing.T) {
	cfg := ours(autoscaler.Concurrency, 6)
	a := autoscaler.New(cfg, 1, start)
	until := a.Decide(start, busy(1, 24)).PanicUntil
	s := busy(1, 24)
	s.Starting = 3
	if d := a.Decide(start.Add(10*time.Second), s); !d.PanicUntil.Equal(until) {
		t.Errorf("panic went on to %v although all is on the way; want %v", d.PanicUntil, until)
	}
	s.Starting = 0
	if d := a.Decide(start.Add(11*time.Second), s); !d.PanicUntil.After(until) {
		t.Error("panic was not extended when the starts came to nothing")
	}
}

func TestZeroIsDecidedByRequests(t *testing.T) {
	const window = 30 * time.Second
	for _, m := range []autoscaler.Metric{autoscaler.RPS, autoscaler.Concurrency, autoscaler.CPU, autoscaler.Memory} {
		t.Run(string(m), func(t *testing.T) {
			cfg := ours(m, 50)
			cfg.ScaleToZeroAfter = window
			a := autoscaler.New(cfg, 1, start)
			request := idle(1)
			request.Active = true
			a.Decide(start, request)
			want(t, a.Decide(start.Add(window-1), idle(1)), 1, autoscaler.ReasonActive)
			noisy := busy(1, 45) // the app does something of its own
			noisy.Active = false
			want(t, a.Decide(start.Add(window), noisy), 0, autoscaler.ReasonIdle)
			want(t, a.Decide(start.Add(window+1), idle(0)), 0, autoscaler.ReasonIdle)
			want(t, a.Decide(start.Add(window+2), request), 1, autoscaler.ReasonActive)
		})
	}
}

func TestWithoutAnInstanceThereIsNothingToMeasure(t *testing.T) {
	cfg := ours(autoscaler.CPU, 40)
	a := autoscaler.New(cfg, 0, start)
	want(t, a.Decide(start, idle(0)), 0, autoscaler.ReasonIdle)
	request := idle(0)
	request.Active = true
	want(t, a.Decide(start, request), 1, autoscaler.ReasonActive)
	want(t, a.Decide(start, busy(1, 100)), 3, autoscaler.ReasonStable)
	starting := idle(0) // all have crashed and are coming back
	starting.Starting = 3
	want(t, a.Decide(start, starting), 3, autoscaler.ReasonNoData)
	want(t, a.Decide(start.Add(cfg.StableWindow), starting), 0, autoscaler.ReasonIdle)
}

func TestZeroForgetsThePast(t *testing.T) {
	cfg := ours(autoscaler.Concurrency, 1)
	cfg.ScaleDownDelay, cfg.ScaleToZeroAfter = time.Hour, time.Second
	a := autoscaler.New(cfg, 1, start)
	a.Decide(start, busy(1, 50))
	want(t, a.Decide(start.Add(time.Second), idle(50)), 0, autoscaler.ReasonIdle)
	want(t, a.Decide(start.Add(2*time.Second), busy(0, 1)), 1, autoscaler.ReasonStable)
}

func TestScaleToZeroAfterDefaults(t *testing.T) {
	cfg := ours(autoscaler.RPS, 10)
	cfg.ScaleDownDelay = 5 * time.Minute
	a := autoscaler.New(cfg, 1, start)
	want(t, a.Decide(start.Add(cfg.StableWindow), idle(1)), 1, autoscaler.ReasonActive)
	want(t, a.Decide(start.Add(cfg.ScaleDownDelay), idle(1)), 0, autoscaler.ReasonIdle)
}

func TestNoDataKeepsTheLastDecision(t *testing.T) {
	a := autoscaler.New(ours(autoscaler.RPS, 10), 1, start)
	a.Decide(start, busy(1, 30))
	at := start.Add(24 * time.Hour)
	d := a.Decide(at, autoscaler.Sample{Ready: 3})
	want(t, d, 3, autoscaler.ReasonNoData)
	if d.Valid || d.Settled {
		t.Errorf("valid = %v, settled = %v", d.Valid, d.Settled)
	}

	cfg := ours(autoscaler.RPS, 10)
	cfg.Min = 5
	a.Update(cfg)
	want(t, a.Decide(at, autoscaler.Sample{}), 5, autoscaler.ReasonMin)

	a = autoscaler.New(ours(autoscaler.RPS, 10), 0, start)
	want(t, a.Decide(start, autoscaler.Sample{}), 0, autoscaler.ReasonNoData)
	want(t, a.Decide(start, autoscaler.Sample{Active: true}), 1, autoscaler.ReasonActive)
}

func TestBounds(t *testing.T) {
	cfg := ours(autoscaler.RPS, 10)
	cfg.Min, cfg.Max = 2, 4
	a := autoscaler.New(cfg, 0, start)
	want(t, a.Decide(start, idle(0)), 2, autoscaler.ReasonMin)
	want(t, a.Decide(start, busy(2, 100)), 4, autoscaler.ReasonMax)
	cfg.Max = 20
	a.Update(cfg)
	want(t, a.Decide(start, busy(2, 100)), 10, autoscaler.ReasonStable)
	cfg.Unreachable = true
	a.Update(cfg)
	want(t, a.Decide(start.Add(time.Hour), idle(10)), 0, autoscaler.ReasonIdle)
}

func TestInitialScale(t *testing.T) {
	cfg := ours(autoscaler.RPS, 10)
	cfg.InitialScale = 3
	a := autoscaler.New(cfg, 0, start)
	want(t, a.Decide(start, idle(0)), 3, autoscaler.ReasonInitial)
	at := start.Add(time.Hour)
	want(t, a.Decide(at, idle(2)), 3, autoscaler.ReasonInitial)
	want(t, a.Decide(at, idle(3)), 1, autoscaler.ReasonDownRate)
	want(t, a.Decide(at.Add(cfg.StableWindow), idle(2)), 0, autoscaler.ReasonIdle)
	want(t, a.Decide(at.Add(time.Hour), idle(0)), 0, autoscaler.ReasonIdle)
}

func TestDelayCanBeChanged(t *testing.T) {
	cfg := ours(autoscaler.RPS, 10)
	cfg.ScaleDownDelay, cfg.PanicThreshold = 10*time.Second, 1000
	a := autoscaler.New(cfg, 1, start)
	a.Decide(start, busy(1, 50))
	cfg.ScaleDownDelay = 20 * time.Second
	a.Update(cfg)
	for at, n := range map[int]int{10: 5, 20: 5} {
		want(t, a.Decide(start.Add(time.Duration(at)*time.Second), busy(1, 10)), n, autoscaler.ReasonDelay)
	}
	want(t, a.Decide(start.Add(21*time.Second), busy(1, 10)), 1, autoscaler.ReasonStable)
	cfg.ScaleDownDelay = 0
	a.Update(cfg)
	a.Decide(start.Add(22*time.Second), busy(1, 50))
	want(t, a.Decide(start.Add(22*time.Second), busy(1, 10)), 1, autoscaler.ReasonStable)
}

func TestSettled(t *testing.T) {
	a := autoscaler.New(ours(autoscaler.RPS, 10), 1, start)
	if a.Decide(start, idle(1)).Settled {
		t.Error("settled with an instance to go")
	}
	at := start.Add(time.Hour)
	if a.Decide(at, idle(1)).Settled {
		t.Error("settled while the last instance still runs")
	}
	if !a.Decide(at, idle(0)).Settled {
		t.Error("not settled at zero")
	}
	if a.Decide(at, busy(0, 1)).Settled {
		t.Error("settled with load")
	}

	cfg := ours(autoscaler.RPS, 10)
	cfg.Min = 1
	a = autoscaler.New(cfg, 1, start)
	if !a.Decide(start, idle(1)).Settled {
		t.Error("not settled at min")
	}
	active := idle(1)
	active.Active = true
	if a.Decide(start, active).Settled {
		t.Error("settled with activity")
	}
	burst := busy(1, 20)
	burst.Burst = 20
	if a.Decide(start, burst); a.Decide(start, idle(1)).Settled {
		t.Error("settled in panic")
	}
	cfg.Min = 2
	if autoscaler.New(cfg, 2, start).Decide(start, idle(2)).Settled {
		t.Error("settled in panic at min")
	}
}

func TestReferencePanicBoundary(t *testing.T) {
	cfg := autoscaler.KnativeConfig(autoscaler.Concurrency, 10)
	cfg.Target = 10
	for load, panics := range map[float64]bool{39.9: true, 30: false, 30.1: true} { // 4, 3 and 4 for 2 ready
		a := autoscaler.New(cfg, 0, start)
		if d := a.Decide(start, busy(2, load)); d.Panicking != panics {
			t.Errorf("load %v on 2: panicking = %v", load, d.Panicking)
		}
	}
}

func TestPanicIsForgotten(t *testing.T) {
	cfg := ours(autoscaler.Concurrency, 1)
	a := autoscaler.New(cfg, 1, start)
	want(t, a.Decide(start, busy(1, 50)), 50, autoscaler.ReasonStable)
	want(t, a.Decide(start.Add(cfg.StableWindow), busy(2, 2)), 50, autoscaler.ReasonPanic)
	want(t, a.Decide(start.Add(cfg.StableWindow+1), busy(2, 2)), 2, autoscaler.ReasonStable)
	want(t, a.Decide(start.Add(cfg.StableWindow+2), busy(2, 4)), 4, autoscaler.ReasonStable)
}

func TestInitialScaleIsOverAfterARestart(t *testing.T) {
	cfg := ours(autoscaler.RPS, 10)
	cfg.InitialScale, cfg.Min = 3, 1
	a := autoscaler.New(cfg, 3, start)
	want(t, a.Decide(start.Add(time.Hour), idle(1)), 1, autoscaler.ReasonMin)
}

func TestAnyLoadIsLoad(t *testing.T) {
	cfg := ours(autoscaler.RPS, 10)
	cfg.ActivationScale = 4
	a := autoscaler.New(cfg, 1, start)
	want(t, a.Decide(start, busy(1, 0.01)), 4, autoscaler.ReasonActivation)

	cfg = ours(autoscaler.RPS, 1e-9) // the least target is 0.01
	a = autoscaler.New(cfg, 1, start)
	want(t, a.Decide(start, busy(1, 0.005)), 1, autoscaler.ReasonStable)
}

func TestExcessBurstCapacity(t *testing.T) {
	for _, c := range []struct {
		tbc, panicValue float64
		ready, want     int
	}{{0, 9, 1, 0}, {-1, 9, 1, -1}, {5, 2.5, 1, 2}, {5, 2.5, 0, -8}, {100, 2.5, 3, -73}} {
		cfg := ours(autoscaler.Concurrency, 10)
		cfg.TargetBurstCapacity = c.tbc
		s := busy(c.ready, c.panicValue)
		if d := autoscaler.New(cfg, 0, start).Decide(start, s); d.ExcessBurstCapacity != c.want {
			t.Errorf("%+v: excess burst capacity = %d", c, d.ExcessBurstCapacity)
		}
	}
}

func TestTheDelaySurvivesAClockThatStepsBack(t *testing.T) {
	cfg := ours(autoscaler.RPS, 10)
	cfg.ScaleDownDelay, cfg.PanicThreshold = 10*time.Second, 1000
	a := autoscaler.New(cfg, 1, start)
	a.Decide(start, busy(1, 50))
	for i := range 100 {
		a.Decide(start.Add(-time.Duration(i)*time.Second), busy(1, float64(45-i%40)))
	}
	want(t, a.Decide(start.Add(9*time.Second), busy(1, 10)), 5, autoscaler.ReasonDelay)
	want(t, a.Decide(start.Add(20*time.Second), busy(1, 10)), 1, autoscaler.ReasonStable)
}
