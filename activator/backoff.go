package activator

import "time"

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

// failed takes note that the instance ended by itself, or that something done to it failed.
func (i *instance) failed(now time.Time) {
	i.failures++
	i.notBefore = now.Add(backoff(i.failures))
}

// accepted takes note that the instance has accepted a connection.
func (i *instance) accepted() {
	i.proved, i.failures, i.patience, i.notBefore = true, 0, 0, time.Time{}
}
