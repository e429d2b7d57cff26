package gateway

import (
	"errors"
	"time"
)

// abortion is the reason why a request ended before its response was complete, as the metrics and the access log have it.
type abortion string

const (
	abortedByClient   abortion = "client"
	abortedByTimeout  abortion = "timeout"
	abortedByUpstream abortion = "upstream"
	abortedByShutdown abortion = "shutdown"
)

// abortionOf is the reason for which an error broke off a response that had begun.
func abortionOf(err error) abortion {
	switch {
	case errors.Is(err, errShutdown):
		return abortedByShutdown
	case errors.Is(err, errTimeout), errors.Is(err, errSilent):
		return abortedByTimeout
	case isClientsFault(err):
		return abortedByClient
	default:
		return abortedByUpstream
	}
}

// outcome is how a request ended.
type outcome struct {
	code           int
	aborted        abortion // empty if the response was complete
	left           bool     // it is in flight no longer: only its client still reads
	received, sent int64    // bytes of content
}

// counts are what is counted of a revision. The pool's mutex guards them: a request takes that anyway, and looks up no label.
type counts struct {
	started  uint64
	retries  uint64
	inFlight meter // held and running
	open     int   // requests that have not ended, whether they are in flight yet or not
	codes    map[int]uint64
	aborted  map[abortion]uint64
	received uint64 // bytes of content
	sent     uint64
}

func newCounts() counts {
	return counts{codes: make(map[int]uint64), aborted: make(map[abortion]uint64)}
}

// begin counts a request that came, whether it is held or not.
func (c *counts) begin(now time.Time) {
	c.started++
	c.open++
	c.inFlight.add(now, 1)
}

// end counts a request that ended.
func (c *counts) end(now time.Time, o outcome) {
	c.open--
	if !o.left {
		c.inFlight.add(now, -1)
	}
	c.codes[o.code]++
	c.received += uint64(o.received)
	c.sent += uint64(o.sent)
	if o.aborted != "" {
		c.aborted[o.aborted]++
	}
}

// adopt counts a request that came to another gateway.
func (c *counts) adopt(now time.Time) {
	c.open++
	c.inFlight.add(now, 1)
}

// leave counts a request that is in flight no longer and goes on in another gateway.
func (c *counts) leave() { c.open-- }

// meter is a number that changes over time, and its integral. Its owner locks it.
type meter struct {
	n     int
	since time.Time
	sum   float64
}

func (m *meter) add(now time.Time, delta int) {
	m.sum = m.integral(now)
	m.since = now
	m.n += delta
}

// integral is ∫ n dt up to now, in seconds.
func (m *meter) integral(now time.Time) float64 {
	if m.n == 0 {
		return m.sum
	}
	return m.sum + float64(m.n)*now.Sub(m.since).Seconds()
}
