package gateway

import "time"

// abortion says why a request ended before its response was complete.
type abortion string

const (
	abortedByClient   abortion = "client"
	abortedByTimeout  abortion = "timeout"
	abortedByUpstream abortion = "upstream"
	abortedByShutdown abortion = "shutdown"
)

// counts is what is counted of a revision. The pool's mutex guards it: a request takes that anyway, and looks up no label.
type counts struct {
	started  uint64
	retries  uint64
	inFlight meter // held and running
	codes    map[int]uint64
	aborted  map[abortion]uint64
	received uint64 // bytes of content
	sent     uint64
}

func newCounts() counts {
	return counts{codes: make(map[int]uint64), aborted: make(map[abortion]uint64)}
}

// arrive counts a request that came, whether it is held or not.
func (p *pool) arrive(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touch(now)
	p.started++
	p.inFlight.add(now, 1)
}

// depart counts a request that went to another revision.
func (p *pool) depart(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touch(now)
	p.inFlight.add(now, -1)
}

// finish counts a request that ended with a status code, and why it broke off if it did.
func (p *pool) finish(now time.Time, x *exchange, why abortion) {
	received := x.receive(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touch(now)
	p.inFlight.add(now, -1)
	p.codes[x.code]++
	p.received += uint64(received)
	p.sent += uint64(x.sent)
	if why != "" {
		p.aborted[why]++
	}
}

func (p *pool) retried() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retries++
}
