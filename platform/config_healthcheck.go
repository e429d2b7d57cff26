package platform

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// Healthcheck is what an instance must do before its revision gets traffic.
type Healthcheck struct {
	// Path must be answered with 2xx; "" means that any answer to a request will do.
	Path string `json:"path,omitempty"`
	// Timeout is how long that may take from the start of the instance; 1 s to 1 h.
	Timeout time.Duration `json:"timeout"`
}

type plainHealthcheck Healthcheck

type healthcheckJSON struct {
	plainHealthcheck
	Timeout durationText `json:"timeout"`
}

// MarshalJSON writes the timeout as a string such as "120s".
func (h Healthcheck) MarshalJSON() ([]byte, error) {
	return json.Marshal(healthcheckJSON{plainHealthcheck(h), durationText(h.Timeout)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (h *Healthcheck) UnmarshalJSON(data []byte) error {
	decoded := healthcheckJSON{plainHealthcheck(*h), durationText(h.Timeout)}
	if err := json.Unmarshal(data, &decoded); err != nil {
		return fmt.Errorf("decode healthcheck: %w", err)
	}
	*h = Healthcheck(decoded.plainHealthcheck)
	h.Timeout = time.Duration(decoded.Timeout)
	return nil
}

// healthTimeout is the default of healthcheck.timeout: nobody waits for a deploy for days.
func healthTimeout(timeout time.Duration) time.Duration { return min(timeout, patience.max) }

// urlPathPattern is the path of a URL, without a query.
var urlPathPattern = regexp.MustCompile(`^/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}){0,255}$`)

func checkHealthPath(path string) error {
	if !urlPathPattern.MatchString(path) {
		return fmt.Errorf("must be the path of a URL such as /health, got %s", quoted(path))
	}
	return nil
}
