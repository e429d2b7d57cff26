package platform

import (
	"time"

	"github.com/fnctl/fnctl/platform/keys"
)

// Healthcheck is the condition that an instance must meet before its revision gets traffic.
type Healthcheck struct {
	// Path must be answered with 2xx; "" means that any answer to a request will do.
	Path string `json:"path,omitempty"`
	// Timeout is how long that may take from the start of the instance; 1 s to 1 h.
	Timeout Duration `json:"timeout"`
}

// startTimeouts is the kind of start_timeout and healthcheck.timeout.
var startTimeouts = keys.Seconds[Duration]{Min: Duration(time.Second), Max: MaxStartTimeout}

const (
	// MaxStartTimeout is the longest that a start may take.
	MaxStartTimeout = Duration(time.Hour)
	// minStartDefault is the least that a default allows a start: requests may be short where starts are not.
	minStartDefault = Duration(30 * time.Second)
)

// healthTimeout is the default of healthcheck.timeout: the timeout, within what a start needs at least and may take at most.
func healthTimeout(timeout Duration) Duration {
	return min(max(timeout, minStartDefault), MaxStartTimeout)
}
