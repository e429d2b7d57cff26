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
	id        platform.RevisionID
	config    platform.Config
	slice     string
	instances instances
	gauges    []*gauge
	usage     usage
	// routed is true if a route can reach the revision.
	routed bool
	// poisable is true if its units can have instances wait in their sandbox; spare while one does beside those that serve.
	poisable, spare bool
	usedAt          time.Time // when it had a request last, zero if it had none

	load         *Load     // the last that was reported
	active       bool      // a request was in flight or has started since the last decision
	metricsKnown bool      // the last report was good
	metricsAsOf  time.Time // the time at which its load was so
	reported     bool      // the last report had the revision
	asleep       bool      // the gauges have no history

	startTook   time.Duration // the last start, until it was ready; 0: none was seen
	arming      arming
	heir        *instance         // what takes the place of a single instance, once that has ended; nil: the next is as any other
	late        int               // starts in a row that took too long; each further one has twice as long
	failure     *platform.Failure // the notice that the revision cannot start, nil if it can
	noSocket    bool              // there is a notice because no socket could be made
	diagnosedAt time.Time         // the time of the failure that was diagnosed last
	soundAt     time.Time         // the last time at which nothing kept it from starting

	decision autoscaler.Decision
	refused  int // instances that the host has no room for
	status   RevisionStatus

	// loggedDesired is the decision, and loggedShortage whether the host lacks memory, as logged last.
	loggedDesired  int
	loggedShortage bool
}

// newRevision returns a revision with the instances that it already has.
func newRevision(described platform.Revision, existing instances, now time.Time) *revision {
	running := existing.count(platform.Starting) + existing.count(platform.Ready)
	rev := &revision{
		id:            described.ID,
		config:        described.Config,
		slice:         platform.SliceName(described.ID.Function),
		poisable:      described.Poised,
		instances:     existing,
		usage:         newUsage(described.Config.Instance),
		loggedDesired: running,
	}
	for _, target := range described.Config.ScaledBy() {
		rev.gauges = append(rev.gauges, newGauge(target, described.Config.Autoscale, running, now))
	}
	return rev
}

// setBounds changes the least and the largest number of instances. A revision that only a tag leads to has no least number: it
// costs nothing between requests.
func (r *revision) setBounds(scale platform.Scale, route platform.Route) {
	bounds := scale.Apply(r.config.Autoscale)
	if route.Reaches(r.id) && route.PercentOf(r.id) == 0 {
		bounds.Min = 0
	}
	for _, g := range r.gauges {
		g.setBounds(bounds)
	}
}

// isSingle reports whether there is never more than one instance of the function.
func (r *revision) isSingle() bool { return r.config.Autoscale.Single }

// setLoad takes over what the gateway reports, and reports whether there has been any load since the last decision.
func (r *revision) setLoad(load *Load) bool {
	r.active = r.active || load.InFlight > 0 || load.startedSince(r.load)
	r.load = load
	return r.active
}

// measure feeds the gauges with what has happened since the last tick.
func (r *revision) measure(paths platform.Paths, report report) {
	r.metricsKnown, r.metricsAsOf = report.err == nil, report.asOf
	_, r.reported = report.loads[r.id]
	if r.load == nil {
		r.load = &Load{} // the gateway has seen no request yet
	}
	for index, i := range r.instances {
		i.load = nil
		if known, ok := r.load.Instances[index]; ok && r.reported {
			i.load = &known
		}
	}
	r.lookAtRest(paths)
	r.lookAround(paths, report.at)
	for _, g := range r.gauges {
		if r.asleep {
			g.wake(report.asOf, report.asOf.Sub(report.previous))
		}
		r.feed(g, paths, report)
	}
	r.asleep = false
}

// lookAround looks what the instances do that may be stopped soon.
func (r *revision) lookAround(paths platform.Paths, now time.Time) {
	if r.config.BackgroundTimeout == 0 {
		return
	}
	for _, i := range r.instances.in(platform.Ready, platform.Deaf, platform.Draining) {
		if r.active && i.state() != platform.Draining {
			i.background.request(now)
		}
		i.look(platform.InstanceCgroup(paths, r.slice, i.id), paths.Busy(i.id), now)
	}
}

