package activator

import (
	"cmp"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// instance is what the activator knows of one instance. Its state is systemd's; what is remembered besides may be lost
// without harm, so that a restarted activator takes over what runs.
type instance struct {
	id              platform.InstanceID
	socket, service platform.UnitStatus
	// proved tells that the instance has accepted a connection since its service was started.
	proved bool
	// since is when the service was seen to run.
	since time.Time
	// lost tells that the socket listens and its file is gone, so that nobody can connect.
	lost bool
	// hopeless is why the instance won't come to anything by itself; it stays so until it is gone. Empty: it may.
	hopeless string
	// unread tells that the instance reads nothing that is sent to it, so that nothing is lost with it.
	unread bool
	// gone is when the socket was seen to have gone, while the service went on.
	gone time.Time
	// load is what the gateway says of the instance, nil if it doesn't know it.
	load *InstanceLoad
	// patience is how many failures in a row are borne; 0 means minPatience.
	patience int
	tries
	proofs
}

// update takes over the state of one of the two units and says whether it is another one.
func (i *instance) update(kind string, unit platform.UnitStatus, now time.Time) (changed bool) {
	before := i.stage()
	mine := &i.socket
	if kind == "service" {
		mine = &i.service
	}
	if mine.Active == unit.Active && mine.Sub == unit.Sub {
		return false
	}
	// A service that failed in an earlier life of the instance is told of once more before it is started.
	old := kind == "service" && mine.Active == "" && unit.Active == "failed"
	*mine = unit
	if kind == "socket" && unit.Active != "active" {
		i.lost = false
	}
	if kind == "socket" && unit.Active == "active" {
		i.armed()
	}
	// A service that isn't running has to prove itself anew when it is.
	i.proved = i.proved && i.service.Running()
	switch after := i.stage(); {
	case after == before || old:
	case after == platform.Failed && i.served:
		i.crashed(now)
	case after == platform.Failed:
		i.failed(now)
		i.started = i.started || kind == "service"
	case after == platform.Draining:
		i.gone = now
	case after == platform.Starting:
		i.since, i.proofs, i.started = now, proofs{}, true
	}
	return true
}

// inherit takes over an instance that somebody else has started. If it runs, it may be proved already, and what happened to
// it before is not known.
func (i *instance) inherit() {
	i.served = i.service.Running()
	i.tries = tries{}
}

// repairable tells whether the socket has failed and can be made to listen again.
func (i *instance) repairable() bool {
	return i.hopeless == "" && i.socket.Active == "failed" && i.service.Gone()
}

// listens tells whether a request can wait at the instance.
func (i *instance) listens() bool { return i.socket.Active == "active" && !i.lost }

// stage is where the instance stands in its life, as far as systemd can tell. The empty state means that nothing of it is
// left.
func (i *instance) stage() platform.InstanceState {
	return platform.StateOf(i.socket, i.service, i.proved)
}

// state is the stage, or deaf if the gateway says so.
func (i *instance) state() platform.InstanceState {
	stage := i.stage()
	if i.load != nil && i.load.Deaf && (stage == platform.Ready || stage == platform.Starting) {
		return platform.Deaf
	}
	return stage
}

// over tells whether nothing is left of the instance, and nothing is to be remembered of it.
func (i *instance) over(now time.Time) bool { return i.state() == "" && !now.Before(i.notBefore) }

// idle tells whether the gateway, asked at some time, had seen the socket go and had nothing left on the instance.
func (i *instance) idle(asked time.Time) bool {
	return asked.After(i.gone) && (i.load == nil || i.load.Draining && i.load.InFlight == 0)
}

func (i *instance) inFlight() float64 {
	if i.load == nil {
		return 0
	}
	return i.load.InFlight
}

// fleet is the instances of one revision by index.
type fleet map[int]*instance

// in lists the instances in one of some states, by index.
func (f fleet) in(states ...platform.InstanceState) []*instance {
	var found []*instance
	for _, i := range f {
		if slices.Contains(states, i.state()) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b *instance) int { return a.id.Index - b.id.Index })
	return found
}

// count counts the instances in a state.
func (f fleet) count(state platform.InstanceState) int {
	n := 0
	for _, i := range f {
		if i.state() == state {
			n++
		}
	}
	return n
}

// listens tells whether a request can wait at one of the instances.
func (f fleet) listens() bool {
	for _, i := range f {
		if i.listens() {
			return true
		}
	}
	return false
}

// hasOther tells whether a condition holds for an instance besides this one that is not hopeless.
func (f fleet) hasOther(this *instance, holds func(*instance) bool) bool {
	for _, i := range f {
		if i != this && i.hopeless == "" && holds(i) {
			return true
		}
	}
	return false
}

func hopeful(instances []*instance) []*instance {
	return slices.DeleteFunc(instances, func(i *instance) bool { return i.hopeless != "" })
}

// prune forgets the indexes of which nothing is left, once they may be taken again.
func (f fleet) prune(busy map[platform.InstanceID]bool, now time.Time) {
	for index, i := range f {
		if i.over(now) && !busy[i.id] {
			delete(f, index)
		}
	}
}

// free is the lowest index that can be taken.
func (f fleet) free(now time.Time) int {
	for index := 1; ; index++ {
		if f.takes(index, now) {
			return index
		}
	}
}

// takes tells whether nothing is left of an index, since a socket can't be started while its service still runs, and that
// it did not fail a moment ago.
func (f fleet) takes(index int, now time.Time) bool {
	i := f[index]
	return i == nil || i.over(now)
}

// leastBusy orders instances by what stopping them would cost: those that serve nothing first, those that are not ready
// before those that are, the youngest first.
func leastBusy(instances []*instance) {
	slices.SortStableFunc(instances, func(a, b *instance) int {
		return cmp.Or(
			cmp.Compare(a.inFlight(), b.inFlight()),
			compareBool(a.proved, b.proved),
			cmp.Compare(b.id.Index, a.id.Index),
		)
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
