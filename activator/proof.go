package activator

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

const (
	// proofPause is the time between two proofs of an instance that refuses.
	proofPause = time.Second
	// maxRefusals is how many proofs in a row a running service may refuse. A socket that was bound a moment ago refuses
	// once; one that the app has shut down refuses for ever.
	maxRefusals = 3
	// doubtAfter is for how long the gateway may wait for an instance that counts as ready before it has to prove itself
	// again.
	doubtAfter = time.Second
)

// proofs is what is remembered of the proofs of an instance since its service was started.
type proofs struct {
	// refusals counts the proofs in a row that nobody took.
	refusals int
	// proveAfter is when to ask again.
	proveAfter time.Time
	// waitedFor is since when the gateway waits for the instance although it counts as ready.
	waitedFor time.Time
	// served tells that the instance was ready since its service was started, or may have been: its end is no failure to
	// start. relapsed tells that it has to prove itself again.
	served, relapsed bool
}

// accepted takes note that the instance has accepted a connection. One that has ended meanwhile could start, at least.
func (i *instance) accepted() {
	i.proved = i.stage() == platform.Starting || i.stage() == platform.Ready
	i.tries, i.proofs, i.patience = tries{}, proofs{served: true}, 0
}

// refused takes note that a proof has failed. The end of the service would tell by itself; what counts is that it runs and
// nobody listens.
func (i *instance) refused(err error, now time.Time) {
	i.proveAfter = now.Add(proofPause)
	if errors.Is(err, unix.ECONNREFUSED) && i.stage() == platform.Starting {
		i.refusals++
	}
}

// provable tells whether the instance has to be proved now.
func (i *instance) provable(now time.Time) bool {
	return i.state() == platform.Starting && i.service.Active == "active" && !now.Before(i.proveAfter)
}

// doubt takes back the proof of an instance if requests wait and the gateway, which has asked it, cannot give it any.
func (i *instance) doubt(waiting bool, now time.Time) {
	switch {
	case !waiting || i.state() != platform.Ready || i.load == nil || i.load.Ready:
		i.waitedFor = time.Time{}
	case i.waitedFor.IsZero():
		i.waitedFor = now
	case now.Sub(i.waitedFor) >= doubtAfter:
		i.proved, i.since, i.proofs = false, now, proofs{served: true, relapsed: true}
	}
}
