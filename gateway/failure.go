package gateway

import "github.com/fnctl/fnctl/platform"

// failed takes note that no instance of a revision can start: who waits for one is told why, and who comes is. The instances
// are asked all the same while somebody comes, so that the first one that can start ends it.
func (f *fleet) failed(id platform.RevisionID, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pool(id).fail(cannotStart(id.Function, reason)) // it may be told before the route is
}

// recovered takes note that the instances of a revision can start again, or may.
func (f *fleet) recovered(id platform.RevisionID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pools[id]; p != nil {
		p.fail(nil)
	}
}

func (p *pool) fail(why *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = why
	if why != nil && p.count(ready) == 0 {
		p.refuse(why)
	}
}
