package activator

import "time"

// An instance that fails is tried again after a pause that doubles with each failure in a row.
const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
	// sameFailure is how long after a failure another counts as the same one: systemd reports it, and so does the end of
	// the action. An app that ends at once does so once a second.
	sameFailure = minBackoff / 2
)

// backoff returns the pause after so many failures in a row, at least 1.
func backoff(failures int) time.Duration {
	delay := minBackoff
	for range failures - 1 {
		delay = min(2*delay, maxBackoff)
	}
	return delay
}

// startHistory is what is remembered of the starts of an instance.
type startHistory struct {
	// failures counts the starts in a row that didn't lead to a ready instance; consecutive also counts those of the
	// instances that this one has replaced. failedAt is when the last of them failed.
	failures, consecutive int
	failedAt              time.Time
	// late is the limit that the last start has missed, 0 if it came to nothing for another reason.
	late time.Duration
	// started is true if a service was started, so that not all failures are for want of a socket.
	started bool
	// problem is the error of the last action, if it failed.
	problem string
	// notBefore is when to try again.
	notBefore time.Time
}

// failed takes note of a start that did not lead to a ready instance.
func (h *startHistory) failed(now time.Time) {
	if now.Sub(h.failedAt) < sameFailure {
		return
	}
	h.failures++
	h.consecutive++
	h.failedAt, h.late = now, 0
	h.notBefore = now.Add(backoff(h.failures))
}

// failedLate takes note of a start that has not led to a ready instance within a limit.
func (h *startHistory) failedLate(now time.Time, limit time.Duration) {
	h.failed(now)
	h.late = limit
}

// armed takes note that the socket listens. An instance that only failed for want of it still has its first start ahead.
func (h *startHistory) armed() {
	if h.failures > 0 && !h.started {
		*h = startHistory{consecutive: h.consecutive - h.failures}
	}
}

// crashed takes note that an instance has ended which had been ready. It was able to start, so it is started again.
func (h *startHistory) crashed(now time.Time) { h.notBefore = now.Add(minBackoff) }

// probeHistory is what is remembered of the probes of an instance since its service was started.
type probeHistory struct {
	// refusals counts the probes in a row that were refused.
	refusals int
	// probeAfter is when to probe again.
	probeAfter time.Time
	// waitedForSince is since when the gateway waits for the instance although it counts as ready.
	waitedForSince time.Time
	// wasReady is true if the instance was ready since its service was started, or may have been: its end is no failure to
	// start. proofExpired is true if it has to be proved again.
	wasReady, proofExpired bool
}

// arming bounds how often the sockets of a revision are tried in vain: a disk that is full is not written to again and
// again. The first failure may concern one index only, so the second attempt follows at once.
type arming struct {
	failures  int
	notBefore time.Time
}

func (a *arming) failed(now time.Time) {
	if a.failures++; a.failures > 1 {
		a.notBefore = now.Add(backoff(a.failures - 1))
	}
}

func (a *arming) succeeded() { *a = arming{} }

// allowed reports whether a socket may be tried now.
func (a *arming) allowed(now time.Time) bool { return !now.Before(a.notBefore) }