// works reports whether an instance that takes requests works without one.
func (r *revision) works(now time.Time) bool {
	return slices.ContainsFunc(r.instances.in(platform.Ready, platform.Deaf), func(i *instance) bool {
		return i.works(r.config, now)
	})
}

// feed gives a gauge the newest reading of its metric.
func (r *revision) feed(g *gauge, paths platform.Paths, report report) {
	ready := r.instances.in(platform.Ready)
	switch g.target.Metric {
	case platform.MetricRPS:
		if r.metricsKnown {
			g.count(report.asOf, r.load.Started)
		}
	case platform.MetricConcurrency:
		if r.metricsKnown {
			g.count(report.asOf, r.load.InFlightSeconds)
		}
	case platform.MetricCPU:
		g.count(report.at, r.usage.cpuPercentSeconds(paths, r.slice, ready))
	case platform.MetricMemory:
		g.level(report.at, r.usage.memoryMiB(paths, r.slice, ready))
	case platform.MetricPrometheus: // fed by queries
	}
}

// decide decides how many instances there should be: the largest number that a gauge asks for.
func (r *revision) decide(now time.Time) {
	sample := autoscaler.Sample{
		Ready:    r.instances.count(platform.Ready),
		Starting: r.instances.count(platform.Starting),
		// Without the gateway activity is unknown, so that no metric may scale anything down.
		Valid:  r.metricsKnown,
		Active: r.active || r.works(now),
	}
	if r.active {
		r.usedAt = now
	}
	r.active = false
	decisions := make([]autoscaler.Decision, len(r.gauges))
	for n, g := range r.gauges {
		decisions[n] = g.decide(now, sample, r.load.InFlight)
	}
	r.decision = autoscaler.Combine(decisions...)
}

// settled reports whether every further decision would be the same until an event, and nothing is left to do.
func (r *revision) settled() bool {
	if !r.metricsKnown || r.active || r.reported && r.load.InFlight > 0 || r.refused > 0 {
		return false
	}
	var ready, armed, poised, other int
	for _, i := range r.instances {
		switch i.state() {
		case platform.Ready:
			ready++
			if i.rest.marked {
				other++
			}
		case platform.Standby:
		case platform.Poised:
			poised++
		case platform.Armed:
			armed++
		default:
			other++
		}
	}
	switch {
	case other > 0:
		return false
	case !r.routed:
		return len(r.instances) == 0
	case !r.decision.Settled || ready != r.decision.Desired:
		return false
	case ready > 0:
		// The consumption of instances, and the answer to a query, may change without a request.
		return armed+poised == 0 && !slices.ContainsFunc(r.gauges, func(g *gauge) bool { return !g.isCounter() })
	}
	return armed+poised == 1
}

// startLimit is how long an instance may take to start.
func (r *revision) startLimit() time.Duration {
	limit := r.config.StartTimeout
	for range r.late {
		limit = min(2*limit, platform.MaxStartTimeout)
	}
	return time.Duration(limit)
}

// started takes note of a start that has led to a ready instance.
func (r *revision) started(took time.Duration) {
	r.startTook = took
	if took <= time.Duration(r.config.StartTimeout) {
		r.late = 0
	}
}

// sleep drops the history before a time without change.
func (r *revision) sleep() {
	r.asleep = true
	for _, g := range r.gauges {
		g.sleep()
	}
}

// updateStatus makes the revision's status anew.
func (r *revision) updateStatus() {
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
		Reason: r.decision.Reason, Explanation: r.explanation(winner), Instances: map[int]platform.InstanceState{},
	}
	for index, i := range r.instances {
		if state := i.state(); state != "" {
			r.status.Instances[index] = state
		}
	}
}

// explanation describes the decision in words. winner is the gauge that made it.
func (r *revision) explanation(winner *gauge) string {
	text := r.decision.Explanation()
	if winner.failure != nil {
		text += fmt.Sprintf("; the query has no answer: %v", winner.failure)
	}
	if !r.metricsKnown {
		text += "; the gateway doesn't answer"
	}
	if r.refused > 0 {
		text += fmt.Sprintf("; %d held back: the host is short of memory", r.refused)
	}
	return text
}
