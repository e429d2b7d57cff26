package activator

import (
	"context"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// undrained are the states of an instance that takes requests, or may again.
var undrained = []platform.InstanceState{platform.Armed, platform.Starting, platform.Ready, platform.Deaf, platform.Failed}

// steer brings the instances of a revision one step nearer to what is wanted.
func (a *Activator) steer(ctx context.Context, rev *revision, now time.Time) {
	rev.refused = 0
	rev.fleet.prune(a.busy, now)
	a.finishDrains(ctx, rev, now)
	if !rev.routed {
		if !a.locked(rev.id.Function) {
			a.drainAll(ctx, rev)
		}
		return
	}
	a.logDecision(rev)
	a.lookCloser(rev, now)
	a.repairSockets(ctx, rev, now)
	a.replaceHopeless(ctx, rev, now)
	for _, i := range rev.fleet {
		a.proveStarted(ctx, i, now)
	}
	a.scale(ctx, rev, now)
}

// finishDrains stops the draining instances that have nothing left to do, or no time left to do it.
func (a *Activator) finishDrains(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.fleet.in(platform.Draining) {
		if a.busy[i.id] || now.Before(i.notBefore) {
			continue
		}
		switch {
		case i.unread || i.load != nil && i.load.Deaf:
			a.kill(ctx, i.id)
		case rev.seen && i.idle(rev.asked) || a.overdue(ctx, rev, i, now):
			a.stop(ctx, i.id)
		}
	}
}

// overdue tells whether an instance has drained for longer than any request may take. systemd knows since when, also if
// the activator was restarted meanwhile.
func (a *Activator) overdue(ctx context.Context, rev *revision, i *instance, now time.Time) bool {
	if now.Before(i.gone.Add(rev.config.Timeout + drainGrace)) {
		return false
	}
	since, err := a.units.InactiveSince(ctx, i.id.Socket())
	if err != nil {
		a.log.Warn("ask since when the instance drains", "instance", i.id.String(), "err", err)
		return false
	}
	return !since.IsZero() && now.After(since.Add(rev.config.Timeout+drainGrace))
}

func (a *Activator) drainAll(ctx context.Context, rev *revision) {
	for _, i := range rev.fleet.in(undrained...) {
		if !a.busy[i.id] {
			a.drain(ctx, i.id)
		}
	}
}

// lookCloser doubts what is known of the instances while requests wait.
func (a *Activator) lookCloser(rev *revision, now time.Time) {
	waiting := rev.seen && rev.present && rev.load.Queued > 0
	for _, i := range rev.fleet {
		i.doubt(waiting, now)
	}
	if waiting {
		a.findLostOf(rev.fleet)
	}
}

// repairSockets restores the invariant that a revision with a route has a listening socket.
func (a *Activator) repairSockets(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.fleet.in(platform.Failed) {
		due := rev.arming.failures == 1 || !now.Before(i.notBefore)
		if due && i.repairable() && !a.busy[i.id] {
			a.repair(ctx, i.id)
		}
	}
	if len(rev.fleet.in(undrained...)) == 0 {
		a.armNext(ctx, rev, now)
	}
}

// replaceHopeless replaces the instances that won't come to anything by themselves, each by one with a new socket and a
// new copy of the app. The new one is armed first.
func (a *Activator) replaceHopeless(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.fleet.in(undrained...) {
		if a.busy[i.id] {
			continue
		}
		if why := i.despair(rev.config, now); why != "" {
			a.giveUp(i, why)
		}
		if i.hopeless != "" {
			a.replace(ctx, rev, i, now)
		}
	}
}

// giveUp takes note that an instance is to be replaced.
func (a *Activator) giveUp(i *instance, why string) {
	i.hopeless = why
	id := i.id.Revision
	a.log.Warn("instance: replace", "event", "replace", "function", id.Function, "revision", id.String(), "instance", i.id.String(), "why", why)
}

func (a *Activator) replace(ctx context.Context, rev *revision, i *instance, now time.Time) {
	coming := func(other *instance) bool { return a.busy[other.id] || other.state() == platform.Failed }
	switch {
	case rev.fleet.hasOther(i, (*instance).listens):
		a.drain(ctx, i.id)
	case rev.fleet.hasOther(i, coming) || !rev.arming.allowed(now):
	default:
		next := i.successor(rev.fleet.free(now))
		rev.fleet[next.id.Index] = next
		a.arm(ctx, next.id)
	}
}

func (a *Activator) armNext(ctx context.Context, rev *revision, now time.Time) {
	id := platform.InstanceID{Revision: rev.id, Index: rev.fleet.free(now)}
	if !a.busy[id] && rev.arming.allowed(now) {
		a.arm(ctx, id)
	}
}

func (a *Activator) proveStarted(ctx context.Context, i *instance, now time.Time) {
	if !a.proving[i.id] && i.provable(now) {
		a.prove(ctx, i.id)
	}
}

// scale starts what is missing and drains what is too much.
func (a *Activator) scale(ctx context.Context, rev *revision, now time.Time) {
	running := hopeful(rev.fleet.in(platform.Starting, platform.Ready))
	standby := hopeful(rev.fleet.in(platform.Armed, platform.Failed))
	switch want := rev.decision.Desired; {
	case len(running) < want:
		a.startMore(ctx, rev, standby, want-len(running), now)
	case len(running) > want && want == 0 && !slices.ContainsFunc(standby, (*instance).listens):
		// The next request must have somewhere to wait before the last instance goes.
		a.armNext(ctx, rev, now)
	case len(running) > want:
		leastBusy(running)
		a.drainSome(ctx, running[:len(running)-want])
	case want > 0:
		// What is armed beside running instances would be started by the next request for nothing.
		a.drainSome(ctx, standby)
	case len(standby) > 1:
		a.drainSome(ctx, standby[1:])
	}
}

// startMore starts n instances: first those that are armed, then new ones, as far as the host has room. What a pending
// action already does is counted.
func (a *Activator) startMore(ctx context.Context, rev *revision, standby []*instance, n int, now time.Time) {
	expected := int64(-1)
	for _, id := range a.candidates(rev, standby, n, now) {
		i := rev.fleet[id.Index]
		if a.busy[id] || i != nil && (now.Before(i.notBefore) || !i.service.Gone()) || !rev.arming.allowed(now) {
			continue
		}
		if expected < 0 {
			expected = rev.usage.expected(a.paths, rev.slice, rev.fleet.in(platform.Ready))
		}
		switch {
		case !a.host.admit(id, expected):
			rev.refused++
		case a.host.busy():
			a.host.settle(id) // its turn comes when others have started
		default:
			a.start(ctx, id)
		}
	}
	if rev.refused > 0 {
		a.metrics.refused.Add(float64(rev.refused))
	}
}

// candidates names the n instances that are next to run.
func (a *Activator) candidates(rev *revision, standby []*instance, n int, now time.Time) []platform.InstanceID {
	ids := make([]platform.InstanceID, 0, n)
	for _, i := range standby {
		if len(ids) < n {
			ids = append(ids, i.id)
		}
	}
	for index := 1; len(ids) < n; index++ {
		if rev.fleet.takes(index, now) {
			ids = append(ids, platform.InstanceID{Revision: rev.id, Index: index})
		}
	}
	return ids
}

// drainSome waits while a command changes the function: it may have started some that are to take the place of others.
func (a *Activator) drainSome(ctx context.Context, instances []*instance) {
	if len(instances) == 0 || a.locked(instances[0].id.Revision.Function) {
		return
	}
	for _, i := range instances {
		if !a.busy[i.id] {
			a.drain(ctx, i.id)
		}
	}
}

// logDecision logs a decision when it differs from the last one.
func (a *Activator) logDecision(rev *revision) {
	if rev.decision.Desired == rev.logged {
		return
	}
	a.metrics.decision(rev.decision)
	a.log.Info("scale", "event", "scale", "function", rev.id.Function, "revision", rev.id.String(),
		"from", rev.logged, "to", rev.decision.Desired, "why", rev.decision.Explain())
	rev.logged = rev.decision.Desired
}
