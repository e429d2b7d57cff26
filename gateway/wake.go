package gateway

import (
	"strconv"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// coldStartFloor tells a cold start from a proof: nothing starts a process in less, and a running one answers sooner.
const coldStartFloor = 5 * time.Millisecond

// wakeStates are the states from which a request can have an instance made ready.
var wakeStates = []platform.InstanceState{platform.Armed, platform.Poised, platform.Standby}

// wake is that a request had an instance made ready. The zero value: none had.
type wake struct {
	from platform.InstanceState // one of wakeStates; empty: it is not known any more
	took time.Duration
}

// coldStart is how long a process was waited for; 0: it was there, and only asleep.
func (w wake) coldStart() time.Duration {
	if w.from == platform.Standby {
		return 0
	}
	return w.took
}

// String is what the client is told.
func (w wake) String() string {
	return strconv.FormatInt(w.took.Milliseconds(), 10) + "ms; from=" + string(w.from)
}

// proof is how an instance was made ready last, or is being.
type proof struct {
	from   platform.InstanceState // one of wakeStates: armed is also what may run already
	since  time.Time              // when the prover began
	needed bool                   // a request waited then
}

// wake is that of an instance for which something took so long; none if it ran already, as far as one can see.
func (p proof) wake(took time.Duration) wake {
	if p.from != platform.Standby && took < coldStartFloor {
		return wake{}
	}
	return wake{from: p.from, took: took}
}
