package acme

import (
	"math/rand/v2"
	"time"
)

const (
	// firstWait follows the first failure. With the doubling, an hour sees six attempts at most: Let's Encrypt takes five failed ones for
	// a host at once, and one more every twelve minutes.
	firstWait = time.Minute
	// longestWait bounds how long a host, or an authority, is left alone after failures.
	longestWait = 6 * time.Hour
	// longestLimit bounds how long a host is left alone because an authority says so: some limits last a week, but are lifted before.
	longestLimit = 24 * time.Hour
)

// backoff is how long is waited after a number of failures in a row. What failed together is not tried again together: up to a quarter of
// it is by chance.
func backoff(failures int) time.Duration {
	wait := longestWait
	if doublings := failures - 1; doublings < 9 { // 2^9 minutes are more than six hours
		wait = min(firstWait<<max(doublings, 0), longestWait)
	}
	return wait + rand.N(wait/4)
}

// sane is a time that was written down to be waited for: one that is farther away than is ever waited was written by a clock that was
// wrong, and is over.
func sane(until, now time.Time) time.Time {
	if until.After(now.Add(longestLimit + longestLimit/4)) {
		return time.Time{}
	}
	return until
}
