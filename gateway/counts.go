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

// counts are what is counted of a revision, and when something happened last there. The pool's mutex guards them: a request takes that
// anyway, and looks up no label.
type counts struct {
	pool   *pool
	active time.Time // when a request came or ended, or the instances became other ones
	listed bool      // the pool is among the recent ones

	started  uint64
	retries  uint64
	inFlight meter // held and running
	open     int   // requests that have not ended, whether they are in flight yet or not
	codes    map[int]uint64
	aborted  map[abortion]uint64
	received uint64 // bytes of content
	sent     uint64
}

func newCounts(p *pool) counts {
	return counts{pool: p, codes: make(map[int]uint64), aborted: make(map[abortion]uint64)}
}

// begin counts a request that came, whether it is held or not.
func (c *counts) begin(now time.Time) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.markActive(now)
	c.started++
	c.open++
	c.inFlight.add(now, 1)
}

// pin keeps the pool, with 1, for a request that is not counted yet, and with -1 no longer.
func (c *counts) pin(delta int) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.open += delta
}

// reroute counts a request that went to another revision.
func (c *counts) reroute(now time.Time) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.markActive(now)
	c.inFlight.add(now, -1)
	c.open--
}

// retry counts a request that is sent again.
func (c *counts) retry() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.retries++
}

// end counts a request that ended.
func (c *counts) end(now time.Time, o outcome) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.markActive(now)
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

// adopt counts a request that came to another gateway. The mutex is held.
func (c *counts) adopt(now time.Time) {
	c.markActive(now)
	c.open++
	c.inFlight.add(now, 1)
}

// leave counts a request that is in flight no longer and goes on in another gateway. The mutex is held.
func (c *counts) leave(now time.Time) {
	c.markActive(now)
	c.open--
}

// markActive notes that something happened to the pool. The mutex is held.
func (c *counts) markActive(now time.Time) {
	c.active = now
	if !c.listed {
		c.listed = true
		c.pool.env.recent.add(c.pool)
	}
}

// isActive reports whether the pool has requests in flight or was active since a time. A pool that was not for long is no
// longer among the recent ones. The mutex is held.
func (c *counts) isActive(now, since time.Time) bool {
	idle := c.inFlight.n == 0
	if idle && now.Sub(c.active) > maxRecent {
		c.listed = false
		c.pool.env.recent.remove(c.pool)
	}
	return !idle || !c.active.Before(since)
}

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
