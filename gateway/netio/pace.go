package netio

import (
	"sync"
	"time"
)

// Rate is the least rate of a client.
type Rate struct {
	Least int64         // bytes per second; 0: there is none
	Over  time.Duration // for how long a client may be slower, as when it moves nothing
}

// Pace sees whether a client keeps up a rate. Only the time counts in which the client is waited for: it uses up an allowance, Rate.Over
// at first, to which each byte adds as long as it may take, but never beyond that. So a client that moves nothing is too slow after
// Rate.Over, one that is half as fast as the rate after twice that, and one that keeps it up never. A nil Pace does nothing.
type Pace struct {
	rate    Rate
	moved   func() int64
	tooSlow func()

	mu      sync.Mutex
	left    time.Duration // of the allowance
	last    int64         // what had moved at the last look
	since   time.Time     // of waiting, or of the last look at that; zero: the client is not waited for
	armed   bool          // the timer runs. It never ends too late: the allowance shrinks no faster than time passes
	stopped bool
}

// NewPace returns nil if there is no rate. moved is how many bytes have moved so far; tooSlow is called once at most, and neither after
// Stop.
func NewPace(rate Rate, moved func() int64, tooSlow func()) *Pace {
	if rate.Least <= 0 {
		return nil
	}
	return &Pace{rate: rate, moved: moved, tooSlow: tooSlow, left: rate.Over, last: moved()}
}

// Wait says that the client is waited for from now on.
func (p *Pace) Wait() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || !p.since.IsZero() {
		return
	}
	p.since = time.Now()
	p.arm()
}

// Go says that the client is not waited for any more.
func (p *Pace) Go() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.since.IsZero() {
		return
	}
	p.look()
	p.since = time.Time{}
}

// Stop ends the watch: tooSlow does not run, and is not called any more.
func (p *Pace) Stop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
}

// arm has check called when the allowance may be used up. The mutex is held.
func (p *Pace) arm() {
	if !p.armed {
		p.armed = true
		time.AfterFunc(max(p.left, time.Millisecond), p.check)
	}
}

func (p *Pace) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	if p.stopped || p.since.IsZero() {
		return // the next wait arms it
	}
	if p.look(); p.left > 0 {
		p.arm()
		return
	}
	p.stopped = true
	p.tooSlow()
}

// look brings the allowance up to date. The mutex is held.
func (p *Pace) look() {
	now, moved := time.Now(), p.moved()
	earned := float64(moved-p.last) / float64(p.rate.Least) * float64(time.Second)
	p.left -= now.Sub(p.since)
	p.left = min(p.rate.Over, p.left+time.Duration(min(earned, float64(2*p.rate.Over))))
	p.since, p.last = now, moved
}
