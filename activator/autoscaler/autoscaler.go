// Package autoscaler decides how many instances a function should have. It is arithmetic only: no
// I/O and no clock, now is always a parameter.
//
// The algorithm is that of Knative Serving's request-driven autoscaler (pkg/autoscaler/scaling).
// With Config.Reference it gives the same numbers; without, it panics as soon as the load is above
// the capacity by more than noise, tolerates noise at the target, counts instances on the way, and goes to zero by the absence of requests
// whatever the metric.
package autoscaler

import (
	"math"
	"time"
)

// Sample is what is known about one metric of one function at one time.
type Sample struct {
	Ready    int // instances that take requests
	Starting int // instances on the way, without those that keep failing
	// Stable and Panic are the metric's means over the two windows, for the whole function: for CPU
	// and Memory the sum over ready instances. A starting instance's own work is not load.
	Stable, Panic float64
	// Burst is the metric at this moment, as far as it is known: for RPS the mean of a burst above the capacity
	// (Meter.Burst), for Concurrency the lower of what is in flight now and was since the last reading, else 0.
	Burst float64
	// Valid is false if the metric couldn't be read; values that aren't finite numbers mean the
	// same. CPU and Memory without a ready instance to measure are valid.
	Valid bool
	// Active is true if a request was in flight or has started since the last valid sample. It
	// counts even if Valid is false.
	Active bool
}

// Autoscaler makes the decisions for one metric of one function. It is not safe for concurrent use.
type Autoscaler struct {
	cfg   Config
	delay *delay

	panicAt  time.Time // when panic was entered or last extended; zero outside panic
	panicMax int       // the most instances desired during this panic

	surgeAt  time.Time // when the last surge began
	surgedOn float64   // the capacity at that time
	noise    noise

	last        int // the last decision
	lastAt      time.Time
	grown       time.Time // when the decision was last larger than the one before
	active      time.Time // the last activity; zero if there never was any
	initialized bool
	measured    bool // there was a value already
}

// New makes an autoscaler for a function that has so many instances now, ready or starting.
//
// With more than one it starts in panic: it has no history yet, and must not shrink the function
// before it has seen one stable window. With any, it takes the function to have been active just
// now; with none, to be at zero.
func New(cfg Config, ready int, now time.Time) *Autoscaler {
	a := &Autoscaler{panicMax: count(ready), last: count(ready), lastAt: now}
	if a.last > 0 {
		a.active = now
	}
	if a.last > 1 {
		a.panicAt = now
	}
	a.Update(cfg)
	a.initialized = a.last >= a.cfg.InitialScale
	return a
}

// Update changes the configuration from the next decision on. Panic and history go on.
func (a *Autoscaler) Update(cfg Config) {
	old := a.cfg
	a.cfg = cfg.sane()
	if a.delay != nil && old.ScaleDownDelay == a.cfg.ScaleDownDelay && old.Tick == a.cfg.Tick {
		return
	}
	if a.delay = newDelay(&a.cfg); a.delay != nil && old.ScaleDownDelay > 0 {
		a.delay.record(a.lastAt, a.last)
	}
}

// Decide gives the number of instances that there should be now. Call it every Config.Tick, with a
// time that doesn't go back, and at once when a function at zero gets a request.
func (a *Autoscaler) Decide(now time.Time, s Sample) Decision {
	s = s.sane()
	a.observe(now, s)
	d := a.describe(s)
	if s.Valid && (s.Ready > 0 || !a.cfg.Metric.measuresInstances()) {
		d.ExcessBurstCapacity = a.excessBurstCapacity(s)
		a.size(now, s, &d)
		a.hold(now, &d)
		a.measured = true
	} else {
		d.Unbounded, d.Reason, d.First = a.last, ReasonNoData, !a.measured
	}
	a.zero(now, &d)
	a.bound(&d)

	if d.Desired > a.last {
		a.grown = now
	}
	a.last, a.lastAt = d.Desired, now
	d.Panicking = !a.panicAt.IsZero()
	if d.Panicking {
		d.PanicUntil = a.panicAt.Add(a.cfg.StableWindow)
	}
	d.Settled = a.settled(s, &d)
	return d
}

func (s Sample) sane() Sample {
	s.Ready, s.Starting = count(s.Ready), count(s.Starting)
	s.Valid = s.Valid && finite(s.Stable) && finite(s.Panic) && finite(s.Burst)
	if !s.Valid {
		s.Stable, s.Panic, s.Burst = 0, 0, 0
	}
	s.Stable, s.Panic, s.Burst = max(0, s.Stable), max(0, s.Panic), max(0, s.Burst)
	return s
}

func (a *Autoscaler) observe(now time.Time, s Sample) {
	a.initialized = a.initialized || a.cfg.Unreachable || s.Ready >= a.cfg.InitialScale
	// A new revision has its idle time ahead of it.
	if (s.Active || !a.initialized) && now.After(a.active) {
		a.active = now
	}
}

func (a *Autoscaler) describe(s Sample) Decision {
	return Decision{
		Valid:        s.Valid,
		Reason:       ReasonStable,
		Metric:       a.cfg.Metric,
		Stable:       s.Stable,
		Panic:        s.Panic,
		Burst:        s.Burst,
		Target:       a.cfg.Target,
		StableWindow: a.cfg.StableWindow,
		PanicWindow:  a.cfg.PanicWindow,
	}
}

