package activator

import (
	"time"

	"github.com/fnctl/fnctl/platform"
)

// An instance that fails is tried again after a pause that doubles with each failure in a row.
const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
)

func backoff(failures int) time.Duration {
	pause := minBackoff
	for range failures - 1 {
		pause = min(2*pause, maxBackoff)
	}
	return pause
}

// finished takes note of an action on the instance that has ended.
func (i *instance) finished(done action, now time.Time) {
	if done.err != nil {
		i.failures++
		i.notBefore = now.Add(backoff(i.failures))
		return
	}
	if done.verb == "prove" {
		i.proved, i.failures = true, 0
	}
}

// remember takes over what was known of the instance before systemd was asked again.
func (i *instance) remember(before *instance) {
	i.failures, i.notBefore = before.failures, before.notBefore
	// A service that isn't running has to prove itself anew when it is.
	i.proved = before.proved && i.service.Running()
	if before.state() == platform.Ready && i.state() == platform.Failed {
		i.failures++
		i.notBefore = time.Now().Add(backoff(i.failures))
	}
}
