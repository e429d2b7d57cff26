package autoscaler

import (
	"math"
	"time"
)

// How far above the capacity a metric must be to be a surge, besides half an instance: the tolerance and half of it again,
// since a short window averages less of the noise away, and so many standard deviations of what it does anyhow. It is
// looked at several times a second, so that as few as three would be exceeded every other minute.
const (
	surgeTolerance  = 1.5
	surgeDeviations = 4.5
)

// surgeGrowth is how long after the beginning of a surge its height is still made out.
const surgeGrowth = time.Second

// over reports whether instances must be added at once, and none be taken away for a stable window.
//
// Knative rounds the need up before it compares, so that at one instance anything above the target is panic, and waits
// for twice the capacity otherwise. Ours is half an instance, as long as it is more than noise. And the capacity includes
// the instances on the way: a remedy that has begun is no reason for another.
func (a *Autoscaler) over(s Sample, panicNeed float64) bool {
	c := &a.cfg
	if c.Reference {
		return panicNeed/max(1, float64(s.Ready)) >= c.PanicThreshold
	}
	have := s.capacity()
	margin := max(0.5, have*c.Tolerance*surgeTolerance)
	if c.Metric == RPS { // its bursts are more than chance, see Meter.Burst
		return s.Burst/c.Target >= have+margin
	}
	margin = max(margin, a.noise.deviation()/c.Target*surgeDeviations)
	return max(s.Panic, s.Burst)/c.Target >= have+margin
}

func (s Sample) capacity() float64 { return max(1, float64(s.Ready+s.Starting)) }

// Measure completes a sample with the values of a meter. level is the metric at this moment, as of its last reading, and counts
// for Concurrency only.
func (a *Autoscaler) Measure(now time.Time, s Sample, m *Meter, level float64) Sample {
	s.Stable, s.Panic, s.Valid = m.Values(now)
	switch {
	case !s.Valid:
	case a.cfg.Metric == RPS:
		s.Burst = m.Burst(a.unsurprising(now, s) * a.cfg.Target)
	case a.cfg.Metric == Concurrency && s.Ready == 0: // what is held is not over before an instance is ready
		s.Burst = level
	case a.cfg.Metric == Concurrency:
		s.Burst = min(level, m.Latest())
	}
	return s
}

// unsurprising is the capacity that a burst must exceed. While the height of a surge is being made out it is that of its
// beginning: instances that have been started since are the answer to the same burst.
func (a *Autoscaler) unsurprising(now time.Time, s Sample) float64 {
	have := s.sane().capacity()
	if !a.surgeAt.IsZero() && now.Sub(a.surgeAt) <= surgeGrowth {
		have = min(have, a.surgedOn)
	}
	return have
}

// alarm enters, extends or leaves panic. It lasts until the surge has made its way into the stable
// window.
func (a *Autoscaler) alarm(now time.Time, s Sample, over bool) {
	switch {
	case over:
		a.panicAt = now
		if now.Sub(a.surgeAt) > surgeGrowth {
			a.surgeAt, a.surgedOn = now, s.capacity()
		}
	case !a.panicAt.IsZero() && a.panicAt.Add(a.cfg.StableWindow).Before(now):
		a.panicAt, a.panicMax = time.Time{}, 0
	}
	if !over {
		a.noise.note(now, s.Panic, a.cfg.PanicWindow)
	}
}

// noise is how much the panic value varies by itself: half the mean square of its differences from one window to the
// next (von Neumann), which a load that rises or falls slowly doesn't enlarge as it does the variance.
type noise struct {
	last     float64
	at       time.Time
	variance float64
}

// noiseWeight is that of the newest difference: they count for some twenty windows.
const noiseWeight = 0.05

func (n *noise) note(now time.Time, value float64, window time.Duration) {
	if now.Sub(n.at) < window {
		return
	}
	if !n.at.IsZero() {
		difference := value - n.last
		n.variance += noiseWeight * (difference*difference/2 - n.variance)
	}
	n.last, n.at = value, now
}

func (n *noise) deviation() float64 { return math.Sqrt(n.variance) }