// size is the core: what the two values ask for, within the rates, and never less in panic.
//
// Source: Knative Serving, pkg/autoscaler/scaling/autoscaler.go, Scale. Knative panics at PanicThreshold times the
// capacity; outside of Reference each surge is one, which is above it by half an instance already.
func (a *Autoscaler) size(now time.Time, s Sample, d *Decision) {
	c := &a.cfg
	stableNeed, panicNeed := a.need(now, s.Stable/c.Target), a.need(now, max(s.Panic, s.Burst)/c.Target)
	stable, stableReason := a.limit(stableNeed, s.Ready, ReasonStable)
	urgent, urgentReason := a.limit(panicNeed, s.Ready, ReasonSurge)

	a.alarm(now, s, a.over(s, panicNeed))
	panicking := !a.panicAt.IsZero()

	d.Unbounded, d.Reason = stable, stableReason
	if panicking && urgent > stable {
		d.Unbounded, d.Reason, d.ByPanicValue = urgent, urgentReason, true
	}
	if panicking {
		if a.panicMax > d.Unbounded {
			d.Reason = ReasonPanic
		}
		a.panicMax = max(a.panicMax, d.Unbounded)
		d.Unbounded = a.panicMax
	}
}

// rounding is more than what arithmetic adds to a load of a whole number of instances.
const rounding = 1e-9

// need is the number of instances for a load given in instances' worth.
//
// A load just above a whole number is noise of the measurement: it doesn't add an instance while
// the present ones are within the tolerance, and a twentieth of an instance never does. Growth that
// has begun goes on to the full need, until the panic window has seen all of it; and a shrink
// follows the plain ceiling, since fewer may be unable to do that twentieth. So the two points lie
// apart, and constant load can't make it swing.
func (a *Autoscaler) need(now time.Time, load float64) float64 {
	tolerance := a.cfg.Tolerance
	if a.cfg.Reference || tolerance == 0 || load <= 0 {
		return math.Ceil(load)
	}
	n := max(1, math.Ceil(load-min(tolerance, 0.05)))
	growing := now.Sub(a.grown) <= a.cfg.PanicWindow+a.cfg.Tick
	switch last := float64(a.last); {
	case n > last && load <= last*(1+tolerance) && !growing:
		return last
	case n < last:
		return min(last, max(1, math.Ceil(load-rounding)))
	}
	return n
}

// limit applies the rates and the activation scale. Only ready instances count for the rates: they
// would be none if each decision built on the starts of the one before.
func (a *Autoscaler) limit(need float64, ready int, reason Reason) (int, Reason) {
	c := &a.cfg
	r := max(1, float64(ready))
	up, down := math.Ceil(c.MaxScaleUpRate*r), math.Floor(r/c.MaxScaleDownRate)
	if c.Unreachable {
		down = 0
	}
	n := need
	if n < down {
		n, reason = down, ReasonDownRate
	}
	if n > up {
		n, reason = up, ReasonUpRate
	}
	if act := float64(c.ActivationScale); act > 1 && need > 0 && act > n {
		n, reason = act, ReasonActivation
	}
	return int(min(n, maxInstances)), reason
}

// hold keeps the largest number of the scale-down delay.
func (a *Autoscaler) hold(now time.Time, d *Decision) {
	if a.delay == nil || a.cfg.Unreachable {
		return
	}
	if held := a.delay.record(now, d.Unbounded); held > d.Unbounded {
		d.Unbounded, d.Reason = held, ReasonDelay
	}
}

// zero decides about the last instance by requests alone: one stays while there was a request, none
// when there was not, however low or high the metric.
func (a *Autoscaler) zero(now time.Time, d *Decision) {
	if !a.active.IsZero() {
		d.IdleFor = max(0, now.Sub(a.active))
	}
	least, _ := a.cfg.bounds()
	if a.cfg.Reference || least > 0 {
		return
	}
	idle := a.active.IsZero() || d.IdleFor >= a.cfg.ScaleToZeroAfter
	switch {
	case !idle && d.Unbounded == 0:
		d.Unbounded, d.Reason = 1, ReasonActive
	case idle && d.Valid:
		d.Unbounded, d.Reason = 0, ReasonIdle
		// The next request begins from nothing: the history before the pause must not come back with it.
		a.panicAt, a.panicMax = time.Time{}, 0
		a.surgeAt, a.noise = time.Time{}, noise{}
		a.delay.reset()
	}
}

func (a *Autoscaler) bound(d *Decision) {
	least, most := a.cfg.bounds()
	d.Desired = d.Unbounded
	if d.Desired < least {
		d.Desired, d.Reason = least, ReasonMin
	}
	if !a.initialized && d.Desired < a.cfg.InitialScale {
		d.Desired, d.Reason = a.cfg.InitialScale, ReasonInitial
	}
	if d.Desired > most {
		d.Desired, d.Reason = most, ReasonMax
	}
}

// excessBurstCapacity counts ready instances only, and none as none.
func (a *Autoscaler) excessBurstCapacity(s Sample) int {
	c := &a.cfg
	switch {
	case c.TargetBurstCapacity == 0:
		return 0
	case c.TargetBurstCapacity < 0:
		return -1
	}
	excess := math.Floor(float64(s.Ready)*c.Total - c.TargetBurstCapacity - s.Panic)
	return int(min(max(excess, math.MinInt32), math.MaxInt32))
}

func (a *Autoscaler) settled(s Sample, d *Decision) bool {
	least, _ := a.cfg.bounds()
	return d.Valid && d.Desired == least && d.Unbounded <= least && !d.Panicking && a.initialized &&
		s.Stable == 0 && s.Panic == 0 && !s.Active && s.Ready <= least && s.Starting == 0
}
