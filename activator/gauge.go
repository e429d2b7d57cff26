package activator

import (
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// gauge is one metric of a revision: what is measured of it, and the wish that follows.
type gauge struct {
	target   platform.MetricTarget
	config   autoscaler.Config
	meter    *autoscaler.Meter
	scaler   *autoscaler.Autoscaler
	decision autoscaler.Decision

	// last and lastAt are the newest reading.
	last   float64
	lastAt time.Time
	// asking tells that the answer to the query is on its way; asked is when it was last asked.
	asking bool
	asked  time.Time
	// failure is why the query has no answer.
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

// ScalerConfig is what the autoscaler needs to know of one metric of a function.
func ScalerConfig(target platform.MetricTarget, auto platform.Autoscale) autoscaler.Config {
	config := autoscaler.DefaultConfig(autoscaler.Metric(target.Metric), target.Target)
	config.StableWindow = auto.StableWindow
	config.ScaleDownDelay = auto.ScaleDownDelay
	config.ScaleToZeroAfter = max(auto.ScaleToZeroAfter, Tick) // for the autoscaler, none means the default
	config.Min, config.Max = auto.Min, auto.Max
	config.Tick = Tick
	return config
}

func (g *gauge) rescale(auto platform.Autoscale) {
	g.config.Min, g.config.Max = auto.Min, auto.Max
	g.scaler.Update(g.config)
}

// count notes a counter, level a value that goes up and down.
func (g *gauge) count(now time.Time, value float64) {
	g.meter.Count(now, value)
	g.last, g.lastAt = value, now
}

func (g *gauge) level(now time.Time, value float64) {
	g.meter.Level(now, value)
	g.last, g.lastAt = value, now
}

// rest forgets the history, which is most of the memory that an idle function costs.
func (g *gauge) rest() { g.meter = nil }

// resume begins a new history after a time in which nothing happened. The last reading of a counter goes in front of it:
// what has come since came in the last tick.
func (g *gauge) resume(now time.Time, since time.Duration) {
	g.meter = g.config.NewMeter()
	if g.isCounter() && !g.lastAt.IsZero() {
		g.meter.Count(now.Add(-max(Tick, since)), g.last)
	}
}

func (g *gauge) isCounter() bool {
	return g.target.Metric == platform.MetricRPS || g.target.Metric == platform.MetricConcurrency
}

// decide makes the gauge's wish from its meter. inFlight are the requests that the gateway holds or has running.
func (g *gauge) decide(now time.Time, sample autoscaler.Sample, inFlight float64) autoscaler.Decision {
	known := sample.Valid && g.failure == nil
	sample = g.scaler.Measure(now, sample, g.meter, inFlight)
	sample.Valid = sample.Valid && known
	g.decision = g.scaler.Decide(now, sample)
	return g.decision
}
