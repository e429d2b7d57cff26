package autoscaler_test

import (
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

var metrics = []autoscaler.Metric{autoscaler.RPS, autoscaler.Concurrency, autoscaler.CPU, autoscaler.Memory}

func randomConfig(r *rand.Rand) autoscaler.Config {
	c := autoscaler.DefaultConfig(metrics[r.Intn(len(metrics))], math.Exp(r.Float64()*8-2))
	c.Min = r.Intn(4)
	c.Max = c.Min + 1 + r.Intn(50)
	c.MaxScaleUpRate = 1 + r.Float64()*10
	c.MaxScaleDownRate = 1 + r.Float64()*10
	c.ScaleDownDelay = time.Duration(r.Intn(3)) * 20 * time.Second
	c.StableWindow = time.Duration(6+r.Intn(120)) * time.Second
	c.ActivationScale = r.Intn(4)
	c.Reference = r.Intn(4) == 0
	return c
}

func randomSample(r *rand.Rand, c autoscaler.Config) autoscaler.Sample {
	return autoscaler.Sample{
		Ready:    r.Intn(20),
		Starting: r.Intn(4),
		Stable:   r.Float64() * c.Target * 20,
		Panic:    r.Float64() * c.Target * 30,
		Burst:    r.Float64() * c.Target * 40 * float64(r.Intn(2)),
		Valid:    r.Intn(10) > 0,
		Active:   r.Intn(2) == 0,
	}
}

func TestDesiredStaysWithinBounds(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 300 {
		c := randomConfig(r)
		a := autoscaler.New(c, r.Intn(20), start)
		now := start
		for range 200 {
			now = now.Add(time.Duration(r.Intn(10_000)) * time.Millisecond)
			if d := a.Decide(now, randomSample(r, c)); d.Desired < c.Min || d.Desired > c.Max {
				t.Fatalf("desired %d is outside %d to %d: %s", d.Desired, c.Min, c.Max, d.Explanation())
			}
		}
	}
}

// Of two functions with the same history, the one with more load never gets fewer instances.
func TestDesiredIsMonotoneInLoad(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for range 2000 {
		c := randomConfig(r)
		ready := r.Intn(20)
		a, b := autoscaler.New(c, ready, start), autoscaler.New(c, ready, start)
		now := start
		for range 5 {
			now = now.Add(time.Duration(r.Intn(60)) * time.Second)
			s := randomSample(r, c)
			a.Decide(now, s)
			b.Decide(now, s)
		}
		less := randomSample(r, c)
		more := less
		more.Stable += r.Float64() * c.Target * 5
		more.Panic += r.Float64() * c.Target * 5
		more.Burst += r.Float64() * c.Target * 5
		if da, db := a.Decide(now, less), b.Decide(now, more); db.Desired < da.Desired {
			t.Fatalf("more load, fewer instances:\n%s\n%s\n%+v", da.Explanation(), db.Explanation(), c)
		}
	}
}

// play runs a function whose instances are ready at once through a load that is read every tick.
// It returns the desired size of each tick.
func play(a *autoscaler.Autoscaler, c autoscaler.Config, from time.Time, ticks, ready int, load func(i int) float64) []int {
	m := c.NewMeter()
	sizes := make([]int, ticks)
	for i := range ticks {
		now := from.Add(time.Duration(i) * c.Tick)
		v := load(i)
		m.Level(now, v)
		s := autoscaler.Sample{Ready: ready, Active: v > 0}
		sizes[i] = a.Decide(now, a.Measure(now, s, m, v)).Desired
		ready = sizes[i]
	}
	return sizes
}

// With ±10 % noise on every reading, a function reaches a size and keeps it: within a second of
// the first reading, or if it is between two sizes, once the one step to the other is made.
func TestConstantLoadWithNoiseDoesNotOscillate(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for _, m := range metrics {
		for load := 0.05; load < 25; load *= 1 + 0.3*r.Float64() {
			for _, x := range []float64{load, math.Round(load), 0.975 * math.Ceil(load)} {
				if x > 0 {
					checkSteady(t, r, m, x)
				}
			}
		}
	}
}

func checkSteady(t *testing.T, r *rand.Rand, m autoscaler.Metric, load float64) {
	t.Helper()
	c := autoscaler.DefaultConfig(m, 40)
	c.Max, c.Tick = 100, time.Second
	sizes := play(autoscaler.New(c, 1, start), c, start, 1800, 1, func(int) float64 {
		return load * c.Target * (0.9 + 0.2*r.Float64())
	})
	settled := sizes[300:] // after the first panic, the delay and a stable window
	changes := 0
	for i := range settled[1:] {
		if settled[i+1] != settled[i] {
			changes++
		}
	}
	last := settled[len(settled)-1]
	if changes > 1 || float64(last)*(1+c.Tolerance) < load*0.99 || float64(last) > math.Ceil(load*1.02) {
		t.Errorf("%s, load of %.3f instances: %d changes, at last %d", m, load, changes, last)
	}
}

// Arrivals by chance at a constant rate may make a burst now and then, most of all at a load that is
// just the capacity. But it doesn't swing: what was added stays for a stable window.
func TestArrivalsByChanceDoNotOscillate(t *testing.T) {
	r := rand.New(rand.NewSource(6))
	for _, m := range []autoscaler.Metric{autoscaler.RPS, autoscaler.Concurrency} {
		for _, target := range []float64{5, 20} {
			for _, load := range []float64{0.5, 1, 1.9, 5} {
				c := autoscaler.DefaultConfig(m, target)
				c.Max, c.ScaleDownDelay = 100, 0
				sizes := playChance(r, c, load)[300*5:]
				changes, sum := 0, 0.0
				for i, n := range sizes {
					sum += float64(n)
					if i > 0 && n != sizes[i-1] {
						changes++
					}
				}
				mean, hours := sum/float64(len(sizes)), float64(len(sizes))/5/3600
				t.Logf("%-11s target %2v, load %4v: %3.0f changes an hour, %.1f instances", m, target, load, float64(changes)/hours, mean)
				if float64(changes)/hours > 90 || mean > 1.6*math.Ceil(load)+1 || mean < load*0.95 {
					t.Errorf("%s, target %v, load of %v instances: %.0f changes an hour, %.1f instances", m, target, load, float64(changes)/hours, mean)
				}
			}
		}
	}
}

// playChance runs a function for an hour. Requests arrive by chance and take a fifth of a second on average.
func playChance(r *rand.Rand, c autoscaler.Config, load float64) []int {
	const service = 0.2
	rate := load * c.Target
	if c.Metric == autoscaler.Concurrency {
		rate /= service
	}
	a, m := autoscaler.New(c, 1, start), c.NewMeter()
	type request struct{ start, end float64 } // in seconds
	var inFlight []request
	var started, ended float64 // ended in request-seconds
	next, ready := r.ExpFloat64()/rate, 1
	sizes := make([]int, 3600*5)
	for i := range sizes {
		tick := float64(i) / 5
		for ; next < tick; next += r.ExpFloat64() / rate {
			inFlight = append(inFlight, request{next, next + service*r.ExpFloat64()})
			started++
		}
		running := 0.0
		inFlight = slices.DeleteFunc(inFlight, func(q request) bool {
			if q.end < tick {
				ended += q.end - q.start
				return true
			}
			running += tick - q.start
			return false
		})
		at := start.Add(time.Duration(tick * float64(time.Second)))
		m.Count(at, map[autoscaler.Metric]float64{autoscaler.RPS: started, autoscaler.Concurrency: ended + running}[c.Metric])
		s := autoscaler.Sample{Ready: ready, Active: true}
		ready = a.Decide(at, a.Measure(at, s, m, float64(len(inFlight)))).Desired
		sizes[i] = ready
	}
	return sizes
}

func TestAfterLoadStopsItReachesMin(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	for range 200 {
		c := randomConfig(r)
		c.MaxScaleDownRate, c.Reference, c.Tick, c.ActivationScale = 2, false, time.Second, 0
		a := autoscaler.New(c, c.Min, start)
		stop := 100
		// The values leave the window while panic lasts, and then each halving waits for the delay.
		halvings := math.Log2(float64(c.Max)) + 1
		bound := 2*c.StableWindow + time.Duration(halvings)*(c.ScaleDownDelay+2*time.Second)
		ticks := stop + int(bound/c.Tick) + 1
		sizes := play(a, c, start, ticks, c.Min, func(i int) float64 {
			if i < stop {
				return c.Target * float64(c.Max) * 2
			}
			return 0
		})
		if sizes[stop-1] != c.Max {
			t.Fatalf("did not reach max: %d, want %d", sizes[stop-1], c.Max)
		}
		if last := sizes[ticks-1]; last != c.Min {
			t.Errorf("%v after the load: %d, want min %d: %+v", bound, last, c.Min, c)
		}
	}
}

func TestRestartDoesNotShrinkALoadedFunction(t *testing.T) {
	r := rand.New(rand.NewSource(5))
	for range 300 {
		c := randomConfig(r)
		c.Tick = time.Second
		ready := min(c.Max, 2+r.Intn(10))
		if ready < 2 {
			continue
		}
		// Loaded, but so little that history alone could not justify the size.
		sizes := play(autoscaler.New(c, ready, start), c, start, int(c.StableWindow/c.Tick)+1, ready, func(int) float64 {
			return c.Target * r.Float64() * 0.1
		})
		for i, n := range sizes {
			if n < ready {
				t.Fatalf("shrank from %d to %d after %d s: %+v", ready, n, i, c)
			}
		}
	}
}

func FuzzDecide(f *testing.F) {
	f.Add(10.0, 5.0, 5.0, 1, 1, 0, 10, int64(1))
	f.Add(math.NaN(), math.Inf(1), math.Inf(-1), -1, -1, -1, -1, int64(-1))
	f.Add(math.Inf(1), math.NaN(), 1e308, math.MaxInt, math.MinInt, math.MaxInt, math.MinInt, int64(math.MaxInt64))
	f.Add(-1.0, 1e-308, -1e308, 1, math.MaxInt, 7, 3, int64(math.MinInt64))
	f.Add(0.0, 1e308, 1e308, 0, 0, 0, 0, int64(0))
	f.Fuzz(func(t *testing.T, target, stable, panicValue float64, ready, starting, least, most int, span int64) {
		for i := range 16 {
			c := autoscaler.Config{
				Metric: metrics[i%4], Target: target, Total: panicValue, TargetBurstCapacity: stable,
				PanicThreshold: panicValue, MaxScaleUpRate: stable, MaxScaleDownRate: target, Tolerance: stable,
				StableWindow: time.Duration(span), PanicWindow: time.Duration(span),
				ScaleDownDelay: min(time.Hour, time.Duration(span)), Tick: max(time.Millisecond, time.Duration(span)),
				ActivationScale: ready, InitialScale: starting, Min: least, Max: most,
				Reference: i&4 != 0, Unreachable: i&8 != 0,
			}
			a := autoscaler.New(c, ready, start)
			for step := range 4 {
				now := start.Add(time.Duration(span) * time.Duration(step))
				d := a.Decide(now, autoscaler.Sample{
					Ready: ready, Starting: starting, Stable: stable, Panic: panicValue, Valid: true, Active: step%2 == 0,
				})
				checkFuzzed(t, c, d)
				a.Update(c)
			}
		}
	})
}

func checkFuzzed(t *testing.T, c autoscaler.Config, d autoscaler.Decision) {
	const cap = 1 << 20
	least, most := min(max(c.Min, 0), cap), min(max(c.Max, 0), cap)
	if c.Unreachable {
		least = 0
	}
	if most == 0 {
		most = cap
	}
	if d.Desired < least || d.Desired > max(most, min(max(c.Min, 0), cap)) {
		t.Errorf("desired %d is outside %d to %d", d.Desired, least, most)
	}
	if d.Explanation() == "" || d.Reason == "" {
		t.Errorf("no explanation: %+v", d)
	}
}

func FuzzWindows(f *testing.F) {
	f.Add(int64(1e9), int64(1e9), int64(3), 1.0)
	f.Add(int64(-5), int64(0), int64(math.MinInt64), math.NaN())
	f.Add(int64(math.MaxInt64), int64(1<<60), int64(math.MaxInt64), math.Inf(1))
	f.Fuzz(func(t *testing.T, size, grain, step int64, v float64) {
		window := time.Duration(size % int64(time.Hour))
		bucket := max(time.Duration(grain), time.Second)
		l, e, m := autoscaler.NewLinearWindow(window, bucket), autoscaler.NewExponentialWindow(window, bucket), autoscaler.NewMeter(window, bucket)
		for i := range 5 {
			now := start.Add(time.Duration(step) * time.Duration(i))
			l.Record(now, v)
			e.Record(now, v)
			m.Count(now, v)
			m.Level(now, v)
			stable, _, _ := m.Values(now)
			if math.IsNaN(l.Average(now)) || math.IsNaN(e.Average(now)) || math.IsNaN(stable) {
				t.Errorf("not a number from %v", v)
			}
			l.Resize(now, window/2)
			e.Resize(now, window*2)
		}
	})
}
