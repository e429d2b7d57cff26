package activator

import (
	"context"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// steer brings the instances of a revision one step nearer to what is wanted.
func (a *Activator) steer(ctx context.Context, rev *revision, now time.Time) {
	rev.refused = 0
	a.finishDrains(ctx, rev, now)
	if !rev.routed {
		if !a.locked(rev.id.Function) {
			a.drainAll(ctx, rev)
		}
		return
	}
	a.logDecision(rev)
	a.repairSockets(ctx, rev, now)
	a.replaceHopeless(ctx, rev, now)
	a.proveStarted(ctx, rev, now)
	a.scale(ctx, rev, now)
}

// finishDrains stops the draining instances that have nothing left to do, or no time left to do it.
func (a *Activator) finishDrains(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.fleet.in(platform.Draining) {
		if a.busy[i.id] || now.Before(i.notBefore) {
			continue
		}
		if rev.seen && i.idle(rev.asked) || a.overdue(ctx, rev, i, now) {
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
	for _, i := range rev.fleet.in(platform.Armed, platform.Starting, platform.Ready, platform.Failed) {
		if !a.busy[i.id] {
			a.drain(ctx, i.id)
		}
	}
}

// repairSockets restores the invariant that a revision with a route has a listening socket.
func (a *Activator) repairSockets(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.fleet.in(platform.Failed) {
		if i.socket.Active == "failed" && i.service.Gone() && !a.busy[i.id] && !now.Before(i.notBefore) {
			a.repair(ctx, i.id)
		}
	}
	if len(rev.fleet.in(platform.Armed, platform.Starting, platform.Ready, platform.Failed)) == 0 {
		a.armNext(ctx, rev, now)
	}
}

// replaceHopeless replaces the instances that won't come to anything by themselves, each by one with a new socket and a
// new copy of the app. The new one is armed first.
func (a *Activator) replaceHopeless(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.fleet.in(platform.Armed, platform.Starting, platform.Ready, platform.Failed) {
		i.hopeless = i.hopeless || i.lost || i.deaf(now.Add(-rev.config.Timeout-drainGrace)) || i.broken()
		if !i.hopeless || a.busy[i.id] {
			continue
		}
		if rev.fleet.hasOther(i, platform.Armed, platform.Starting, platform.Ready) {
			a.drain(ctx, i.id)
			continue
		}
		if next := i.successor(rev.fleet.free()); !a.busy[next.id] {
			rev.fleet[next.id.Index] = next
			a.arm(ctx, next.id)
		}
	}
}

func (a *Activator) armNext(ctx context.Context, rev *revision, now time.Time) {
	id := platform.InstanceID{Revision: rev.id, Index: rev.fleet.free()}
	if i := rev.fleet[id.Index]; a.busy[id] || i != nil && now.Before(i.notBefore) {
		return
	}
	a.arm(ctx, id)
}

func (a *Activator) proveStarted(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.fleet.in(platform.Starting) {
		if !a.proving[i.id] && i.service.Active == "active" && !now.Before(i.notBefore) {
			a.prove(ctx, i.id)
		}
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
	for _, id := range a.candidates(rev, standby, n) {
		i := rev.fleet[id.Index]
		if a.busy[id] || i != nil && (now.Before(i.notBefore) || !i.service.Gone()) {
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
func (a *Activator) candidates(rev *revision, standby []*instance, n int) []platform.InstanceID {
	ids := make([]platform.InstanceID, 0, n)
	for _, i := range standby {
		if len(ids) < n {
			ids = append(ids, i.id)
		}
	}
	for index := 1; len(ids) < n; index++ {
		if i := rev.fleet[index]; i == nil || i.state() == "" {
			ids = append(ids, platform.InstanceID{Revision: rev.id, Index: index})
		}
	}
	return ids
}

func (a *Activator) drainSome(ctx context.Context, instances []*instance) {
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
