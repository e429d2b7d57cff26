package activator

import "time"

// An instance that fails is tried again after a pause that doubles with each failure in a row.
const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
	// sameFailure is how long after a failure another is taken for the same one: systemd tells of it, and so does the end of
	// the action. An app that ends at once does so once a second.
	sameFailure = minBackoff / 2
)

func backoff(failures int) time.Duration {
	pause := minBackoff
	for range failures - 1 {
		pause = min(2*pause, maxBackoff)
	}
	return pause
}

// tries is what is remembered of the starts of an instance.
type tries struct {
	// failures counts the starts in a row that didn't lead to a ready instance; row also counts those of the instances
	// whose place it has taken. failedAt is when the last of them came to nothing.
	failures, row int
	failedAt      time.Time
	// started tells that a service was started, so that it is not only for want of a socket that they came to nothing.
	started bool
	// problem is what the last action said, if it failed.
	problem string
	// notBefore is when to try again.
	notBefore time.Time
}

// failed takes note that a start came to nothing.
func (t *tries) failed(now time.Time) {
	if now.Sub(t.failedAt) < sameFailure {
		return
	}
	t.failures++
	t.row++
	t.failedAt = now
	t.notBefore = now.Add(backoff(t.failures))
}

// armed takes note that the socket listens: what could not be started for want of it has its first chance still.
func (t *tries) armed() {
	if t.failures > 0 && !t.started {
		*t = tries{row: t.row - t.failures}
	}
}

// crashed takes note that an instance ended which had been ready. It could start, so it gets a new chance.
func (t *tries) crashed(now time.Time) { t.notBefore = now.Add(minBackoff) }

// arming bounds how often the sockets of a revision are tried in vain: a disk that is full is not written to again and
// again. The first failure may be of that one index only, so the second try follows at once.
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

func (a *arming) allowed(now time.Time) bool { return !now.Before(a.notBefore) }
