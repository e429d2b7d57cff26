package activator

import (
	"fmt"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// An instance that has failed so often in a row is given up: its copy of the app may be damaged. Each that takes its
// place gets twice as many tries, so that an app which cannot run is not copied again and again.
const (
	minPatience = 2
	maxPatience = 256
)

// despair says why the instance won't come to anything by itself, if that is news.
func (i *instance) despair(config platform.Config, now time.Time) (why string) {
	silence := i.silence(config)
	switch {
	case i.hopeless != "":
	case i.lost:
		why = "the file of its socket is gone"
	case i.state() == platform.Deaf:
		why, i.unread = fmt.Sprintf("it has not read for %s", config.LivenessTimeout), true
	case i.refusals == 0 && i.silent(now.Add(-silence)):
		why, i.unread = fmt.Sprintf("it has accepted nothing for %s", silence), !i.served
	case i.refusals >= maxRefusals:
		why = "it has closed its socket"
	case i.broken():
		why = fmt.Sprintf("it came to nothing %d times in a row", i.failures)
	}
	return why
}

// silence is how long the instance may accept nothing: as long as its start may take, or once it was ready, as long as it
// may leave a request unread.
func (i *instance) silence(config platform.Config) time.Duration {
	if i.relapsed {
		return config.LivenessTimeout
	}
	return config.Timeout + drainGrace
}

// silent tells whether the instance runs since before some time and has accepted nothing yet.
func (i *instance) silent(before time.Time) bool {
	return i.state() == platform.Starting && !i.since.IsZero() && i.since.Before(before)
}

// broken tells whether the instance has failed too often.
func (i *instance) broken() bool {
	return i.state() == platform.Failed && i.failures >= max(i.patience, minPatience)
}

// successor is the instance that takes the place of a hopeless one.
func (i *instance) successor(index int) *instance {
	return &instance{
		id:       platform.InstanceID{Revision: i.id.Revision, Index: index},
		patience: min(2*max(i.patience, minPatience), maxPatience),
		tries:    tries{row: i.row},
	}
}
