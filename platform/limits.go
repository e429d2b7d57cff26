package platform

import (
	"cmp"
	"time"
)

// Timeouts are the limits of time of a revision's requests. The tag `json` is the name of the key in jcloud.yml and in
// revision.json, the tag `route` the name in route.json.
type Timeouts struct {
	// Timeout bounds a whole request. It is at least a second in jcloud.yml.
	Timeout Duration `json:"timeout" route:"timeout_seconds"`
	// ResponseStartTimeout bounds the time from handing a request to an instance until the head of its response; 0 means that
	// only Timeout does.
	ResponseStartTimeout Duration `json:"response_start_timeout,omitempty" route:"response_start_timeout_seconds,omitempty"`
	// IdleTimeout bounds the time in which an instance sends nothing of a response that has begun, or in which a WebSocket
	// is silent in both directions; 0 means no limit.
	IdleTimeout Duration `json:"idle_timeout,omitempty" route:"idle_timeout_seconds,omitempty"`
	// LivenessTimeout bounds the time for which a request may lie unread in the socket of an instance that was ready, before
	// the instance counts as deaf and is replaced. It is never 0 in what was read.
	LivenessTimeout Duration `json:"liveness_timeout,omitempty" route:"liveness_timeout_seconds,omitempty"`
	// DrainGrace is how long WebSockets and event streams outlive the drain of their instance. It is never 0 in what was read.
	DrainGrace Duration `json:"drain_grace,omitempty" route:"drain_grace_seconds,omitempty"`
}

// The defaults of what a file of an older version doesn't have.
const (
	DefaultLivenessTimeout = Duration(10 * time.Second)
	DefaultDrainGrace      = Duration(30 * time.Second)
)

// The defaults of what a revision.json of an older version doesn't have; jcloud.yml has the same.
const (
	defaultStopTimeout       = Duration(20 * time.Second)
	defaultBackgroundTimeout = Duration(15 * time.Minute)
)

// setDefaults sets what a file of an older version doesn't have.
func (t *Timeouts) setDefaults() {
	t.LivenessTimeout = cmp.Or(t.LivenessTimeout, DefaultLivenessTimeout)
	t.DrainGrace = cmp.Or(t.DrainGrace, DefaultDrainGrace)
}

// Limits are the limits of number and size of a revision's requests, with tags as those of Timeouts. They are a struct of
// their own because they stand elsewhere in revision.json.
type Limits struct {
	// Concurrency is the most requests in flight that an instance may have; 0 means no limit.
	Concurrency int `json:"concurrency" route:"concurrency,omitempty"`
	// MaxBody is the size of the largest body of a request in bytes; 0 means no limit.
	MaxBody int64 `json:"max_body,omitempty" route:"max_body_bytes,omitempty"`
	// MaxQueue is the most requests that wait for an instance; 0 means what the platform's settings say.
	MaxQueue int `json:"max_queue,omitempty" route:"max_queue,omitempty"`
}
