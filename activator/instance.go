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
	// hopeless tells that the instance won't come to anything by itself; it stays so until it is gone.
	hopeless bool
	// gone is when the socket was seen to have gone, while the service went on.
	gone time.Time
	// load is what the gateway says of the instance, nil if it doesn't know it.
	load *InstanceLoad
	// patience is how many failures in a row are borne; 0 means minPatience.
	patience int
	// failures counts the starts in a row that didn't lead to a ready instance; notBefore is when to try again.
	failures  int
	notBefore time.Time
}

// update takes over the state of one of the two units and says whether it is another one.
func (i *instance) update(kind string, unit platform.UnitStatus, now time.Time) (changed bool) {
	before := i.state()
	mine := &i.socket
	if kind == "service" {
		mine = &i.service
	}
	if mine.Active == unit.Active && mine.Sub == unit.Sub {
		return false
	}
	*mine = unit
	if kind == "socket" && unit.Active != "active" {
		i.lost = false
	}
	// A service that isn't running has to prove itself anew when it is.
	i.proved = i.proved && i.service.Running()
	switch after := i.state(); {
	case after == platform.Failed && before != platform.Failed && i.service.Active != "":
		i.failed(now)
	case after == platform.Draining && before != platform.Draining:
		i.gone = now
	case after == platform.Starting && before != platform.Starting:
		i.since = now
	}
	return true
}

// listens tells whether a request can wait at the instance.
func (i *instance) listens() bool { return i.socket.Active == "active" && !i.lost }

// state is where the instance stands in its life; the empty state means that nothing of it is left.
func (i *instance) state() platform.InstanceState {
	return platform.StateOf(i.socket, i.service, i.proved)
}

// An instance that has failed so often in a row is given up: its copy of the app may be damaged. Each that takes its
// place gets twice as many tries, so that an app which cannot run is not copied again and again.
const (
	minPatience = 2
	maxPatience = 256
)

// broken tells whether the instance has failed too often.
func (i *instance) broken() bool {
	return i.state() == platform.Failed && i.failures >= max(i.patience, minPatience)
}

// successor is the instance that takes the place of a hopeless one.
func (i *instance) successor(index int) *instance {
	return &instance{
		id:       platform.InstanceID{Revision: i.id.Revision, Index: index},
		patience: min(2*max(i.patience, minPatience), maxPatience),
	}
}

// deaf tells whether the instance runs since before some time and has accepted nothing yet.
func (i *instance) deaf(before time.Time) bool {
	return i.state() == platform.Starting && !i.since.IsZero() && i.since.Before(before)
}

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

// hasOther tells whether an instance besides this one, and not hopeless, is in one of some states.
func (f fleet) hasOther(this *instance, states ...platform.InstanceState) bool {
	return slices.ContainsFunc(hopeful(f.in(states...)), func(i *instance) bool { return i != this })
}

func hopeful(instances []*instance) []*instance {
	return slices.DeleteFunc(instances, func(i *instance) bool { return i.hopeless })
}

// free is the lowest index of which nothing is left: a socket can't be started while its service still runs.
func (f fleet) free() int {
	for index := 1; ; index++ {
		if i := f[index]; i == nil || i.state() == "" {
			return index
		}
	}
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
