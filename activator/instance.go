package activator

import (
	"cmp"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// instance is what the activator knows of one instance. Its state is read from systemd at every tick and never
// remembered, so that a restarted activator takes over what runs.
type instance struct {
	id              platform.InstanceID
	socket, service platform.UnitStatus
	// proved tells that the instance has accepted a connection since its service was started.
	proved bool
	// load is nil while the gateway doesn't know the instance.
	load *InstanceLoad
	// failures counts the starts in a row that didn't lead to a ready instance; notBefore is when to try again.
	failures  int
	notBefore time.Time
}

func (i *instance) state() platform.InstanceState {
	return platform.StateOf(i.socket, i.service, i.proved)
}

// idle tells whether the gateway has seen the socket go and has nothing left on the instance.
func (i *instance) idle() bool {
	return i.load == nil || i.load.Draining && i.load.InFlight == 0
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

// free is the lowest index of which nothing is left: a socket can't be started while its service still runs.
func (f fleet) free() int {
	for index := 1; ; index++ {
		if i := f[index]; i == nil || i.state() == "" {
			return index
		}
	}
}
