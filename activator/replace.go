package activator

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// An instance that has failed so often in a row is replaced: its copy of the app may be damaged. Each replacement is allowed
// twice as many failures, so that an app which cannot run is not copied again and again.
const (
	minAllowedFailures = 2
	maxAllowedFailures = 256
)

// drainGrace is how much longer than its timeout an instance may keep a request.
const drainGrace = 5 * time.Second

// findReplaceReason returns why the instance will not become ready by itself, or "" if it may, or is marked already. It also
// sets unread, and notes a start that took longer than startLimit.
func (i *instance) findReplaceReason(config platform.Config, startLimit time.Duration, now time.Time) (reason string) {
	limit := i.acceptLimit(config, startLimit)
	switch {
	case i.replaceReason != "":
	case i.socketLost:
		reason = "the file of its socket is gone"
	case i.state() == platform.Deaf:
		reason = fmt.Sprintf("it has not read for %s", config.LivenessTimeout)
	case i.refusals == 0 && i.startingBefore(now.Add(-limit)):
		reason, i.unread = explainLate(limit), !i.wasReady
		if !i.wasReady {
			i.failedLate(now, limit)
		}
	case i.refusals >= maxRefusals:
		reason = "it has closed its socket"
	case i.failedTooOften():
		reason = fmt.Sprintf("it came to nothing %d times in a row", i.failures)
	}
	return reason
}

// explainLate says that an instance has accepted nothing for as long as it may.
func explainLate(limit time.Duration) string {
	return fmt.Sprintf("it has accepted nothing for %s", limit)
}

// acceptLimit is how long the instance may accept nothing: as long as its start may take; if it was ready, as long as it may leave
// a request unread; and if it may have been ready before the activator was, at least as long as it may work on a request.
func (i *instance) acceptLimit(config platform.Config, startLimit time.Duration) time.Duration {
	switch {
	case i.proofExpired:
		return time.Duration(config.LivenessTimeout)
	case i.wasReady:
		return max(startLimit, time.Duration(config.Timeout)+drainGrace)
	}
	return startLimit
}

// startingBefore reports whether the instance has been starting since before some time.
func (i *instance) startingBefore(t time.Time) bool {
	return i.state() == platform.Starting && !i.startingSince.IsZero() && i.startingSince.Before(t)
}

func (i *instance) failedTooOften() bool {
	return i.state() == platform.Failed && i.failures >= max(i.allowedFailures, minAllowedFailures)
}

// markForReplacement takes note that the instance is to be replaced, and logs it.
func (i *instance) markForReplacement(reason string, log *slog.Logger) {
	i.replaceReason = reason
	id := i.id.Revision
	log.Warn("instance: replace", "event", "replace", "function", id.Function, "revision", id.String(), "instance", i.id.String(), "why", reason)
}

// replacement returns the instance, with another index, that takes the place of this one. One that takes the place of a late one
// is still the same try to those who ask whether the revision can start.
func (i *instance) replacement(index int) *instance {
	next := &instance{
		id:              platform.InstanceID{Revision: i.id.Revision, Index: index},
		allowedFailures: min(2*max(i.allowedFailures, minAllowedFailures), maxAllowedFailures),
		startHistory:    startHistory{consecutive: i.consecutive},
	}
	if i.late > 0 {
		next.failures, next.failedAt, next.late, next.started = 1, i.failedAt, i.late, true
	}
	return next
}
