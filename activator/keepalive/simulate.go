package keepalive

import (
	"container/heap"
	"time"
)

// Policy says how long instances without calls are kept, and which of them go first when memory is short.
type Policy struct {
	// KeepAlive is how long an instance is kept after its last call; with 0 it is until its memory is needed.
	KeepAlive time.Duration
	// ByValue picks victims by their value in a Cache of this half-life. Without, the victim is what was used longest ago.
	ByValue  bool
	HalfLife time.Duration
	// StandbyAfter is how long after its last call an instance is frozen, and a call wakes it; with 0 it never is.
	StandbyAfter time.Duration
}

// Knative is what Knative Serving does by default with an instance without requests: it decides against it after the stable window of
// 60 s, and it is gone after the grace period of 30 s or, if the activator was in the path already, the drain of its proxy, which
// takes as long. By default it was, and a request within these 30 s finds no instance. Here it finds one: the best case for Knative,
// which spares it between a quarter and a third of the cold starts in the traces.
func Knative() Policy { return Fixed(60*time.Second + 30*time.Second) }

// Fixed keeps every instance for a time after its last call.
func Fixed(keepAlive time.Duration) Policy { return Policy{KeepAlive: keepAlive} }

// LeastRecentlyUsed keeps every instance until its memory is needed, and evicts what was used longest ago.
func LeastRecentlyUsed() Policy { return Policy{} }

// GreedyDual keeps every instance until its memory is needed, and evicts by a Cache.
func GreedyDual(halfLife time.Duration) Policy { return Policy{ByValue: true, HalfLife: halfLife} }

// Peer is a policy of others, to compare with.
type Peer struct {
	Name string
	Policy
}

// Peers are the policies of others, Knative's defaults first. Ten minutes are what platforms of functions had for long.
func Peers() []Peer {
	return []Peer{{"Knative", Knative()}, {"fixed ten minutes", Fixed(10 * time.Minute)}, {"least recently used", LeastRecentlyUsed()}}
}

// Result is what a trace costs under a policy.
type Result struct {
	Calls       int
	ColdStarts  int // calls that started an instance
	WarmStarts  int // calls that found one ready, or in standby
	Wakes       int // the warm starts that found one in standby
	Waited      int // calls that found one on its way
	PeakMemory  int64
	MeanMemory  int64 // over the whole time of the trace
	Evictions   int   // instances that went because their memory was needed
	Expirations int   // instances that went because their time was over
}

// Simulate replays a trace under a policy and a limit of memory; 0 is no limit. What the trace leaves open is in its Assumptions;
// besides:
//
//   - A function has one instance, which holds any number of calls at once, and its memory from the moment in which it is started.
//   - All calls of a function take the mean of its calls. The time to keep an instance begins with the end of the last one.
//   - Whatever has no call in flight may be evicted, and is gone at once. A start is never refused: if all the rest is
//     busy, the limit is exceeded, and PeakMemory tells.
//   - Nothing is in memory at the beginning.
//
// The same arguments give the same result.
func Simulate(trace Trace, policy Policy, memory int64) Result {
	s := &simulator{
		trace: trace, policy: policy, memory: memory,
		cache: New(policy.HalfLife), instances: make([]simInstance, len(trace.Functions)), index: map[string]int{},
	}
	for i, f := range trace.Functions {
		s.index[f.ID] = i
	}
	begin, end := trace.span()
	s.now = begin
	trace.eachCall(s.call)
	s.pass(end)
	if end > begin {
		s.result.MeanMemory = int64(s.byteSeconds / (end - begin).Seconds())
	}
	return s.result
}

type simulator struct {
	trace     Trace
	policy    Policy
	memory    int64
	cache     *Cache
	instances []simInstance  // of the functions of the same index
	index     map[string]int // of a function, by its id
	expiries  expiries
	now       time.Duration

	byteSeconds float64
	result      Result
}

// simInstance is the instance of a function, if it has one.
type simInstance struct {
	kept      bool
	readyAt   time.Duration
	busyUntil time.Duration
	watched   bool // there is an expiry
}

// simEpoch is any time: the simulation has no clock either.
var simEpoch = time.Unix(0, 0).UTC()

// call is one call, which stands for so many.
func (s *simulator) call(at time.Duration, function, calls int) {
	s.pass(at)
	f, in := &s.trace.Functions[function], &s.instances[function]
	s.result.Calls += calls
	others := calls
	if !in.kept {
		s.result.ColdStarts++
		s.start(function)
		others--
	} else if after := s.policy.StandbyAfter; after > 0 && at-in.busyUntil >= after {
		s.result.Wakes++
	}
	if in.readyAt > at {
		s.result.Waited += others
	} else {
		s.result.WarmStarts += others
	}
	in.busyUntil = max(in.busyUntil, max(at, in.readyAt)+f.Duration)
	s.cache.Use(f.ID, simEpoch.Add(at))
	if s.policy.KeepAlive > 0 && !in.watched {
		in.watched = true
		heap.Push(&s.expiries, expiry{in.busyUntil + s.policy.KeepAlive, function})
	}
}

func (s *simulator) start(function int) {
	f, in := &s.trace.Functions[function], &s.instances[function]
	if s.memory > 0 {
		s.evict(s.cache.Size() + f.Memory - s.memory)
	}
	in.kept, in.readyAt = true, s.now+s.trace.ColdStart
	instance := Instance{Size: f.Memory}
	if s.policy.ByValue { // without a cost all priorities are equal, and the last use decides
		instance.Cost = s.trace.ColdStart
	}
	s.cache.Put(f.ID, instance)
	s.result.PeakMemory = max(s.result.PeakMemory, s.cache.Size())
}

func (s *simulator) evict(need int64) {
	if need <= 0 {
		return
	}
	for i, in := range s.instances {
		s.cache.Pin(s.trace.Functions[i].ID, in.busyUntil > s.now)
	}
	for _, victim := range s.cache.Evict(need, simEpoch.Add(s.now)) {
		s.instances[s.index[victim.Key]].kept = false
		s.result.Evictions++
	}
}

// pass lets time pass, in which instances expire.
func (s *simulator) pass(to time.Duration) {
	for len(s.expiries) > 0 && s.expiries[0].at < to { // one whose time is over just now still takes a call
		e := heap.Pop(&s.expiries).(expiry)
		in := &s.instances[e.function]
		at := in.busyUntil + s.policy.KeepAlive
		switch in.watched = in.kept && at > e.at; {
		case in.watched: // there were calls meanwhile
			heap.Push(&s.expiries, expiry{at, e.function})
		case in.kept:
			s.wait(e.at)
			in.kept = false
			s.cache.Drop(s.trace.Functions[e.function].ID)
			s.result.Expirations++
		}
	}
	s.wait(to)
}

func (s *simulator) wait(to time.Duration) {
	s.byteSeconds += (to - s.now).Seconds() * float64(s.cache.Size())
	s.now = to
}

// expiry is when the instance of a function is gone if there is no call until then.
type expiry struct {
	at       time.Duration
	function int
}

type expiries []expiry

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].at < e[j].at }
func (e expiries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *expiries) Push(x any)        { *e = append(*e, x.(expiry)) }
func (e *expiries) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
