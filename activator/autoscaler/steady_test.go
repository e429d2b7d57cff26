package autoscaler_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

// settle is two stable windows and a start; measured is what follows.
const settle, measured = 240, 1800 // seconds

// A load that comes evenly keeps its number of instances, wherever it lies between two sizes: at most one change in half an hour
// once two stable windows have passed, and never fewer than it needs. What loads that come by chance do stands in docs/metrics.md.
func TestEvenLoadKeepsItsInstances(t *testing.T) {
	t.Parallel()
	for _, metric := range []autoscaler.Metric{autoscaler.RPS, autoscaler.Concurrency} {
		for whole := range 10 {
			for _, part := range []float64{0.1, 0.025, 0.5, 0.98} { // within the dead band, which is a tenth, and at both of its sides
				load := float64(whole) + part // in instances' worth
				changes, least := changesOf(evenPoints(metric, load)[settle:])
				if needed := int(math.Ceil(load / 1.1)); changes > 1 || least < needed {
					t.Errorf("%s, %v instances' worth: %d changes, %d at least, want one change at most and no fewer than %d", metric, load, changes, least, needed)
				}
			}
		}
	}
}

// A load that comes by chance has as many instances as it needs, and their number changes some times an hour: what docs/metrics.md calls
// the price of being early.
func TestChanceLoadIsServed(t *testing.T) {
	t.Parallel()
	const target, most = 10, 5 // changes in half an hour, on average
	changes, loads := 0, 0
	for load := 0.4; load < 10; load += 0.8 { // in instances' worth
		chance := rand.New(rand.NewPCG(1, uint64(10*load)))
		poisson := func(int) (n int) {
			for p := chance.Float64(); p > math.Exp(-load*target); p *= chance.Float64() {
				n++
			}
			return n
		}
		points := autoscaler.Simulate(trace(settle+measured, poisson), simulation(autoscaler.DefaultConfig(autoscaler.RPS, target)))
		more, least := changesOf(points[settle:])
		if needed := int(math.Ceil(load / 1.1)); least < needed {
			t.Errorf("%v instances' worth: %d at least, want no fewer than %d", load, least, needed)
		}
		changes, loads = changes+more, loads+1
	}
	if changes > most*loads {
		t.Errorf("%d loads change %d times, want %d at most", loads, changes, most*loads)
	}
	t.Logf("%d loads change %d times", loads, changes)
}

// evenPoints simulates a load, in instances' worth, that comes evenly.
func evenPoints(metric autoscaler.Metric, load float64) []autoscaler.Point {
	const target = 10
	s := simulation(autoscaler.DefaultConfig(metric, target))
	rate := load * target // requests per second
	if metric == autoscaler.Concurrency {
		s.ServiceTime = 500 * time.Millisecond
		rate /= s.ServiceTime.Seconds()
	}
	sofar := func(second int) int { return int(math.Floor(rate * float64(second))) }
	return autoscaler.Simulate(trace(settle+measured, func(second int) int { return sofar(second+1) - sofar(second) }), s)
}

// changesOf counts the changes of the number of instances, and has the least.
func changesOf(points []autoscaler.Point) (changes, least int) {
	least = points[0].Desired
	for i := 1; i < len(points); i++ {
		if points[i].Desired != points[i-1].Desired {
			changes++
		}
		least = min(least, points[i].Desired)
	}
	return changes, least
}
