package activator

import (
	"cmp"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// instance is what the activator knows of one instance. Its state is systemd's; the rest may be lost without harm, so that a
// restarted activator takes over the instances that run.
type instance struct {
	id              platform.InstanceID
	socket, service platform.UnitStatus
	// proved is true if the instance has accepted a connection since its service was started.
	proved bool
	// startingSince is when the service was seen to run, or its proof has expired.
	startingSince time.Time
	// drainingSince is when the socket was seen to have gone, while the service went on.
	drainingSince time.Time
	// socketLost is true if the socket listens and its file is gone, so that no client can connect.
	socketLost bool
	// unread is true if the instance was never ready and is to be replaced: no request is lost with it.
	unread bool
	// replaceReason is why the instance is to be replaced, "" if it isn't; it stays so until the instance is gone.
	replaceReason string
	// allowedFailures is after how many failures in a row it is; 0 means minAllowedFailures.
	allowedFailures int
	// load is what the gateway reports of the instance, nil if it doesn't know it.
	load *InstanceLoad
	startHistory
	probeHistory
	background background
	rest       rest
	// poised is true while the instance waits in its sandbox, or is about to; waiter is the process that was last seen there, 0 if none was.
	poised bool
	waiter int
}

// update takes over the state of one of the two units and reports whether it is another one.
func (i *instance) update(kind string, unit platform.UnitStatus, now time.Time) (changed bool) {
	before := i.stage()
	wasThere := !i.service.Gone()
	mine := &i.socket
	if kind == "service" {
		mine = &i.service
	}
	if mine.Active == unit.Active && mine.Sub == unit.Sub {
		return false
	}
	// systemd reports a service that failed in an earlier life of the instance once more before it is started.
	old := kind == "service" && mine.Active == "" && unit.Active == "failed"
	*mine = unit
	if kind == "socket" && unit.Active != "active" {
		i.socketLost = false
	}
	if kind == "socket" && unit.Active == "active" {
		i.armed()
	}
	// A service that has ended has to be proved anew when it runs again.
	i.proved = i.proved && i.service.Running()
	if !i.service.Running() {
		i.rest = rest{}
	}
	if i.service.Gone() && wasThere { // one that ends while it waits has not failed, unless systemd says so
		i.poised, i.waiter = false, 0
	}
	switch after := i.stage(); {
	case after == before || old:
	case after == platform.Failed && i.wasReady:
		i.crashed(now)
	case after == platform.Failed:
		i.failed(now)
		i.started = i.started || kind == "service"
	case after == platform.Draining:
		i.drainingSince = now
		i.background.watchAgain(now)
	case after == platform.Starting:
		i.begin(now)
	}
	return true
}

// begin takes note that the app starts.
func (i *instance) begin(now time.Time) {
	i.poised, i.waiter = false, 0
	i.startingSince, i.probeHistory, i.background, i.started = now, probeHistory{}, background{}, true
}

// inherit takes over an instance that the activator has not started. If it runs, it may have been ready already; its earlier
// failures are unknown.
func (i *instance) inherit(now time.Time) {
	i.wasReady = i.service.Running() && !i.poised
	i.startHistory, i.startingSince = startHistory{}, now
}

// inheritRest takes over that the instance is in standby, for which it must have been ready.
func (i *instance) inheritRest(group platform.Cgroup) {
	if i.rest.marked && group.Sleeper().IsFrozen() {
		i.rest.frozen, i.proved = true, true
	}
}

// works reports whether the instance, which was ready, works without a request, or may, and is allowed to. The processor time of one
// that has closed its socket is no sign of work: it may wait for that in a loop.
func (i *instance) works(config platform.Config, now time.Time) bool {
	works := i.background.works(time.Duration(config.BackgroundTimeout), now)
	return i.wasReady && works && (i.refusals < maxRefusals || i.background.locked)
}

// repairable reports whether the socket has failed and can be made to listen again.
func (i *instance) repairable() bool {
	return i.replaceReason == "" && i.socket.Active == "failed" && i.service.Gone()
}

// listens reports whether a request can wait at the instance.
func (i *instance) listens() bool { return i.socket.Active == "active" && !i.socketLost }

// listensAwake reports whether a request can wait at the instance, and nobody has to wake it.
func (i *instance) listensAwake() bool { return i.listens() && !i.rest.frozen }

// isDeaf reports whether the gateway has found that the instance does not read.
func (i *instance) isDeaf() bool { return i.load != nil && i.load.Deaf }

// stage is where the instance stands in its life, as far as systemd can know. The empty state means that nothing of it is
// left.
func (i *instance) stage() platform.InstanceState {
	return platform.StateOf(i.socket, i.service, platform.Seen{Proved: i.proved, Poised: i.poised})
}

// state is the stage, or what else was found: that the instance is deaf, or frozen.
func (i *instance) state() platform.InstanceState {
	return platform.StateOf(i.socket, i.service, platform.Seen{Proved: i.proved, Deaf: i.isDeaf(), Frozen: i.rest.frozen, Poised: i.poised})
}

// forgettable reports whether nothing is left of the instance, and its history doesn't count any more.
func (i *instance) forgettable(now time.Time) bool {
	return i.state() == "" && !now.Before(i.notBefore)
}

// drained reports whether the gateway, as of some time, had seen the socket go and had no request left on the instance.
func (i *instance) drained(asOf time.Time) bool {
	return asOf.After(i.drainingSince) && (i.load == nil || i.load.Draining && i.load.InFlight == 0)
}

// isLossless reports whether nothing is lost if the instance is killed: there are requests, and it has read none of them. A stream
// that is open on it is something, however quiet it is.
func (i *instance) isLossless() bool {
	return i.unread || i.load != nil && i.load.InFlight > 0 && i.load.Unread >= i.load.InFlight
}

// isWedged reports whether a draining instance that has stopped reading has had its time of grace: what it has read is lost with it.
func (i *instance) isWedged(config platform.Config, now time.Time) bool {
	return i.load != nil && i.load.Unread > 0 && !now.Before(i.drainingSince.Add(time.Duration(config.DrainGrace)))
}

func (i *instance) inFlight() float64 {
	if i.load == nil {
		return 0
	}
	return i.load.InFlight
}

// instances are those of one revision, by index.
type instances map[int]*instance

// in lists the instances in one of some states, by index.
func (s instances) in(states ...platform.InstanceState) []*instance {
	var found []*instance
	for _, i := range s {
		if slices.Contains(states, i.state()) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b *instance) int { return a.id.Index - b.id.Index })
	return found
}

