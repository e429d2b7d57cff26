package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/fnctl/fnctl/platform"
)

// predecessor is a gateway that has handed over and finishes what it has. Its methods do not wait.
type predecessor interface {
	// departed has it note that an instance is gone, and returns the number of that. It reports false if the predecessor has
	// ended.
	departed(id platform.InstanceID) (number uint64, ok bool)
	// lend lets it send one more request to an instance.
	lend(id platform.InstanceID)
	// closeIdle has it close the connections of clients that are idle.
	closeIdle()
	// done is closed when it has ended.
	done() <-chan struct{}
}

// lender is a successor that lends the instances of functions with a limit.
type lender interface {
	// notify has it sent soon what has changed.
	notify()
}

// predecessors are the gateways that have handed over and are not done yet.
type predecessors struct {
	mu  sync.Mutex
	all []predecessor
}

func (s *predecessors) list() []predecessor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *predecessors) add(p predecessor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all[:len(s.all):len(s.all)], p)
}

func (s *predecessors) remove(p predecessor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(slices.Clone(s.all), func(other predecessor) bool { return other == p })
}

// wait waits until the last one has ended, or the context.
func (s *predecessors) wait(ctx context.Context) {
	for _, p := range s.list() {
		select {
		case <-ctx.Done():
		case <-p.done():
		}
	}
}

// closeIdle has them close the connections of clients that are idle.
func (s *predecessors) closeIdle() {
	for _, p := range s.list() {
		p.closeIdle()
	}
}

// peers are the other gateways, as far as they concern one revision. What the predecessors have left counts here: the
// activator must not take the instances for idle, and they take no more than their limit from all gateways together. The
// pool's mutex guards it all.
type peers struct {
	revision     platform.RevisionID
	predecessors *predecessors

	loads             []*predecessorLoad
	inFlightElsewhere map[int]int // requests that run for predecessors, by instance
	lender            lender      // nil unless this gateway is a predecessor
	slots             uint64      // how many the lender has given
}

// predecessorLoad is what a predecessor has left of the revision.
type predecessorLoad struct {
	from     predecessor
	load     load
	lent     []int          // instances that were lent to it, and that it does not count yet
	departed map[int]uint64 // instances of which it may not have seen yet that they are gone, by index
}

// isEmpty reports whether nothing is left, so that it can be forgotten.
func (l *predecessorLoad) isEmpty() bool {
	return l.load.isEmpty() && len(l.lent) == 0 && len(l.departed) == 0
}

// asks is how many more slots it needs.
func (l *predecessorLoad) asks() int { return l.load.Asks - len(l.lent) }

// of returns the load of a predecessor, which is empty if it has none.
func (p *peers) of(from predecessor) *predecessorLoad {
	for _, l := range p.loads {
		if l.from == from {
			return l
		}
	}
	l := &predecessorLoad{from: from, departed: make(map[int]uint64)}
	p.loads = append(p.loads, l)
	return l
}

// update takes over what a predecessor has left now, and returns by how much its requests in flight have changed.
func (p *peers) update(from predecessor, now load) (delta int) {
	l := p.of(from)
	delta = now.InFlight - l.load.InFlight
	for ; l.load.Granted < now.Granted && len(l.lent) > 0; l.load.Granted++ {
		l.lent = l.lent[1:] // it counts that itself now
	}
	l.load = now
	return delta
}

// rests reports whether an instance rests for all predecessors. What one has told may be about an earlier instance.
func (p *peers) rests(index int) bool {
	for _, from := range p.predecessors.list() {
		if l := p.of(from); l.departed[index] > 0 || !slices.Contains(l.load.Resting, index) {
			return false
		}
	}
	return true
}

// ack notes that a predecessor has seen what departed, up to a number.
func (p *peers) ack(from predecessor, number uint64) {
	maps.DeleteFunc(p.of(from).departed, func(_ int, n uint64) bool { return n <= number })
}

// missDeparture reports whether a predecessor may not have seen yet that an instance which had an index is gone.
func (p *peers) missDeparture(index int) bool {
	return slices.ContainsFunc(p.loads, func(l *predecessorLoad) bool { return l.departed[index] > 0 })
}

// drop forgets what a predecessor has left, and returns by how much its requests in flight have changed.
func (p *peers) drop(from predecessor) (delta int) {
	l := p.of(from)
	delta = -l.load.InFlight
	l.load, l.lent, l.departed = load{}, nil, nil
	return delta
}

// departed has all predecessors note, too, that an instance is gone. One may have sent a request there meanwhile.
func (p *peers) departed(id platform.InstanceID) {
	for _, from := range p.predecessors.list() {
		if number, ok := from.departed(id); ok {
			p.of(from).departed[id.Index] = number
		}
	}
}

// recount makes the numbers of the instances those of all predecessors.
func (p *peers) recount(all instances) {
	p.loads = slices.DeleteFunc(p.loads, (*predecessorLoad).isEmpty)
	p.inFlightElsewhere = make(map[int]int)
	for _, l := range p.loads {
		for index, n := range l.load.Instances {
			p.inFlightElsewhere[index] += n
		}
		for _, index := range l.lent {
			p.inFlightElsewhere[index]++
		}
	}
	for _, inst := range all {
		inst.inFlightElsewhere = 0
		if inst.state != draining {
			inst.inFlightElsewhere = p.inFlightElsewhere[inst.id.Index]
		}
	}
}

// asking returns a predecessor that needs an instance; nil if there is none.
func (p *peers) asking() *predecessorLoad {
	for _, l := range p.loads {
		if l.asks() > 0 {
			return l
		}
	}
	return nil
}

// lend gives one slot of an instance to a predecessor.
func (p *peers) lend(to *predecessorLoad, index int, all instances) {
	to.lent = append(to.lent, index)
	p.inFlightElsewhere[index]++
	if inst := all.current(index); inst != nil {
		inst.inFlightElsewhere++
	}
	to.from.lend(platform.InstanceID{Revision: p.revision, Index: index})
}

// asks is how many more slots the predecessors need.
func (p *peers) asks() int {
	n := 0
	for _, l := range p.loads {
		n += l.asks()
	}
	return n
}

// queued is how many requests wait at the predecessors.
func (p *peers) queued() int {
	n := 0
	for _, l := range p.loads {
		n += l.load.Queued
	}
	return n
}

// addTo adds what runs for predecessors on instances that are gone here. What such an instance still has is not known until
// all of them have seen that it is gone.
func (p *peers) addTo(sums instanceLoads, all instances) {
	for index, n := range p.inFlightElsewhere {
		if all.current(index) == nil {
			sums[instanceKey{index: index, state: draining.label()}] += n
		}
	}
	for _, l := range p.loads {
		for index := range l.departed {
			sums[instanceKey{index: index, state: draining.label()}]++
		}
	}
}

// notify has the successor, if there is one, sent soon what has changed.
func (p *peers) notify() {
	if p.lender != nil {
		p.lender.notify()
	}
}

// isEmpty reports whether no other gateway has to do with the revision.
func (p *peers) isEmpty() bool { return len(p.loads) == 0 && p.lender == nil }
