package gateway

import "time"

// updatePredecessor takes over what a predecessor has left of the revision.
func (p *pool) updatePredecessor(from predecessor, l load) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.counts.inFlight.add(now, p.peers.update(from, l))
	p.recount(now)
}

// ackDepartures notes that a predecessor has seen what departed, up to a number.
func (p *pool) ackDepartures(from predecessor, number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers.ack(from, number)
	p.recount(time.Now())
}

// dropPredecessor forgets a predecessor that has ended.
func (p *pool) dropPredecessor(from predecessor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.counts.inFlight.add(now, p.peers.drop(from))
	p.recount(now)
}

// recount makes the numbers of the instances those of all predecessors.
func (p *pool) recount(now time.Time) {
	p.markActive(now)
	p.peers.recount(p.instances)
	p.dispatch(now)
}

// setLender makes a successor the one that lends the instances, or this gateway again, with nil.
func (p *pool) setLender(by lender) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers.lender, p.peers.slots = by, 0
	p.dispatch(time.Now())
}

// useSlot uses what the lender allows: the oldest request goes first.
func (p *pool) useSlot(index int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers.slots++
	if l := p.peers.asking(); l != nil {
		p.peers.lend(l, index, p.instances)
		return
	}
	if inst := p.instances.current(index); inst != nil && p.waiters.Len() > 0 {
		p.serve(inst, time.Now())
	}
}

// adopt lends an instance to a tunnel that a predecessor has handed over, and counts that; nil: there is no such instance. It runs
// there already, whatever the limit is.
func (p *pool) adopt(index int) *lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	inst := p.instances.current(index)
	if inst == nil || p.peers.missDeparture(index) {
		return nil
	}
	now := time.Now()
	p.markActive(now)
	p.counts.adopt(now)
	return newLease(p, inst, nil, now)
}

// leave counts a request no more that counts in another gateway, and whose lease was the last.
func (p *pool) leave(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.markActive(now)
	p.counts.leave()
	if by := p.peers.lender; by != nil {
		by.notify()
	}
}

// load is what a successor has to know.
func (p *pool) load() load {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := load{
		Revision: p.name, InFlight: p.counts.inFlight.n, Queued: p.waiters.Len() + p.peers.queued(),
		Instances: p.loads().byIndex(), Unread: p.unread(), Asks: p.peers.asks(), Granted: p.peers.slots,
		Resting: p.resting(),
	}
	if p.lendsThroughSuccessor() {
		l.Asks += p.waiters.Len()
	}
	return l
}
