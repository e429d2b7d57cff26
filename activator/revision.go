package activator

import (
	"fmt"
	"slices"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// revision is what the activator knows of one revision.
type revision struct {
	id     platform.RevisionID
	config platform.Config
	slice  string
	fleet  fleet
	gauges []*gauge
	usage  usage
	// routed tells whether a route can reach the revision.
	routed bool

	load   *Load     // the last that the gateway said
	active bool      // since the last decision a request was in flight or has started
	seen   bool      // the last report was good
	asked  time.Time // when the gateway was asked for it
	resting,
	present bool // present: the last report had the revision

	arming  arming
	failure *platform.Failure // what is said of the revision, nil if it can start
	unarmed bool              // it is said because no socket could be made
	judged  time.Time         // the last failure that was looked into

	decision autoscaler.Decision
	refused  int  // instances that the host has no room for
	short    bool // it was logged that there are some
	logged   int  // the decision that was logged last
	status   RevisionStatus
}

// newRevision takes over a revision with the instances that it has.
func newRevision(described platform.Revision, instances fleet, now time.Time) *revision {
	running := instances.count(platform.Starting) + instances.count(platform.Ready)
	rev := &revision{
		id:     described.ID,
		config: described.Config,
		slice:  platform.SliceName(described.ID.Function),
		fleet:  instances,
		usage:  newUsage(described.Config.Instance),
		logged: running,
	}
	for _, target := range described.Config.Autoscale.Metrics {
		rev.gauges = append(rev.gauges, newGauge(target, described.Config.Autoscale, running, now))
	}
	return rev
}

// rescale changes the bounds of a revision that is there. One that its tag alone leads to costs nothing between requests.
func (r *revision) rescale(scale platform.Scale, route platform.Route) {
	bounds := scale.Apply(r.config.Autoscale)
	if route.Reaches(r.id) && route.PercentOf(r.id) == 0 {
		bounds.Min = 0
	}
	for _, g := range r.gauges {
		g.rescale(bounds)
	}
}

// loaded takes over what the gateway says and tells whether there is any load.
func (r *revision) loaded(load *Load) bool {
	r.active = r.active || load.InFlight > 0 || load.startedSince(r.load)
	r.load = load
	return r.active
}

// measure feeds the gauges with what has happened since the last tick.
func (r *revision) measure(paths platform.Paths, report report) {
	r.seen, r.asked = report.err == nil, report.seen
	_, r.present = report.loads[r.id]
	if r.load == nil {
		r.load = &Load{} // the gateway has seen no request yet
	}
	for index, i := range r.fleet {
		i.load = nil
		if known, ok := r.load.Instances[index]; ok && r.present {
			i.load = &known
		}
	}
	for _, g := range r.gauges {
		if r.resting {
			g.resume(report.seen, report.seen.Sub(report.before))
		}
		r.feed(g, paths, report)
	}
	r.resting = false
}

func (r *revision) feed(g *gauge, paths platform.Paths, report report) {
	ready := r.fleet.in(platform.Ready)
	switch g.target.Metric {
	case platform.MetricRPS:
		if r.seen {
			g.count(report.seen, r.load.Started)
		}
	case platform.MetricConcurrency:
		if r.seen {
			g.count(report.seen, r.load.InFlightSeconds)
		}
	case platform.MetricCPU:
		g.count(report.at, r.usage.cpuPercentSeconds(paths, r.slice, ready))
	case platform.MetricMemory:
		g.level(report.at, r.usage.memoryMiB(paths, r.slice, ready))
	case platform.MetricPrometheus: // fed by its answers
	}
}

// decide makes the revision's wish: the largest of its gauges'.
func (r *revision) decide(now time.Time) {
	sample := autoscaler.Sample{
		Ready:    r.fleet.count(platform.Ready),
		Starting: r.fleet.count(platform.Starting),
		// Without the gateway nothing is known of activity, so nothing may be scaled down whatever the processors say.
		Valid:  r.seen,
		Active: r.active,
	}
	r.active = false
	decisions := make([]autoscaler.Decision, len(r.gauges))
	for n, g := range r.gauges {
		decisions[n] = g.decide(now, sample, r.load.InFlight)
	}
	r.decision = autoscaler.Combine(decisions...)
}

// settled tells whether every further decision would be the same until something happens, and nothing is left to do.
func (r *revision) settled() bool {
	if !r.seen || r.active || r.present && r.load.InFlight > 0 || r.refused > 0 {
		return false
	}
	var ready, standby, other int
	for _, i := range r.fleet {
		switch i.state() {
		case platform.Ready:
			ready++
		case platform.Armed:
			standby++
		default:
			other++
		}
	}
	switch {
	case other > 0:
		return false
	case !r.routed:
		return len(r.fleet) == 0
	case !r.decision.Settled || ready != r.decision.Desired:
		return false
	case ready > 0:
		// What instances consume, or a query says, may change without a request.
		return standby == 0 && !slices.ContainsFunc(r.gauges, func(g *gauge) bool { return !g.isCounter() })
	}
	return standby == 1
}

// rest forgets the history before a time without change.
func (r *revision) rest() {
	r.resting = true
	for _, g := range r.gauges {
		g.rest()
	}
}

// describe makes the revision's status.
func (r *revision) describe() {
	winner := r.gauges[0]
	for _, g := range r.gauges {
		if autoscaler.Metric(g.target.Metric) == r.decision.Metric && g.target.Target == r.decision.Target {
			winner = g
		}
	}
	least, most := winner.config.Min, winner.config.Max
	r.status = RevisionStatus{
		Revision: r.id, Metric: winner.target.Metric, Value: r.decision.Stable, Panic: r.decision.Panic, Target: winner.target.Target,
		Desired: r.decision.Desired, Min: least, Max: most, Panicking: r.decision.Panicking, Refused: r.refused,
		Cause: string(r.decision.Reason), Reason: r.reason(winner), Instances: map[int]platform.InstanceState{},
	}
	for index, i := range r.fleet {
		if state := i.state(); state != "" {
			r.status.Instances[index] = state
		}
	}
}

func (r *revision) reason(winner *gauge) string {
	text := r.decision.Explain()
	if winner.failure != nil {
		text += fmt.Sprintf("; the query has no answer: %v", winner.failure)
	}
	if !r.seen {
		text += "; the gateway doesn't answer"
	}
	if r.refused > 0 {
		text += fmt.Sprintf("; %d held back: the host is short of memory", r.refused)
	}
	return text
}
