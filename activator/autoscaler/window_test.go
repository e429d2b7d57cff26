package autoscaler_test

import (
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

// The windows against a plain list of what was recorded. The numbers of Knative are in the vectors.
func TestWindowsAgainstAList(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 200 {
		size := 2 + r.Intn(20)
		w := autoscaler.NewLinearWindow(time.Duration(size)*time.Second, time.Second)
		e := autoscaler.NewExponentialWindow(time.Duration(size)*time.Second, time.Second)
		list := map[int]float64{}
		first, second := 0, 0
		for range 300 {
			gap := r.Intn(3)
			if r.Intn(20) == 0 {
				gap = r.Intn(2 * size)
			}
			if second += gap; gap >= size || len(list) == 0 {
				first = second
				clear(list)
			}
			now := start.Add(time.Duration(second)*time.Second + time.Duration(r.Intn(1e9)))
			v := r.Float64() * 100
			w.Record(now, v)
			e.Record(now, v)
			list[second] += v

			read := second + r.Intn(size+2) // some time after the last write
			linear, weighted := 0.0, 0.0
			coefficient := max(0.2, 1-math.Pow(0.0001, 1/float64(size)))
			for i := range size {
				linear += list[read-i]
				weighted += list[read-i] * coefficient * math.Pow(1-coefficient, float64(i))
			}
			linear /= float64(max(1, min(size-(read-second), second-first+1)))
			now = start.Add(time.Duration(read) * time.Second)
			if got := w.Average(now); !(math.Abs(got-linear) <= 1e-6) {
				t.Fatalf("linear average = %v, want %v", got, linear)
			}
			if got := e.Average(now); !(math.Abs(got-weighted) <= 1e-6) {
				t.Fatalf("weighted average = %v, want %v", got, weighted)
			}
		}
	}
}

func TestResizeDoesNotInventZeros(t *testing.T) {
	w := autoscaler.NewLinearWindow(60*time.Second, time.Second)
	w.Record(start, 8)
	w.Record(start.Add(time.Second), 10)
	now := start.Add(time.Second)
	w.Resize(now, 120*time.Second)
	if got := w.Average(now); got != 9 {
		t.Errorf("average = %v, want 9", got)
	}
	w.Resize(now.Add(10*time.Minute), 20*time.Minute)
	if got := w.Average(now.Add(10 * time.Minute)); got != 0 {
		t.Errorf("what had left the window came back: %v", got)
	}
}

func TestWindowIgnoresWhatIsNoNumber(t *testing.T) {
	w := autoscaler.NewLinearWindow(5*time.Second, time.Second)
	w.Record(start, 3)
	w.Record(start, math.NaN())
	w.Record(start, math.Inf(1))
	if got := w.Average(start); got != 3 {
		t.Errorf("average = %v, want 3", got)
	}
}

func TestNoData(t *testing.T) {
	for _, c := range []struct {
		grain time.Duration
		at    float64
		want  bool
	}{{time.Second, 5.9, false}, {time.Second, 6, true}, {3 * time.Second, 5.9, false}, {3 * time.Second, 6, true}} {
		w := autoscaler.NewLinearWindow(5*time.Second, c.grain)
		if !w.NoData(start) {
			t.Error("data in a new window")
		}
		w.Record(start, 1)
		if got := w.NoData(start.Add(time.Duration(c.at * 1e9))); got != c.want {
			t.Errorf("grain %v, after %v s: no data = %v", c.grain, c.at, got)
		}
	}
}

func TestResizeChangesTheWeights(t *testing.T) {
	w := autoscaler.NewExponentialWindow(5*time.Second, time.Second)
	w.Record(start, 1)
	w.Resize(start, 60*time.Second)
	if got := w.Average(start); math.Abs(got-0.2) > 1e-9 {
		t.Errorf("average = %v, want 0.2", got)
	}
}
