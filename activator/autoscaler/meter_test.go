package autoscaler_test

import (
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

func values(t *testing.T, m *autoscaler.Meter, now time.Time, stable, panicValue float64) {
	t.Helper()
	s, p, ok := m.Values(now)
	if !ok || !(math.Abs(s-stable) <= 1e-6 && math.Abs(p-panicValue) <= 1e-6) {
		t.Errorf("at %v: %v, %v, %v; want %v, %v", now.Sub(start), s, p, ok, stable, panicValue)
	}
}

func TestMeterAveragesOverExactTime(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	m := autoscaler.NewMeter(60*time.Second, 2*time.Second)
	now := start
	for now.Before(start.Add(5 * time.Minute)) {
		now = now.Add(time.Duration(1 + r.Intn(int(700*time.Millisecond)))) // uneven readings
		m.Count(now, 12*now.Sub(start).Seconds())
		if now.Sub(start) > time.Second {
			values(t, m, now, 12, 12)
		}
	}
}

func TestMeterWindows(t *testing.T) {
	m := autoscaler.NewMeter(10*time.Second, 2*time.Second)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * 1e9)) }
	if _, _, ok := m.Values(start); ok {
		t.Error("values before the first reading")
	}
	m.Count(at(0), 1000) // had been counting before
	if _, _, ok := m.Values(at(0)); ok {
		t.Error("values after one reading")
	}
	m.Count(at(1), 1010)
	values(t, m, at(1), 10, 10) // a partial window
	m.Count(at(2), 1010)
	values(t, m, at(2), 5, 5)
	m.Count(at(3), 1010)
	values(t, m, at(3), 10.0/3, 0)
	m.Count(at(11), 1090) // readings were missed, nothing is lost
	values(t, m, at(11), 8, 10)
	m.Count(at(12), 20) // the counter began again
	values(t, m, at(12), 10, 15)
	m.Count(at(12), 500) // no time has passed
	values(t, m, at(12), 10, 15)
	m.Count(at(13), math.NaN())
	values(t, m, at(22), 10, 15)
	if _, _, ok := m.Values(at(22.1)); ok {
		t.Error("values although nothing was read for a window")
	}
}

func TestMeterLevels(t *testing.T) {
	m := autoscaler.NewMeter(4*time.Second, time.Second)
	for i, level := range []float64{99, 100, 100, 200, 200, 0} {
		m.Level(start.Add(time.Duration(i)*time.Second), level)
	}
	values(t, m, start.Add(5*time.Second), 125, 0)
}

func TestMeterSpansTheWholeWindow(t *testing.T) {
	m := autoscaler.NewMeter(60*time.Second, time.Second)
	total := 0.0
	for i := range 1000 { // 100 s at 30, then 100 s at 90
		m.Count(start.Add(time.Duration(i)*200*time.Millisecond), total)
		total += 6 + 12*float64(i/500)
	}
	values(t, m, start.Add(199800*time.Millisecond), 90, 90)
	m = autoscaler.NewMeter(60*time.Second, time.Second)
	total = 0
	for i := range 651 { // and now 30 s after the step
		m.Count(start.Add(time.Duration(i)*200*time.Millisecond), total)
		total += 6 + 12*float64(i/500)
	}
	values(t, m, start.Add(130*time.Second), 60, 90)
}

// arrivals makes a meter of rps that has counted so many requests a tick for a minute, and then these.
func arrivals(before float64, counts ...float64) *autoscaler.Meter {
	m := autoscaler.DefaultConfig(autoscaler.RPS, 10).NewMeter()
	at, total := start, 0.0
	note := func(n float64) {
		at, total = at.Add(200*time.Millisecond), total+n
		m.Count(at, total)
	}
	for range 300 {
		note(before)
	}
	for _, n := range counts {
		note(n)
	}
	return m
}

func TestBurst(t *testing.T) {
	const capacity = 10 // a second, or 2 in a tick
	for name, c := range map[string]struct {
		before float64
		counts []float64
		want   float64
	}{
		"steady":                     {2, nil, 0},
		"a step is told at once":     {2, []float64{10, 20}, 100},
		"or with the tick after":     {2, []float64{1, 20, 20}, 100},
		"whatever was before":        {0, []float64{10, 20}, 100},
		"a page with its pictures":   {0, []float64{30}, 30},
		"a page in two ticks":        {0, []float64{2, 28}, 30},
		"a few requests are no rate": {0, []float64{5, 6}, 0},
		"twice as much takes longer": {2, []float64{4, 4, 4}, 0},
		"over more than a second":    {2, []float64{4, 4, 4, 4, 4, 4}, 20},
		"what is past is over":       {2, append([]float64{20, 20}, slices.Repeat([]float64{2}, 40)...), 0},
	} {
		if got := arrivals(c.before, c.counts...).Burst(capacity); math.Abs(got-c.want) > 1 {
			t.Errorf("%s: burst = %v, want %v", name, got, c.want)
		}
	}
}
