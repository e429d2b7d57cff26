package activator

import (
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// gauge is one metric of a revision: its measurements, and the number of instances that it asks for.
type gauge struct {
	target   platform.MetricTarget
	config   autoscaler.Config
	meter    *autoscaler.Meter // nil while the gauge sleeps
	scaler   *autoscaler.Autoscaler
	decision autoscaler.Decision

	// last and lastAt are the newest reading.
	last   float64
	lastAt time.Time
	// asking is true while the query has no answer yet; askedAt is when it was last asked.
	asking  bool
	askedAt time.Time
	// failure is why the query had no answer, nil if it had one.
	failure error
}

func newGauge(target platform.MetricTarget, auto platform.Autoscale, running int, now time.Time) *gauge {
	config := ScalerConfig(target, auto)
	return &gauge{
		target: target,
		config: config,
		meter:  config.NewMeter(),
		scaler: autoscaler.New(config, running, now),
	}
}

// ScalerConfig returns the configuration of the autoscaler for one metric of a function.
func ScalerConfig(target platform.MetricTarget, auto platform.Autoscale) autoscaler.Config {
	config := autoscaler.DefaultConfig(autoscaler.Metric(target.Metric), target.Target)
	config.StableWindow = time.Duration(auto.StableWindow)
	config.ScaleDownDelay = time.Duration(auto.ScaleDownDelay)
	config.ScaleToZeroAfter = max(time.Duration(auto.ScaleToZeroAfter), Tick) // for the autoscaler, none means the default
	config.Min, config.Max = auto.Min, auto.Max
	config.Tick = Tick
	return config
}

// setBounds changes the least and the largest number of instances.
func (g *gauge) setBounds(auto platform.Autoscale) {
	g.config.Min, g.config.Max = auto.Min, auto.Max
	g.scaler.Update(g.config)
}

// count notes the value of a counter.
func (g *gauge) count(now time.Time, value float64) {
	g.meter.Count(now, value)
	g.last, g.lastAt = value, now
}

// level notes a value that goes up and down.
func (g *gauge) level(now time.Time, value float64) {
	g.meter.Level(now, value)
	g.last, g.lastAt = value, now
}

// sleep drops the history, which is most of the memory that an idle function costs.
func (g *gauge) sleep() { g.meter = nil }

func (g *gauge) asleep() bool { return g.meter == nil }

// wake begins a new history after a time in which nothing happened. The last reading of a counter goes in front of it: the
// increase since then came in the last tick.
func (g *gauge) wake(now time.Time, since time.Duration) {
	g.meter = g.config.NewMeter()
	if g.isCounter() && !g.lastAt.IsZero() {
		g.meter.Count(now.Add(-max(Tick, since)), g.last)
	}
}

// isCounter reports whether the metric changes only with requests.
func (g *gauge) isCounter() bool {
	return g.target.Metric == platform.MetricRPS || g.target.Metric == platform.MetricConcurrency
}

// decide decides by the gauge's meter alone. inFlight is the number of requests that the gateway holds or has running.
func (g *gauge) decide(now time.Time, sample autoscaler.Sample, inFlight float64) autoscaler.Decision {
	known := sample.Valid && g.failure == nil
	sample = g.scaler.Measure(now, sample, g.meter, inFlight)
	sample.Valid = sample.Valid && known
	g.decision = g.scaler.Decide(now, sample)
	return g.decision
}
