package platform

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Route is what traffic a function takes and how it is split over its revisions. It is replaced as a whole.
type Route struct {
	Function string `json:"function"`
	// Hosts are the function's own host names, besides the one that the platform gives to each function.
	Hosts []string `json:"hosts,omitempty"`
	// Traffic has the revisions with traffic, and those with a tag, by number.
	Traffic []TrafficShare `json:"traffic"`
	// Tags lead to one revision each, by a host of their own.
	Tags map[string]RevisionID `json:"tags,omitempty"`
	// Sticky tells requests that belong together while traffic is split; nil: each request is on its own.
	Sticky *Sticky `json:"sticky,omitempty"`
	// Private functions are reached by their socket or `fnctl invoke` only.
	Private bool `json:"private,omitempty"`
	// Paused functions answer no request and have no instance.
	Paused bool `json:"paused,omitempty"`
}

// TrafficShare is the part of a function's requests that a revision gets, with what the gateway must know of it.
type TrafficShare struct {
	Revision RevisionID `json:"revision"`
	Percent  int        `json:"percent"`
	// TimeoutSeconds bounds a whole request.
	TimeoutSeconds float64 `json:"timeout_seconds"`
	// ResponseStartTimeoutSeconds bounds the time until the head of a response; 0 means that only the timeout does.
	ResponseStartTimeoutSeconds float64 `json:"response_start_timeout_seconds,omitempty"`
	// IdleTimeoutSeconds bounds the time in which nothing of a response, or of a WebSocket, comes; 0 means no limit.
	IdleTimeoutSeconds float64 `json:"idle_timeout_seconds,omitempty"`
	// LivenessTimeoutSeconds bounds the time for which a request may lie unread; 0 means DefaultLivenessTimeout.
	LivenessTimeoutSeconds float64 `json:"liveness_timeout_seconds,omitempty"`
	// DrainGraceSeconds is how long WebSockets and event streams outlive the drain of their instance; 0 means
	// DefaultDrainGrace.
	DrainGraceSeconds float64 `json:"drain_grace_seconds,omitempty"`
	// Concurrency is the most requests in flight that an instance may have; 0 means no limit.
	Concurrency int `json:"concurrency,omitempty"`
	// MaxBodyBytes is the size of the largest body of a request; 0 means no limit.
	MaxBodyBytes int64 `json:"max_body_bytes,omitempty"`
	// MaxQueue is the most requests that wait for an instance; 0 means what the platform's settings say.
	MaxQueue int `json:"max_queue,omitempty"`
	// Protocol is what the app speaks; "" means HTTP1.
	Protocol Protocol `json:"protocol,omitempty"`
}

// Timeout bounds a whole request.
func (s TrafficShare) Timeout() time.Duration { return secondsOf(s.TimeoutSeconds) }

// ResponseStartTimeout bounds the time from handing a request to an instance until the head of its response; 0 means that
// only the timeout does.
func (s TrafficShare) ResponseStartTimeout() time.Duration {
	return secondsOf(s.ResponseStartTimeoutSeconds)
}

// IdleTimeout bounds the time in which an instance sends nothing of a response that has begun, or in which a WebSocket is
// silent in both directions; 0 means no limit.
func (s TrafficShare) IdleTimeout() time.Duration { return secondsOf(s.IdleTimeoutSeconds) }

// LivenessTimeout is how long a request may lie unread in the socket of an instance that was ready, before it counts as
// deaf. It is never 0.
func (s TrafficShare) LivenessTimeout() time.Duration {
	return cmp.Or(secondsOf(s.LivenessTimeoutSeconds), DefaultLivenessTimeout)
}

// DrainGrace is how long WebSockets and event streams of an instance that is drained are kept. It is never 0.
func (s TrafficShare) DrainGrace() time.Duration {
	return cmp.Or(secondsOf(s.DrainGraceSeconds), DefaultDrainGrace)
}

