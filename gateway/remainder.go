package gateway

import (
	"maps"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// remainder is what a predecessor has left of a revision. It finishes that itself, and it counts here: the activator must
// not take the instances for idle, and they take no more than their limit from all gateways together.
type remainder struct {
	from     *predecessor
	load     load
	lent     []int          // instances that were granted to it, and that it does not count yet
	departed map[int]uint64 // instances of which it may not have seen yet that they are gone, by index
}

// isEmpty says whether nothing is left, so that it can be forgotten.
func (r *remainder) isEmpty() bool {
	return r.load.isEmpty() && len(r.lent) == 0 && len(r.departed) == 0
}

func (l *load) isEmpty() bool { return l.InFlight == 0 && l.Queued == 0 && len(l.Instances) == 0 }

// asks is how many more grants it needs.
func (r *remainder) asks() int { return r.load.Asks - len(r.lent) }

// remain takes over what a predecessor has left now.
func (p *pool) remain(from *predecessor, l load) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	r := p.remainder(from)
	p.inFlight.add(now, l.InFlight-r.load.InFlight)
	for ; r.load.Granted < l.Granted && len(r.lent) > 0; r.load.Granted++ {
		r.lent = r.lent[1:] // it counts that itself now
	}
	r.load = l
	p.reckon(now)
}

// seen notes that a predecessor has seen what departed up to a number.
func (p *pool) seen(from *predecessor, number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.remainder(from).departed, func(_ int, n uint64) bool { return n <= number })
	p.reckon(time.Now())
}

// settle forgets a predecessor that has ended.
func (p *pool) settle(from *predecessor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.remainder(from)
	now := time.Now()
	p.inFlight.add(now, -r.load.InFlight)
	r.load, r.lent, r.departed = load{}, nil, nil
	p.reckon(now)
}

func (p *pool) remainder(from *predecessor) *remainder {
	for _, r := range p.remainders {
		if r.from == from {
			return r
		}
	}
	r := &remainder{from: from, departed: make(map[int]uint64)}
	p.remainders = append(p.remainders, r)
	return r
}

// departed asks all predecessors to look, too, that an instance is gone. One may have sent a request there meanwhile.
func (p *pool) departed(inst *instance) {
	for _, from := range p.predecessors.list() {
		if number, ok := from.departed(inst.id); ok {
			p.remainder(from).departed[inst.id.Index] = number
		}
	}
}

// reckon makes the numbers of the instances those of all remainders.
func (p *pool) reckon(now time.Time) {
	p.touch(now)
	p.remainders = slices.DeleteFunc(p.remainders, (*remainder).isEmpty)
	p.elsewhere = make(map[int]int)
	for _, r := range p.remainders {
		for index, n := range r.load.Instances {
			p.elsewhere[index] += n
		}
		for _, index := range r.lent {
			p.elsewhere[index]++
		}
	}
	for _, inst := range p.instances {
		inst.elsewhere = 0
		if inst.state != draining {
			inst.elsewhere = p.elsewhere[inst.id.Index]
		}
	}
	p.dispatch(now)
}

// asking is a predecessor that needs an instance, nil if there is none.
func (p *pool) asking() *remainder {
	for _, r := range p.remainders {
		if r.asks() > 0 {
			return r
		}
	}
	return nil
}

// wanted says whether somebody waits for an instance.
func (p *pool) wanted() bool { return p.waiters.Len() > 0 || p.asking() != nil }

// grant lends an instance to a predecessor.
func (p *pool) grant(r *remainder, index int) {
	r.lent = append(r.lent, index)
	p.elsewhere[index]++
	for _, inst := range p.instances {
		if inst.id.Index == index && inst.state != draining {
			inst.elsewhere++
		}
	}
	r.from.grant(platform.InstanceID{Revision: p.revision, Index: index})
}

// granted uses what the successor allows: the oldest request goes first.
func (p *pool) granted(index int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants++
	if r := p.asking(); r != nil {
		p.grant(r, index)
		return
	}
	for _, inst := range p.instances {
		if inst.id.Index == index && inst.state != draining && p.waiters.Len() > 0 {
			p.serve(inst, time.Now())
			return
		}
	}
}

// isGoverned says whether it is the successor that lends the instances.
func (p *pool) isGoverned() bool { return p.governor != nil && p.limits.concurrency > 0 }

// govern makes a successor the one that lends the instances, if there is one.
func (p *pool) govern(by *successor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.governor, p.grants = by, 0
	p.dispatch(time.Now())
}

// stir tells the successor soon what has changed.
func (p *pool) stir() {
	if p.isGoverned() {
		p.governor.stir()
	}
}

// left is what a successor has to know.
func (p *pool) left() load {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := load{Revision: p.name, InFlight: p.inFlight.n, Queued: p.queued(), Granted: p.grants}
	for key, n := range p.byInstance() {
		if n > 0 {
			if l.Instances == nil {
				l.Instances = make(map[int]int)
			}
			l.Instances[key.index] += n
		}
	}
	if p.isGoverned() {
		l.Asks = p.waiters.Len()
	}
	for _, r := range p.remainders {
		l.Asks += r.asks()
	}
	return l
}

// queued is how many requests wait here and elsewhere.
func (p *pool) queued() int {
	n := p.waiters.Len()
	for _, r := range p.remainders {
		n += r.load.Queued
	}
	return n
}

// addElsewhere adds what runs on instances for predecessors. Of one that is gone nobody knows what it still has until all of
// them have seen that.
func (p *pool) addElsewhere(sums map[instanceKey]int) {
	known := make(map[int]bool, len(p.instances))
	for _, inst := range p.instances {
		if inst.state != draining {
			known[inst.id.Index] = true
		}
	}
	for index, n := range p.elsewhere {
		if !known[index] {
			sums[instanceKey{index: index, state: draining.label()}] += n
		}
	}
	for _, r := range p.remainders {
		for index := range r.departed {
			sums[instanceKey{index: index, state: draining.label()}]++
		}
	}
}
