package autoscaler

import (
	"math"
	"time"
)

// Simulation describes the function and the autoscaler that a trace is replayed through.
type Simulation struct {
	Config Config
	// Others are the configurations of further metrics: the largest number of instances wins. The tick is that of Config.
	Others      []Config
	ColdStart   time.Duration // from the start of an instance until it is ready
	ServiceTime time.Duration // of one request that an instance has taken
	// Slots is how many requests one instance serves at once; 0 means what the target amounts to:
	// the target itself for Concurrency, target × ServiceTime for RPS, the least of them for several,
	// else 1.
	Slots int
	// Ready is the number of ready instances at the beginning; Config.Min is the usual choice.
	Ready int
	// Standby is how many instances that are too many are frozen at most, once they are idle, instead of stopped. A request that
	// finds no room wakes one, without a decision.
	Standby  int
	WakeTime time.Duration
	// Budget is how many instances, in whatever state, may be in memory before those in standby are evicted; 0: no limit.
	Budget int
	// Poised keeps one instance beyond those that run within its finished sandbox: a start from it takes SandboxTime less, and
	// the next one is poised as much later.
	Poised      bool
	SandboxTime time.Duration
}

// Point is what happened within one second of a simulation. The instance counts and Queued are as
// of its end, but for Resident.
type Point struct {
	Second          int
	Arrivals        int
	Desired         int
	Ready           int
	Starting        int     // those that are being woken, too
	Queued          int     // requests that wait for an instance
	ColdStarts      int     // requests that found no ready instance, and none in standby
	QueueSeconds    float64 // time requests spent waiting
	InstanceSeconds float64 // time instances spent ready, starting or draining
	Standby         int
	StandbySeconds  float64 // time instances spent in standby
	Resident        int     // the most instances at once that were in memory, those in standby too
	Evictions       int     // instances in standby that were stopped for the budget
	// How instances came to be ready: from standby, from poised, from armed.
	Wakes, PoisedStarts, ArmedStarts int
	// The part of QueueSeconds in which the first instance to be ready was a woken, a poised, an armed one. The rest was spent
	// waiting for one that was ready.
	WakeQueueSeconds, PoisedQueueSeconds, ArmedQueueSeconds float64
}

// Simulate replays a trace, which has the number of arrivals in each second, evenly spread. It runs
// the very same Decide as the activator, every Config.Tick and at once for a request that finds no
// instance. With Config.Reference the metric is collected as Knative does it, once a second; its
// grace period and its proxy's drain, which delay the last stop by up to a minute, are left out.
// Without, the history is forgotten while nothing happens, as by the activator.
//
// Requests queue in order for any instance. CPU is taken to be 100 % when all slots are busy;
// Memory and Prometheus don't follow from a trace, so there only requests and bounds decide.
func Simulate(trace []int, p Simulation) []Point {
	s := newSimulator(trace, p)
	for s.now < time.Duration(len(trace))*time.Second {
		s.advance(s.next())
		s.finish()
		s.arrive()
		s.rouse()
		s.tick()
	}
	return s.points
}

// Total sums up a simulation: arrivals, cold starts and times are sums, the counts are the largest.
func Total(points []Point) Point {
	var t Point
	for _, p := range points {
		t.Second = p.Second
		t.Arrivals += p.Arrivals
		t.ColdStarts += p.ColdStarts
		t.QueueSeconds += p.QueueSeconds
		t.InstanceSeconds += p.InstanceSeconds
		t.StandbySeconds += p.StandbySeconds
		t.Evictions += p.Evictions
		t.Wakes += p.Wakes
		t.PoisedStarts += p.PoisedStarts
		t.ArmedStarts += p.ArmedStarts
		t.WakeQueueSeconds += p.WakeQueueSeconds
		t.PoisedQueueSeconds += p.PoisedQueueSeconds
		t.ArmedQueueSeconds += p.ArmedQueueSeconds
		t.Desired = max(t.Desired, p.Desired)
		t.Ready = max(t.Ready, p.Ready)
		t.Starting = max(t.Starting, p.Starting)
		t.Queued = max(t.Queued, p.Queued)
		t.Standby = max(t.Standby, p.Standby)
		t.Resident = max(t.Resident, p.Resident)
	}
	return t
}

// simulator is event-driven. Service time and the time of each kind of start are constant, so each kind of event
// happens in the order it was caused, and a few queues do instead of a heap.
type simulator struct {
	Simulation
	trace  []int
	points []Point
	gauges []*simGauge
	now    time.Duration

	second  int // of the next arrival
	arrived int // arrivals of that second so far
	ticks   int
	started int // requests that have arrived in all
	seen    int // of those, before the last decision

	ready    int
	standby  int
	coming   [origins][]time.Duration // when each that starts or is woken will be ready
	poisedAt time.Duration            // when the next one is poised
	limited  bool                     // Slots is a limit that the gateway keeps, and no guess
	serving  []time.Duration          // when each will be done
	queued   int
	current  Point

	flightSeconds, busySeconds float64
}

// simEpoch is any whole time: the simulation has no clock either.
var simEpoch = time.Unix(0, 0).UTC()