func secondsOf(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

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
		if err := share.check(); err != nil {
			return fmt.Errorf("route of %s: revision %s: %w", r.Function, share.Revision, err)
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
	if err := errors.Join(r.checkTags(), r.Sticky.check()); err != nil {
		return fmt.Errorf("route of %s: %w", r.Function, err)
	}
	return nil
}

// check says which part of a share is out of range.
func (s TrafficShare) check() error {
	for _, part := range []struct {
		name  string
		valid bool
	}{
		{"percent", s.Percent >= 0},
		{"timeout", s.TimeoutSeconds > 0},
		{"response_start_timeout", s.ResponseStartTimeoutSeconds >= 0},
		{"idle_timeout", s.IdleTimeoutSeconds >= 0},
		{"liveness_timeout", s.LivenessTimeoutSeconds >= 0},
		{"drain_grace", s.DrainGraceSeconds >= 0},
		{"concurrency", s.Concurrency >= 0},
		{"max_body", s.MaxBodyBytes >= 0},
		{"max_queue", s.MaxQueue >= 0},
		{"protocol", s.Protocol == "" || slices.Contains(protocols, s.Protocol)},
	} {
		if !part.valid {
			return fmt.Errorf("%s is out of range", part.name)
		}
	}
	return nil
}

// Split is the part of a function's traffic that a revision is to get.
type Split struct {
	Revision Revision
	Percent  int
}

// RouteTo sends all traffic of a function to one revision.
func RouteTo(rev Revision) Route { return RouteOver([]Split{{Revision: rev, Percent: 100}}) }

// RouteOver splits the traffic of a function over at least one revision. Those that get none are not in the route. The
// newest of the others, which is the last of the route, says what the function's hosts are.
func RouteOver(splits []Split) Route {
	splits = slices.Clone(splits)
	splits = slices.DeleteFunc(splits, func(s Split) bool { return s.Percent == 0 })
	slices.SortFunc(splits, func(a, b Split) int { return a.Revision.ID.Number - b.Revision.ID.Number })
	var route Route
	for _, split := range splits {
		rev := split.Revision
		route.Function, route.Hosts, route.Private = rev.ID.Function, rev.Config.Hosts, !rev.Config.Expose
		route.Traffic = append(route.Traffic, shareOf(rev, split.Percent))
	}
	return route
}

func shareOf(rev Revision, percent int) TrafficShare {
	return TrafficShare{
		Revision:                    rev.ID,
		Percent:                     percent,
		TimeoutSeconds:              rev.Config.Timeout.Seconds(),
		ResponseStartTimeoutSeconds: rev.Config.ResponseStartTimeout.Seconds(),
		IdleTimeoutSeconds:          rev.Config.IdleTimeout.Seconds(),
		LivenessTimeoutSeconds:      rev.Config.LivenessTimeout.Seconds(),
		DrainGraceSeconds:           rev.Config.DrainGrace.Seconds(),
		Concurrency:                 rev.Config.Concurrency,
		MaxBodyBytes:                rev.Config.MaxBody,
		MaxQueue:                    rev.Config.MaxQueue,
		Protocol:                    rev.Config.Protocol,
	}
}

// Newest is the newest revision with traffic, which speaks for the function. The zero value means that none has any.
func (r Route) Newest() RevisionID {
	var newest RevisionID
	for _, share := range r.Traffic {
		if share.Percent > 0 && share.Revision.Number > newest.Number {
			newest = share.Revision
		}
	}
	return newest
}

// PercentOf is the part of the function's requests that a revision gets.
func (r Route) PercentOf(id RevisionID) int {
	for _, share := range r.Traffic {
		if share.Revision == id {
			return share.Percent
		}
	}
	return 0
}

// Reaches tells whether the route has a revision, be it for its tag only.
func (r Route) Reaches(id RevisionID) bool {
	return slices.ContainsFunc(r.Traffic, func(share TrafficShare) bool { return share.Revision == id })
}

// Serves tells whether requests reach a revision: none does while the function is paused.
func (r Route) Serves(id RevisionID) bool { return !r.Paused && r.Reaches(id) }
