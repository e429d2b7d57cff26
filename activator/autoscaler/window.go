package autoscaler

import (
	"math"
	"time"
)

// LinearWindow averages what was recorded over the last window. Time is cut into buckets of one
// grain; values within a bucket add up, and the average is per bucket.
//
//   - A window that isn't full yet is averaged over its elapsed part only.
//   - A bucket without a value counts as 0, but a gap of a whole window starts afresh.
//   - A late value goes into its bucket, or nowhere if that has left the window.
//
// Source: Knative Serving, pkg/autoscaler/aggregation/bucketing.go (TimedFloat64Buckets).
// A LinearWindow is not safe for concurrent use.
type LinearWindow struct {
	buckets     []float64 // a ring, by index modulo its length
	window      time.Duration
	grain       time.Duration
	first, last int64 // indexes of the oldest and the newest write
	empty       bool
}

// NewLinearWindow makes a window of ceil(window/grain) buckets, and of at least one; Knative's grain is 1 s.
func NewLinearWindow(window, grain time.Duration) *LinearWindow {
	grain = max(grain, 1)
	return &LinearWindow{
		buckets: make([]float64, bucketCount(window, grain)),
		window:  window,
		grain:   grain,
		empty:   true,
	}
}

func bucketCount(window, grain time.Duration) int64 {
	return max(1, int64((window+grain-1)/grain))
}

// Record adds v to the bucket of now. Values that are no finite number are ignored.
func (w *LinearWindow) Record(now time.Time, v float64) {
	if !finite(v) {
		return
	}
	i := w.index(now)
	switch {
	case w.empty || i-w.last >= w.size():
		clear(w.buckets)
		w.first, w.last, w.empty = i, i, false
	case i > w.last:
		for gap := w.last + 1; gap <= i; gap++ {
			*w.bucket(gap) = 0
		}
		w.last = i
	case w.last-i >= w.size():
		return
	}
	w.first = min(w.first, i)
	*w.bucket(i) += v
}

// Average is the mean of the buckets at now, to six decimals: over the part of the window that has
// been written, or 0 if nothing was for a whole window.
func (w *LinearWindow) Average(now time.Time) float64 {
	behind := max(0, w.index(now)-w.last)
	if w.empty || behind >= w.size() {
		return 0
	}
	sum := 0.0
	valid := w.size() - behind
	for i := w.last; i > w.last-valid; i-- {
		sum += *w.bucket(i)
	}
	return round6(sum / float64(min(w.last-w.first+1, valid)))
}

// NoData reports whether nothing has been recorded for longer than a window. An average of 0 then
// means "unknown", and the sample isn't valid.
func (w *LinearWindow) NoData(now time.Time) bool {
	return w.empty || w.index(now)-w.last > int64(w.window/w.grain)
}

// Resize changes the window and keeps the newest values that fit. Unlike Knative's, it doesn't
// count time before the first write as zeros.
func (w *LinearWindow) Resize(now time.Time, window time.Duration) {
	if window == w.window {
		return
	}
	old := *w
	*w = *NewLinearWindow(window, old.grain)
	if old.NoData(now) {
		return
	}
	w.first, w.last, w.empty = old.first, old.last, false
	keep := min(w.size(), old.size())
	w.first = max(w.first, w.last-keep+1)
	for i := w.last; i > w.last-keep; i-- {
		*w.bucket(i) = *old.bucket(i)
	}
}

func (w *LinearWindow) size() int64 { return int64(len(w.buckets)) }

func (w *LinearWindow) index(t time.Time) int64 { return floorDiv(t.UnixNano(), int64(w.grain)) }

func (w *LinearWindow) bucket(i int64) *float64 {
	return &w.buckets[i-floorDiv(i, w.size())*w.size()]
}

// ExponentialWindow weighs newer buckets more: bucket i before the newest has weight c·(1-c)^i,
// with c such that a full window holds 99.99 % of the weight, but at least 0.2. Unwritten buckets
// have weight too, so it rises from 0 instead of averaging a partial window.
//
// Source: Knative Serving, pkg/autoscaler/aggregation/bucketing.go (WeightedFloat64Buckets).
type ExponentialWindow struct {
	LinearWindow
	coefficient float64
}

// NewExponentialWindow makes a window of ceil(window/grain) buckets; Knative's grain is 1 s.
func NewExponentialWindow(window, grain time.Duration) *ExponentialWindow {
	w := &ExponentialWindow{LinearWindow: *NewLinearWindow(window, grain)}
	w.coefficient = smoothing(w.size())
	return w
}

func smoothing(buckets int64) float64 {
	const precision, least = 0.9999, 0.2
	return max(least, 1-math.Pow(1-precision, 1/float64(buckets)))
}

// Average is the weighted mean at now; 0 if nothing was recorded for longer than a window.
func (w *ExponentialWindow) Average(now time.Time) float64 {
	if w.NoData(now) {
		return 0
	}
	behind := max(0, w.index(now)-w.last)
	weight := w.coefficient * math.Pow(1-w.coefficient, float64(behind))
	sum := 0.0
	for i := w.last; i > w.last-w.size()+behind; i-- {
		sum += *w.bucket(i) * weight
		weight *= 1 - w.coefficient
	}
	return sum
}

// Resize changes the window and with it the weights.
func (w *ExponentialWindow) Resize(now time.Time, window time.Duration) {
	w.LinearWindow.Resize(now, window)
	w.coefficient = smoothing(w.size())
}

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }
