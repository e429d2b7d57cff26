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

// healthTimeouts is the kind of healthcheck.timeout.
var healthTimeouts = keys.Seconds[Duration]{Min: Duration(time.Second), Max: Duration(time.Hour)}

// healthTimeout is the default of healthcheck.timeout: the timeout, but not longer than a deploy may take.
func healthTimeout(timeout Duration) Duration { return min(timeout, healthTimeouts.Max) }
