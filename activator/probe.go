package activator

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// An instance is proved by one probe that it accepts and reads (platform.Probe).
const (
	// probePause is the time between two probes of an instance that refuses.
	probePause = time.Second
	// maxRefusals is how many probes in a row a running service may refuse. A socket that was bound a moment ago refuses
	// once; one that the app has shut down refuses for ever.
	maxRefusals = 3
	// expireProofAfter is for how long the gateway may wait for an instance that counts as ready before it is probed again.
	expireProofAfter = time.Second
)

// accepted takes note that the instance has accepted a probe. One that has ended meanwhile was able to start, at least.
func (i *instance) accepted() {
	i.proved = i.stage() == platform.Starting || i.stage() == platform.Ready
	i.startHistory, i.probeHistory, i.allowedFailures = startHistory{}, probeHistory{wasReady: true}, 0
}

// refused takes note that a probe has failed. systemd reports it if the service has ended; a refusal counts while the
// service runs and does not listen.
func (i *instance) refused(err error, now time.Time) {
	i.probeAfter = now.Add(probePause)
	if errors.Is(err, unix.ECONNREFUSED) && i.stage() == platform.Starting {
		i.refusals++
	}
}

// probeDue reports whether the instance has to be probed now.
func (i *instance) probeDue(now time.Time) bool {
	return i.state() == platform.Starting && i.service.Active == "active" && !now.Before(i.probeAfter)
}

// expireProof takes back the proof of an instance if requests wait and the gateway, which has probed it too, has not been
// able to give it any for a while.
func (i *instance) expireProof(waiting bool, now time.Time) {
	switch {
	case !waiting || i.state() != platform.Ready || i.load == nil || i.load.Ready:
		i.waitedForSince = time.Time{}
	case i.waitedForSince.IsZero():
		i.waitedForSince = now
	case now.Sub(i.waitedForSince) >= expireProofAfter:
		i.proved, i.startingSince, i.probeHistory = false, now, probeHistory{wasReady: true, proofExpired: true}
	}
}
