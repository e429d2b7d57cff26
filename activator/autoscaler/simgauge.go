package autoscaler

import "time"

// simGauge is one metric of a simulation: its measurements, and the number of instances that it asks for.
type simGauge struct {
	metric Metric
	scaler *Autoscaler
	meter  simMeter
}

func newSimGauge(c Config, ready int) *simGauge {
	g := &simGauge{metric: c.Metric, scaler: New(c, ready, simEpoch), meter: &ourMeter{config: c}}
	if c.Reference {
		g.meter = &knativeMeter{
			stable: NewLinearWindow(c.StableWindow, time.Second),
			urgent: NewLinearWindow(c.PanicWindow, time.Second),
		}
	}
	return g
}

func (g *simGauge) decide(now time.Time, s Sample, total, inFlight float64) Decision {
	d := g.scaler.Decide(now, g.meter.measure(now, g.scaler, s, total, inFlight))
	g.meter.decided(d)
	return d
}

// simMeter collects the metric, given the running total of its counter.
type simMeter interface {
	secondPassed(now time.Time, total float64)
	firstRequest(now time.Time)
	measure(now time.Time, a *Autoscaler, s Sample, total, inFlight float64) Sample
	decided(d Decision)
}

// ourMeter reads the counter at each decision. While nothing happens it forgets the history.
type ourMeter struct {
	config Config
	meter  *Meter
	last   float64
}

func (m *ourMeter) secondPassed(time.Time, float64) {}
func (m *ourMeter) firstRequest(time.Time)          {}

func (m *ourMeter) measure(now time.Time, a *Autoscaler, s Sample, total, inFlight float64) Sample {
	if m.meter == nil {
		m.meter = m.config.NewMeter()
		m.meter.Count(now.Add(-m.config.Tick), m.last)
	}
	m.meter.Count(now, total)
	m.last = total
	return a.Measure(now, s, m.meter, inFlight)
}

func (m *ourMeter) decided(d Decision) {
	if d.Settled {
		m.meter = nil
	}
}

// knativeMeter is fed with each second's increase, as by a scrape once a second.
type knativeMeter struct {
	stable, urgent *LinearWindow
	last           float64
}

func (m *knativeMeter) secondPassed(now time.Time, total float64) {
	m.stable.Record(now, total-m.last)
	m.urgent.Record(now, total-m.last)
	m.last = total
}

// firstRequest reports the request that found nothing at once; the next report leaves it out.
func (m *knativeMeter) firstRequest(now time.Time) {
	m.stable.Record(now, 1)
	m.urgent.Record(now, 1)
	m.last++
}

func (m *knativeMeter) measure(now time.Time, _ *Autoscaler, s Sample, _, _ float64) Sample {
	s.Stable, s.Panic, s.Valid = m.stable.Average(now), m.urgent.Average(now), !m.stable.NoData(now)
	return s
}

func (m *knativeMeter) decided(Decision) {}
