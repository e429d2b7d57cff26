package gateway

import (
	"context"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// state is where an instance stands for the gateway, which sees sockets and connections but no processes.
type state int

const (
	// unproven: the socket exists; whether anything reads from it is not known.
	unproven state = iota
	// proving: a prover waits for the instance to read the first byte of a request.
	proving
	// ready: it has read one, and nothing spoke against it since.
	ready
	// deaf: it had read, and has stopped to.
	deaf
	// draining: its socket is gone; it finishes what it has.
	draining
)

// label is the value in the metrics. Whether an unproven instance is being asked is nobody's business but ours.
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

// instance is one socket of a revision. Its pool's mutex guards all fields below the line.
type instance struct {
	id       platform.InstanceID
	name     string
	upstream *upstream

	state        state
	inFlight     int
	elsewhere    int // in flight for predecessors
	leases       map[*lease]struct{}
	streams      map[*exchange]struct{} // what may be concluded
	heard        time.Time              // when it was last seen to read
	idleSince    time.Time
	suspect      bool          // it closed a connection since it became ready
	proofs       int           // how often it became ready: a strike counts only against the proof it refutes
	provingSince time.Time     // when the prover began
	backoff      time.Duration // between two attempts of the prover; 0 if none has failed
	pausing      bool          // the prover waits for so long; else it is asking
	stopProver   context.CancelFunc
}

// stale says whether the proof of a ready instance is too old to rely on: nothing was in flight for so long that not even
// an idle connection is left whose end would tell of a crash.
func (i *instance) stale(now time.Time) bool {
	return i.state == ready && i.inFlight == 0 && now.Sub(i.idleSince) > upstreamIdleTimeout
}

// load is what the instance has in flight from all gateways.
func (i *instance) load() int { return i.inFlight + i.elsewhere }
