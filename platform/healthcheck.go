package platform

import (
	"fmt"
	"regexp"
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

// urlPathPattern is the path of a URL, without a query.
var urlPathPattern = regexp.MustCompile(`^/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}){0,255}$`)

// urlPath is the kind of paths of URLs, with an example for messages.
func urlPath(example string) keys.Text[string] {
	check := func(path string) error {
		if !urlPathPattern.MatchString(path) {
			return fmt.Errorf("must be the path of a URL such as %s, got %s", example, keys.Quote(path))
		}
		return nil
	}
	return keys.Text[string]{Parse: keys.Checked(check), Pattern: urlPathPattern.String(), What: "a path such as " + example}
}