func newSimulator(trace []int, p Simulation) *simulator {
	p.Config = p.Config.sane()
	p.Ready, p.ColdStart, p.ServiceTime = count(p.Ready), max(0, p.ColdStart), max(0, p.ServiceTime)
	p.Standby, p.Budget, p.WakeTime = count(p.Standby), count(p.Budget), max(0, p.WakeTime)
	p.SandboxTime = min(max(0, p.SandboxTime), p.ColdStart)
	limited := p.Slots > 0
	if !limited {
		p.Slots = slots(&p)
	}
	s := &simulator{
		Simulation: p,
		trace:      trace,
		points:     make([]Point, 0, len(trace)),
		ready:      p.Ready,
		limited:    limited,
	}
	s.current.Resident = p.Ready
	for _, c := range p.configs() {
		s.gauges = append(s.gauges, newSimGauge(c.sane(), p.Ready))
	}
	return s
}

func (p *Simulation) configs() []Config { return append([]Config{p.Config}, p.Others...) }

func slots(p *Simulation) int {
	least := math.Inf(1)
	for _, c := range p.configs() {
		switch c = c.sane(); c.Metric {
		case Concurrency:
			least = min(least, c.Total)
		case RPS:
			least = min(least, math.Ceil(c.Total*p.ServiceTime.Seconds()))
		}
	}
	if math.IsInf(least, 1) {
		return 1
	}
	return max(1, int(min(least, maxInstances)))
}

// next is the time of the next event; the end of each second is one.
func (s *simulator) next() time.Duration {
	t := min(s.now.Truncate(time.Second)+time.Second, time.Duration(s.ticks)*s.Config.Tick)
	if at, ok := s.nextArrival(); ok {
		t = min(t, at)
	}
	if at, _, ok := s.nextReady(); ok {
		t = min(t, at)
	}
	if len(s.serving) > 0 {
		t = min(t, s.serving[0])
	}
	return t
}

func (s *simulator) nextArrival() (time.Duration, bool) {
	for s.second < len(s.trace) && s.arrived >= s.trace[s.second] {
		s.second, s.arrived = s.second+1, 0
	}
	if s.second >= len(s.trace) {
		return 0, false
	}
	part := time.Second * time.Duration(s.arrived) / time.Duration(s.trace[s.second])
	return time.Duration(s.second)*time.Second + part, true
}

// advance lets time pass, in which nothing happens.
func (s *simulator) advance(to time.Duration) {
	dt := (to - s.now).Seconds()
	s.flightSeconds += dt * float64(s.inFlight())
	s.busySeconds += dt * float64(len(s.serving)) / float64(s.Slots)
	s.current.QueueSeconds += dt * float64(s.queued)
	if _, from, ok := s.nextReady(); ok {
		_, queueSeconds := s.current.of(from)
		*queueSeconds += dt * float64(s.queued)
	}
	s.current.InstanceSeconds += dt * float64(s.running())
	s.current.StandbySeconds += dt * float64(s.standby)
	s.now = to
}

func (s *simulator) inFlight() int { return s.queued + len(s.serving) }

// finish ends starts, requests and seconds that are due.
func (s *simulator) finish() {
	for at, from, ok := s.nextReady(); ok && at <= s.now; at, from, ok = s.nextReady() {
		s.coming[from] = s.coming[from][1:]
		s.ready++
	}
	for len(s.serving) > 0 && s.serving[0] <= s.now {
		s.serving = s.serving[1:]
	}
	s.serve()
	if s.now%time.Second != 0 || s.now == 0 {
		return
	}
	for _, g := range s.gauges {
		g.meter.secondPassed(simEpoch.Add(s.now), s.total(g.metric))
	}
	if second := int(s.now/time.Second) - 1; second == len(s.points) {
		s.current.Second, s.current.Arrivals = second, max(0, s.trace[second])
		s.current.Ready, s.current.Starting, s.current.Queued = s.ready, s.onTheWay(), s.queued
		s.current.Standby = s.standby
		s.points = append(s.points, s.current)
		s.current = Point{Desired: s.current.Desired, Resident: s.running() + s.standby}
	}
}

func (s *simulator) serve() {
	for s.queued > 0 && len(s.serving) < s.ready*s.Slots {
		s.queued--
		s.serving = append(s.serving, s.now+s.ServiceTime)
	}
}

// arrive takes the requests that are due.
func (s *simulator) arrive() {
	for at, ok := s.nextArrival(); ok && at <= s.now; at, ok = s.nextArrival() {
		s.arrived++
		s.started++
		s.queued++
		if s.ready+s.standby+len(s.coming[fromStandby]) == 0 {
			s.current.ColdStarts++
		}
		s.serve()
	}
}

// tick decides when it is time, or when requests wait and no instance is on the way.
func (s *simulator) tick() {
	due := s.now >= time.Duration(s.ticks)*s.Config.Tick
	if due {
		s.ticks++
	}
	stranded := s.queued > 0 && s.ready+s.onTheWay() == 0
	if stranded {
		for _, g := range s.gauges {
			g.meter.firstRequest(simEpoch.Add(s.now))
		}
		s.start() // the connection itself does
	}
	if due || stranded {
		s.decide()
	}
}

func (s *simulator) decide() {
	now := simEpoch.Add(s.now)
	sample := Sample{Ready: s.ready, Starting: s.onTheWay(), Active: s.inFlight() > 0 || s.started > s.seen}
	s.seen = s.started
	decisions := make([]Decision, len(s.gauges))
	for i, g := range s.gauges {
		decisions[i] = g.decide(now, sample, s.total(g.metric), float64(s.inFlight()))
	}
	s.current.Desired = Combine(decisions...).Desired
	s.resize(s.current.Desired)
}

// total is the counter behind a metric.
func (s *simulator) total(m Metric) float64 {
	switch m {
	case RPS:
		return float64(s.started)
	case CPU:
		return 100 * s.busySeconds
	case Concurrency:
		return s.flightSeconds
	default:
		return 0
	}
}
