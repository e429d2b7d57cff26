package activator

import (
	"fmt"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// revision is what the activator knows of one revision.
type revision struct {
	id     platform.RevisionID
	config platform.Config
	slice  string
	// routed tells whether a route can reach the revision.
	routed bool

	fleet  fleet
	load   *Load
	seen   bool // load is of this tick
	usage  usage
	meter  *autoscaler.Meter
	scaler *autoscaler.Autoscaler

	decision autoscaler.Decision
	logged   int
	status   RevisionStatus
}

// newRevision takes over a revision that has some instances running.
func newRevision(described platform.Revision, running int, now time.Time) *revision {
	config := scalerConfig(described.Config.Autoscale)
	return &revision{
		id:     described.ID,
		config: described.Config,
		slice:  platform.SliceName(described.ID.Function),
		fleet:  fleet{},
		meter:  autoscaler.NewMeter(config.StableWindow, config.PanicWindow),
		scaler: autoscaler.New(config, running, now),
		usage:  newUsage(described.Config.Instance),
		logged: running,
	}
}

func scalerConfig(a platform.Autoscale) autoscaler.Config {
	config := autoscaler.DefaultConfig(autoscaler.Metric(a.Metric), a.Target)
	config.StableWindow = a.StableWindow
	config.ScaleDownDelay = a.ScaleDownDelay
	config.Min, config.Max = a.Min, a.Max
	config.Tick = Tick
	return config
}

// see takes over what systemd says of the instances and keeps what is remembered of each.
func (r *revision) see(seen fleet) {
	for index, i := range seen {
		if known := r.fleet[index]; known != nil {
			i.remember(known)
		}
	}
	r.fleet = seen
}

// measure feeds the meter with what happened since the last tick. fresh tells that the gateway was asked successfully.
func (r *revision) measure(paths platform.Paths, load *Load, fresh bool, now time.Time) {
	r.seen = fresh
	active := false
	if fresh {
		if load == nil {
			load = &Load{} // a revision that the gateway doesn't know yet has had no request
		}
		active = load.InFlight > 0 || r.load != nil && load.Started != r.load.Started
		r.load = load
	}
	for index, i := range r.fleet {
		i.load = nil
		if known, ok := r.load.instance(index); ok && fresh {
			i.load = &known
		}
	}
	valid := r.feed(paths, now)
	stable, panicValue, ok := r.meter.Values(now)
	r.decision = r.scaler.Decide(now, autoscaler.Sample{
		Ready:    len(r.fleet.in(platform.Ready)),
		Starting: len(r.fleet.in(platform.Starting)),
		Stable:   stable,
		Panic:    panicValue,
		Valid:    valid && ok,
		Active:   active,
	})
	r.status = r.describe(stable)
}

// feed gives the meter the revision's metric. It returns false if there is nothing to read.
func (r *revision) feed(paths platform.Paths, now time.Time) bool {
	switch metric := r.config.Autoscale.Metric; metric {
	case platform.MetricRPS, platform.MetricConcurrency:
		if !r.seen {
			return false
		}
		counter := r.load.Started
		if metric == platform.MetricConcurrency {
			counter = r.load.InFlightSeconds
		}
		r.meter.Count(now, counter)
	case platform.MetricCPU:
		r.meter.Count(now, r.usage.cpuPercentSeconds(paths, r.slice, r.fleet.in(platform.Ready)))
	case platform.MetricMemory:
		r.meter.Level(now, r.usage.memoryMiB(paths, r.slice, r.fleet.in(platform.Ready)))
	default:
		panic(fmt.Sprintf("unknown metric %q", metric))
	}
	// Without the gateway nothing is known of activity, so nothing may be scaled down, whatever the processors say.
	return r.seen
}

func (l *Load) instance(index int) (InstanceLoad, bool) {
	if l == nil {
		return InstanceLoad{}, false
	}
	known, ok := l.Instances[index]
	return known, ok
}

func (r *revision) describe(value float64) RevisionStatus {
	auto := r.config.Autoscale
	status := RevisionStatus{
		Revision: r.id, Metric: auto.Metric, Value: value, Target: auto.Target,
		Desired: r.decision.Desired, Min: auto.Min, Max: auto.Max, Reason: r.decision.Explain(),
		Instances: map[int]platform.InstanceState{},
	}
	for index, i := range r.fleet {
		if state := i.state(); state != "" {
			status.Instances[index] = state
		}
	}
	return status
}
