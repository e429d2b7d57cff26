package platform

import (
	"fmt"
	"time"
)

// Route is what traffic a function takes and how it is split over its revisions. It is replaced as a whole.
type Route struct {
	Function string `json:"function"`
	// Hosts are the function's own host names, besides the one that the platform gives to each function.
	Hosts   []string       `json:"hosts,omitempty"`
	Traffic []TrafficShare `json:"traffic"`
	// Private functions are reached by their socket or `fnctl invoke` only.
	Private bool `json:"private,omitempty"`
}

// TrafficShare is the part of a function's requests that a revision gets, with what the gateway must know of it.
type TrafficShare struct {
	Revision RevisionID `json:"revision"`
	Percent  int        `json:"percent"`
	// TimeoutSeconds bounds a whole request.
	TimeoutSeconds float64 `json:"timeout_seconds"`
	// Concurrency is the most requests in flight that an instance may have; 0 means no limit.
	Concurrency int `json:"concurrency,omitempty"`
}

// Timeout bounds a whole request.
func (s TrafficShare) Timeout() time.Duration {
	return time.Duration(s.TimeoutSeconds * float64(time.Second))
}

// Check says what is wrong with a route.
func (r Route) Check() error {
	if err := CheckName(r.Function); err != nil {
		return err
	}
	total := 0
	for _, share := range r.Traffic {
		if share.Revision.Function != r.Function {
			return fmt.Errorf("route of %s: revision %s belongs to another function", r.Function, share.Revision)
		}
		if share.Percent < 0 || share.TimeoutSeconds <= 0 || share.Concurrency < 0 {
			return fmt.Errorf("route of %s: revision %s: percent, timeout or concurrency out of range", r.Function, share.Revision)
		}
		total += share.Percent
	}
	if total != 100 {
		return fmt.Errorf("route of %s: traffic adds up to %d percent instead of 100", r.Function, total)
	}
	for _, host := range r.Hosts {
		if err := CheckHost(host); err != nil {
			return fmt.Errorf("route of %s: %w", r.Function, err)
		}
	}
	return nil
}

// RouteTo sends all traffic of a function to one revision.
func RouteTo(rev Revision) Route {
	return Route{
		Function: rev.ID.Function,
		Hosts:    rev.Config.Hosts,
		Private:  !rev.Config.Expose,
		Traffic: []TrafficShare{{
			Revision:       rev.ID,
			Percent:        100,
			TimeoutSeconds: rev.Config.Timeout.Seconds(),
			Concurrency:    rev.Config.Concurrency,
		}},
	}
}
