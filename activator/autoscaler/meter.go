package autoscaler

import (
	"math"
	"time"
)

// Meter turns a counter, or a level, into the stable and panic values of a Sample. It averages over
// exact time, so that readings at uneven intervals don't shift load between buckets, and a missed
// reading loses nothing: the counter has gone on.
//
// A function that wakes up should get a new meter, with the readings of the last tick and of this
// one: the values are then means since it woke, and not held down by the silence before.
//
// A Meter is not safe for concurrent use.
type Meter struct {
	stable, urgent track
	// Least is the shortest time that a mean is taken over; while less has elapsed, the rest of it counts as nothing. One
	// request seen for a tenth of a second is not ten a second.
	Least  time.Duration
	offset float64 // what counters had reached before they were reset
	last   float64 // the counter as read last
}

// NewMeter makes a meter with the windows of the configuration.
func NewMeter(stableWindow, panicWindow time.Duration) *Meter {
	return &Meter{stable: track{window: stableWindow}, urgent: track{window: panicWindow}}
}

// NewMeter makes the meter of the metric. Arrivals are counted per second, so they get a whole one from the beginning; what
// is in flight is a level, and a tick is enough for it.
func (c Config) NewMeter() *Meter {
	m := NewMeter(c.StableWindow, c.PanicWindow)
	if c.Metric == RPS {
		m.Least = time.Second
	}
	return m
}

// Count notes the value of a counter that grows (requests started, request-seconds in flight). The
// first reading is where counting begins. A value below the last one is a counter that restarted
// from 0.
func (m *Meter) Count(now time.Time, counter float64) {
	if !finite(counter) {
		return
	}
	if counter < m.last {
		m.offset += m.last
	}
	m.last = counter
	m.note(now, m.offset+counter)
}

// Level notes the value of something that goes up and down (MiB, percent of cpu), which is taken to
// have held since the last reading. Use either Level or Count on one meter.
func (m *Meter) Level(now time.Time, level float64) {
	if !finite(level) {
		return
	}
	if m.stable.length > 0 {
		m.last += level * max(0, now.Sub(m.stable.newest.at).Seconds())
	}
	m.note(now, m.last)
}

func (m *Meter) note(now time.Time, total float64) {
	m.stable.note(now, total)
	m.urgent.note(now, total)
}

// Values are the means per second over the two windows, to six decimals, or over the elapsed part
// of them. They aren't ok before the second reading, or if the last is older than the stable window.
func (m *Meter) Values(now time.Time) (stableValue, panicValue float64, ok bool) {
	stableValue, ok = m.stable.rate(m.Least)
	panicValue, _ = m.urgent.rate(m.Least)
	return stableValue, panicValue, ok && now.Sub(m.stable.newest.at) <= m.stable.window
}

// Burst is the rate at which a count has grown recently, per second, if that is certainly above a rate: its mean since the
// time from which on the excess is the most significant. It is 0 if there is no such time.
//
// This is the generalized likelihood ratio test for a step in the rate of a Poisson process (T. L. Lai, Sequential
// changepoint detection in quality control and dynamical systems, 1995): for n counts where m were expected, the
// logarithm of the ratio is n·ln(n/m) - (n - m), and that of the probability of so many, by Chernoff's bound, at most the
// negative of it. So a higher step is found sooner: from 10 to 100 a second within two readings, from 10 to
// 20 in a little more than a second.
//
// A rate is something that lasts. A mean over less than a second is taken only of more than a few requests, and if they
// didn't come all at once: a page with thirty pictures is thirty requests a second, and not a hundred and fifty.
func (m *Meter) Burst(above float64) float64 {
	t := &m.urgent
	most, rate, younger, largest := burstEvidence, 0.0, 0.0, 0.0
	later := t.newest
	for i := t.length - 1; i >= 0; i-- {
		from := *t.at(i)
		elapsed := t.newest.at.Sub(from.at).Seconds()
		if elapsed <= 0 {
			continue
		}
		count := t.newest.total - from.total
		largest = max(largest, later.total-from.total)
		lasting := elapsed >= 1 || count >= burstCount && largest <= burstShare*count
		if e := evidence(count, above*elapsed); lasting && e > most {
			most, rate = e, count/elapsed
			if elapsed < 1 { // the step was somewhere between the two oldest readings
				rate = max(rate, younger)
			}
		}
		younger, later = count/elapsed, from
	}
	return round6(rate)
}

// The conditions of a burst.
const (
	burstEvidence = 4.0 // chance at most one time in e^4; in practice some times an hour at a load that is just the capacity
	burstCount    = 12  // the fewest requests that make a rate certain within less than a second
	burstShare    = 0.8 // the largest part of them that may have come between two readings
)

// evidence is the logarithm of the likelihood ratio of a Poisson count.
func evidence(count, expected float64) float64 {
	if count <= expected {
		return 0
	}
	return count*math.Log(count/expected) - (count - expected)
}

// Latest is the mean since the reading before the newest, or 0 without one.
func (m *Meter) Latest() float64 {
	t := &m.urgent
	for i := t.length - 1; i >= 0; i-- {
		if earlier := t.at(i); earlier.at.Before(t.newest.at) {
			return (t.newest.total - earlier.total) / t.newest.at.Sub(earlier.at).Seconds()
		}
	}
	return 0
}

// track keeps enough readings to compute the increase over one window. Between kept readings the
// total is taken to grow evenly.
type track struct {
	window time.Duration
	kept   [trackSize]reading // a ring: length entries from first on
	first  int
	length int
	newest reading
}

type reading struct {
	at    time.Time
	total float64
}

const trackSize = 34

// note keeps readings at least a 32nd of the window apart, so that the ring spans the window.
func (t *track) note(now time.Time, total float64) {
	if t.length > 0 && !now.After(t.newest.at) {
		return
	}
	t.newest = reading{now, total}
	if t.length > 0 && now.Sub(t.at(t.length-1).at) < t.window/(trackSize-2) {
		return
	}
	if t.length == trackSize {
		t.first = (t.first + 1) % trackSize
		t.length--
	}
	t.length++
	*t.at(t.length - 1) = t.newest
}

// rate is the increase per second over the window that ends with the newest reading.
func (t *track) rate(least time.Duration) (perSecond float64, ok bool) {
	start := t.start()
	elapsed := t.newest.at.Sub(start.at)
	if elapsed <= 0 {
		return 0, false
	}
	return round6((t.newest.total - start.total) / max(elapsed, least).Seconds()), true
}

// start is the reading, kept or interpolated, at which the window begins.
func (t *track) start() reading {
	edge := t.newest.at.Add(-t.window)
	later := t.newest
	for i := t.length - 1; i >= 0; i-- {
		earlier := *t.at(i)
		if !earlier.at.After(edge) {
			return between(earlier, later, edge)
		}
		later = earlier
	}
	return later
}

func between(a, b reading, at time.Time) reading {
	span := b.at.Sub(a.at)
	if span <= 0 {
		return a
	}
	part := float64(at.Sub(a.at)) / float64(span)
	return reading{at, a.total + part*(b.total-a.total)}
}

func (t *track) at(i int) *reading { return &t.kept[(t.first+i)%trackSize] }