// count counts the instances in a state.
func (s instances) count(state platform.InstanceState) int {
	n := 0
	for _, i := range s {
		if i.state() == state {
			n++
		}
	}
	return n
}

// listens reports whether a request can wait at one of the instances.
func (s instances) listens() bool {
	for _, i := range s {
		if i.listens() {
			return true
		}
	}
	return false
}

// run reports whether the service of one of the instances runs, or is about to end.
func (s instances) run() bool {
	for _, i := range s {
		if !i.service.Gone() {
			return true
		}
	}
	return false
}

// hasOther reports whether a condition holds for an instance besides this one that is not to be replaced.
func (s instances) hasOther(this *instance, holds func(*instance) bool) bool {
	for _, i := range s {
		if i != this && i.replaceReason == "" && holds(i) {
			return true
		}
	}
	return false
}

// stuck returns the instance that failed last, or nil if another is ready or may become so with its first start.
func (s instances) stuck() *instance {
	var last *instance
	for _, i := range s {
		switch state := i.state(); {
		case state == platform.Draining || state == platform.Deaf:
		case state == platform.Ready || i.failures == 0:
			return nil
		case last == nil || i.failedAt.After(last.failedAt):
			last = i
		}
	}
	return last
}

// prune drops the instances of which nothing is left, once their indexes may be taken again.
func (s instances) prune(busy map[platform.InstanceID]bool, now time.Time) {
	for index, i := range s {
		if i.forgettable(now) && !busy[i.id] {
			delete(s, index)
		}
	}
}

// freeIndex returns the lowest index that can be taken.
func (s instances) freeIndex(now time.Time) int {
	for index := 1; ; index++ {
		if s.isFree(index, now) {
			return index
		}
	}
}

// isFree reports whether an index can be taken: a socket can't be started while its service still runs, and an instance that
// failed a moment ago keeps its index for a while.
func (s instances) isFree(index int, now time.Time) bool {
	i := s[index]
	return i == nil || i.forgettable(now)
}

// withoutReplaced leaves out the instances that are to be replaced. It overwrites the list.
func withoutReplaced(list []*instance) []*instance {
	return slices.DeleteFunc(list, func(i *instance) bool { return i.replaceReason != "" })
}

// splitPoised separates the instances that wait in their sandbox, or are about to, from the others.
func splitPoised(list []*instance) (others, poised []*instance) {
	for _, i := range list {
		if i.poised {
			poised = append(poised, i)
		} else {
			others = append(others, i)
		}
	}
	return others, poised
}

// sortLeastBusyFirst sorts instances by the cost of stopping them: those with the fewest requests first, of these the ones
// that do nothing else either, of these the ones that are not proved, of these the youngest.
func sortLeastBusyFirst(list []*instance, config platform.Config, now time.Time) {
	slices.SortStableFunc(list, func(a, b *instance) int {
		return cmp.Or(
			cmp.Compare(a.inFlight(), b.inFlight()),
			compareBool(a.works(config, now), b.works(config, now)),
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
