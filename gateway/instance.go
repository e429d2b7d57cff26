package gateway

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// minBackoff and maxBackoff bound the time between two failed proofs.
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
	// loudBackoff is the pause from which on a failure is worth a line in the log. A socket that was bound a moment ago, and
	// does not listen yet or has not its final mode, fails once or twice.
	loudBackoff = 100 * time.Millisecond
)

// state is where an instance stands for the gateway, which sees sockets and connections but no processes.
type state int

const (
	// unproven: the socket exists; whether anything reads from it is not known.
	unproven state = iota
	// proving: a prover waits for the instance to read the first byte of a request.
	proving
	// ready: the instance has read one, and nothing spoke against it since.
	ready
	// deaf: the instance had read, and has stopped to.
	deaf
	// resting: the instance was marked and may be frozen. It gets a request only after it was woken.
	resting
	// draining: the socket is gone; the instance finishes what it has.
	draining
)

// label is the value in the metrics, which do not tell whether an unproven instance is being proved, or rests.
func (s state) label() string {
	switch s {
	case ready:
		return string(platform.Ready)
	case deaf:
		return string(platform.Deaf)
	case draining:
		return string(platform.Draining)
	default:
		return "unproven"
	}
}

// stream is a response that lasts for as long as its client likes: a WebSocket or an event stream.
type stream interface {
	// conclude ends the stream in the way of its protocol.
	conclude()
}

// instance is one socket of a revision. The mutex of its pool guards all fields below the line.
type instance struct {
	id       platform.InstanceID
	name     string
	upstream *upstream

	state             state
	inFlight          int
	inFlightElsewhere int // for predecessors
	deliveries        deliveries
	sleep
	streams        map[stream]struct{}
	lastRead       time.Time // when it was last seen to read
	asked          time.Time // since when it is asked with a probe whether it reads; zero: it is not
	stopAsking     context.CancelFunc
	unread         int       // requests that it has not read, at the last look, if it has stopped reading
	unboundedEnded time.Time // when an unbounded answer of it ended last
	idleSince      time.Time
	suspect        bool          // it closed a connection since it became ready
	proofs         int           // how often it became ready: a strike counts only against the proof that it refutes
	proof          proof         // the last of these, or the one that is under way
	poisedMarked   bool          // the file platform.MarkPoised is there
	poised         bool          // it was not proved since that was made
	backoff        time.Duration // between two attempts of the prover; 0 if none has failed
	pausing        bool          // the prover is in such a pause
	stopProver     context.CancelFunc
}

func newInstance(id platform.InstanceID) *instance {
	return &instance{id: id, name: id.String(), deliveries: make(deliveries), streams: make(map[stream]struct{})}
}

// load is what the instance has in flight from all gateways.
func (i *instance) load() int { return i.inFlight + i.inFlightElsewhere }

// stale reports whether the proof of a ready instance is too old to rely on: nothing was in flight for so long that not even
// an idle connection is left whose end would tell of a crash.
func (i *instance) stale(now time.Time) bool {
	return i.state == ready && i.inFlight == 0 && now.Sub(i.idleSince) > upstreamIdleTimeout
}

// doubt takes the proof back as soon as nothing is in flight, which proves or refutes it by itself.
func (i *instance) doubt() {
	i.suspect = true
	if i.state == ready && i.inFlight == 0 {
		i.state = unproven
	}
}

// mark notes that a mark is there, or not any more. One that is poised has no process any more of those that were proved; with the next
// proof it is as any other, even if its mark is still there.
func (i *instance) mark(m platform.Mark, there bool) {
	switch {
	case m == platform.MarkPoised && i.poisedMarked != there:
		i.poisedMarked, i.poised = there, there
		if there {
			i.doubt()
		}
	case m == platform.MarkStandby && i.marked != there:
		i.marked, i.tired = there, there
	}
}

// isComing reports whether the instance is on its way to be ready, as far as one can see. One that is still being proved after it was
// woken is late.
func (i *instance) isComing() bool {
	return i.state == proving && i.proof.from != platform.Standby && !i.failing()
}

// failing reports whether the instance takes no connection, for longer than a new socket that has not its final mode yet.
func (i *instance) failing() bool { return i.pausing && i.backoff > loudBackoff/2 }

// instances are those of one revision.
type instances []*instance

func (all instances) count(s state) int {
	n := 0
	for _, inst := range all {
		if inst.state == s {
			n++
		}
	}
	return n
}

// current returns the instance that has an index, and not an earlier one that still drains; nil if there is none.
func (all instances) current(index int) *instance {
	for _, inst := range all {
		if inst.id.Index == index && inst.state != draining {
			return inst
		}
	}
	return nil
}

// indexes lists the instances that are not draining.
func (all instances) indexes() []int {
	var indexes []int
	for _, inst := range all {
		if inst.state != draining {
			indexes = append(indexes, inst.id.Index)
		}
	}
	return indexes
}

func (all instances) without(one *instance) instances {
	return slices.DeleteFunc(all, func(inst *instance) bool { return inst == one })
}

// expireProofs takes the proof back from instances that were idle for so long that it is worth nothing.
func (all instances) expireProofs(now time.Time) {
	for _, inst := range all {
		if inst.stale(now) {
			inst.state = unproven
		}
	}
}

// leastLoaded returns the ready instance with the least in flight, ties at random; nil if each has as much as it may have.
func (all instances) leastLoaded(most int) *instance {
	var best *instance
	ties := 0
	for _, inst := range all {
		if inst.state != ready || inst.load() >= most || best != nil && inst.load() > best.load() {
			continue
		}
		if best == nil || inst.load() < best.load() {
			best, ties = inst, 1
			continue
		}
		if ties++; rand.IntN(ties) == 0 {
			best = inst
		}
	}
	return best
}

// instanceLoads are the numbers of requests that run, by instance and its state.
type instanceLoads map[instanceKey]int

type instanceKey struct {
	index int
	state string
}

// loads adds up what all gateways have in flight. An index can be there twice: as the instance that has it, and as an
// earlier one that still drains. asleep are those that rest for all gateways.
func (all instances) loads(asleep []int) instanceLoads {
	sums := make(instanceLoads, len(all))
	for _, inst := range all {
		label := inst.state.label()
		if inst.state == resting && slices.Contains(asleep, inst.id.Index) {
			label = string(platform.Standby)
		}
		sums[instanceKey{index: inst.id.Index, state: label}] += inst.load()
	}
	return sums
}

// unread is how many requests lie unread at instances that have stopped reading, by index; nil if none does.
func (all instances) unread() map[int]int {
	var sums map[int]int
	for _, inst := range all {
		if inst.unread > 0 {
			if sums == nil {
				sums = make(map[int]int)
			}
			sums[inst.id.Index] += inst.unread
		}
	}
	return sums
}

// byIndex adds up what is in flight by instance; nil if nothing is.
func (sums instanceLoads) byIndex() map[int]int {
	var all map[int]int
	for key, n := range sums {
		if n > 0 {
			if all == nil {
				all = make(map[int]int)
			}
			all[key.index] += n
		}
	}
	return all
}
