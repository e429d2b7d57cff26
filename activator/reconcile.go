package activator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// undrained are the states of an instance that takes requests, or may again.
var undrained = append([]platform.InstanceState{platform.Standby}, reachable...)

// reachable are those of an instance that takes a request without anybody's doing, or may again.
var reachable = []platform.InstanceState{platform.Armed, platform.Poised, platform.Starting, platform.Ready, platform.Deaf, platform.Failed}

// changer carries out what the reconciler decides: it is the actor, or records in a test. Each method returns at once.
type changer interface {
	isBusy(id platform.InstanceID) bool
	isProbing(id platform.InstanceID) bool
	arm(ctx context.Context, id platform.InstanceID)
	poise(ctx context.Context, id platform.InstanceID)
	dismiss(ctx context.Context, id platform.InstanceID)
	start(ctx context.Context, id platform.InstanceID)
	probe(ctx context.Context, id platform.InstanceID)
	drain(ctx context.Context, id platform.InstanceID)
	stop(ctx context.Context, id platform.InstanceID, patience time.Duration)
	kill(ctx context.Context, id platform.InstanceID)
	mark(ctx context.Context, id platform.InstanceID)
	freeze(ctx context.Context, id platform.InstanceID)
	wake(ctx context.Context, id platform.InstanceID)
	repair(ctx context.Context, id platform.InstanceID)
	isSwapping() bool
	swapOut(ctx context.Context, id platform.InstanceID)
}

// reconciler brings the instances of a revision one step nearer to the decision, in each tick. It has no state of its own.
type reconciler struct {
	paths   platform.Paths
	units   Units
	world   *world
	actor   changer
	host    *host
	keeper  *keeper
	poiser  *poiser
	metrics *metrics
	log     *slog.Logger
	// pressure is what is known of memory pressure, between two ticks, too.
	pressure pressure
}

// reconcile does one step for a revision that was measured and decided about.
func (r *reconciler) reconcile(ctx context.Context, rev *revision, now time.Time) {
	rev.refused = 0
	r.world.prune(rev, now)
	r.finishDrains(ctx, rev, now)
	switch {
	case rev.routed:
		r.maintain(ctx, rev, now)
	case !r.world.locked(rev.id.Function):
		r.drainAll(ctx, rev)
	}
	r.logShortage(rev)
}

// maintain looks after the instances of a revision with a route.
func (r *reconciler) maintain(ctx context.Context, rev *revision, now time.Time) {
	if r.world.held(rev.id.Function) {
		return // what comes next is the command's
	}
	r.logDecision(rev)
	r.recheck(rev, now)
	r.keepSingle(ctx, rev)
	r.repairSockets(ctx, rev, now)
	r.replaceFailing(ctx, rev, now)
	for _, i := range rev.instances {
		r.probeStarted(ctx, i, now)
	}
	r.scale(ctx, rev, now)
}

// finishDrains stops the draining instances that have no request and no other work left, or no time left for it.
func (r *reconciler) finishDrains(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.instances.in(platform.Draining) {
		if r.actor.isBusy(i.id) || now.Before(i.notBefore) {
			continue
		}
		works := i.works(rev.config, now)
		drained := rev.metricsKnown && i.drained(rev.metricsAsOf)
		switch {
		case works && i.background.locked:
		case i.isLossless(), rev.isSingle() && i.isWedged(rev.config, now): // nothing else can take its place before
			r.actor.kill(ctx, i.id)
		case drained && !works, (!works || i.inFlight() > 0) && r.overdue(ctx, rev, i, now):
			r.actor.stop(ctx, i.id, time.Duration(rev.config.StopTimeout))
		}
	}
}

// overdue reports whether an instance has drained for longer than any request may take. systemd knows since when, also if
// the activator was restarted meanwhile.
func (r *reconciler) overdue(ctx context.Context, rev *revision, i *instance, now time.Time) bool {
	if now.Before(i.drainingSince.Add(time.Duration(rev.config.Timeout) + drainGrace)) {
		return false
	}
	since, err := r.units.InactiveSince(ctx, i.id.Socket())
	if err != nil {
		r.log.Warn("ask since when the instance drains", "instance", i.id.String(), "err", err)
		return false
	}
	return !since.IsZero() && now.After(since.Add(time.Duration(rev.config.Timeout)+drainGrace))
}

func (r *reconciler) drainAll(ctx context.Context, rev *revision) {
	for _, i := range rev.instances.in(undrained...) {
		if !r.actor.isBusy(i.id) {
			r.actor.drain(ctx, i.id)
		}
	}
}

// recheck doesn't rely on earlier proofs and socket files while requests wait.
func (r *reconciler) recheck(rev *revision, now time.Time) {
	waiting := rev.metricsKnown && rev.reported && rev.load.Queued > 0
	for _, i := range rev.instances {
		i.expireProof(waiting, now)
	}
	if waiting {
		r.world.findLostSockets(rev.instances)
	}
}

// repairSockets restores the invariant that a revision with a route has a listening socket.
func (r *reconciler) repairSockets(ctx context.Context, rev *revision, now time.Time) {
	for _, i := range rev.instances.in(platform.Failed) {
		due := rev.arming.failures == 1 || !now.Before(i.notBefore)
		if due && i.repairable() && !r.actor.isBusy(i.id) {
			r.actor.repair(ctx, i.id)
		}
	}
	if len(rev.instances.in(reachable...)) == 0 {
		r.armNext(ctx, rev, now)
	}
}

// replaceFailing replaces the instances that will not become ready by themselves, each by one with a new socket and a new
// copy of the app. The new one is armed first, unless there may be only one.
func (r *reconciler) replaceFailing(ctx context.Context, rev *revision, now time.Time) {
	limit, late := rev.startLimit(), false
	for _, i := range rev.instances.in(undrained...) {
		if r.actor.isBusy(i.id) {
			continue
		}
		if reason := i.findReplaceReason(rev.config, limit, now); reason != "" {
			i.markForReplacement(reason, r.log)
			late = late || i.late == limit
		}
		if i.replaceReason != "" {
			r.replace(ctx, rev, i, now)
		}
	}
	if late {
		rev.late++
	}
}

// replace drains the instance if another one listens, or else arms its replacement, unless one is on its way.
func (r *reconciler) replace(ctx context.Context, rev *revision, i *instance, now time.Time) {
	coming := func(other *instance) bool { return r.actor.isBusy(other.id) || other.state() == platform.Failed }
	switch {
	case rev.isSingle():
		rev.heir = i.replacement(0) // it gets its index when there is room
		r.actor.drain(ctx, i.id)
	case rev.instances.hasOther(i, (*instance).listensAwake):
		r.actor.drain(ctx, i.id)
	case rev.instances.hasOther(i, coming) || !rev.arming.allowed(now):
	default:
		next := i.replacement(rev.instances.freeIndex(now))
		rev.instances[next.id.Index] = next
		r.actor.arm(ctx, next.id)
	}
}

func (r *reconciler) armNext(ctx context.Context, rev *revision, now time.Time) {
	id := platform.InstanceID{Revision: rev.id, Index: rev.instances.freeIndex(now)}
	if r.actor.isBusy(id) || !rev.arming.allowed(now) || !r.hasRoom(rev) {
		return
	}
	if heir := rev.heir; heir != nil {
		heir.id, rev.heir = id, nil
		rev.instances[id.Index] = heir
	}
	r.actor.arm(ctx, id)
}

// keepSingle drains what only listens while another instance of a single one runs, as when it was armed by hand, or with its target.
func (r *reconciler) keepSingle(ctx context.Context, rev *revision) {
	if !rev.isSingle() || !rev.instances.run() {
		return
	}
	for _, i := range rev.instances.in(platform.Armed) {
		if !r.actor.isBusy(i.id) {
			r.actor.drain(ctx, i.id)
		}
	}
}

// hasRoom reports whether the revision may have an instance besides those that there are.
func (r *reconciler) hasRoom(rev *revision) bool {
	return !rev.isSingle() || r.world.isEmpty(rev.id.Function)
}

// probeStarted probes an instance that runs and was not proved yet.
func (r *reconciler) probeStarted(ctx context.Context, i *instance, now time.Time) {
	if !r.actor.isProbing(i.id) && i.probeDue(now) {
		r.actor.probe(ctx, i.id)
	}
}

// scale starts the instances that are missing and drains those that are too many.
func (r *reconciler) scale(ctx context.Context, rev *revision, now time.Time) {
	running := withoutReplaced(rev.instances.in(platform.Starting, platform.Ready))
	armed, poised := splitPoised(withoutReplaced(rev.instances.in(platform.Armed, platform.Failed, platform.Poised)))
	defer r.evictSurplus(ctx, rev)
	switch desired := rev.decision.Desired; {
	case len(running) < desired:
		r.unmark(ctx, running, nil)
		missing := desired - len(running)
		r.startMore(ctx, rev, slices.Concat(poised, armed), missing-r.wakeSome(ctx, rev, missing), now)
	case len(running) > desired && desired == 0 && !rev.isSingle() && !slices.ContainsFunc(slices.Concat(armed, poised), (*instance).listens):
		// The next request must have a socket to wait at before the last instance goes. Where there may be only one, it waits at the gateway.
		r.armNext(ctx, rev, now)
	case len(running) > desired:
		sortLeastBusyFirst(running, rev.config, now)
		surplus := len(running) - desired
		r.unmark(ctx, running[surplus:], nil)
		r.retire(ctx, rev, running[:surplus], now)
	case desired > 0:
		// The next request would start an instance that is armed beside running ones, for nothing.
		r.drainSome(ctx, armed)
		if !rev.spare {
			r.drainSome(ctx, poised)
		}
		r.unmark(ctx, running, armed)
	case len(armed)+len(poised) > 1:
		r.drainSome(ctx, slices.Concat(poised, armed)[1:])
	}
}

// startMore starts n instances: first those that wait in their sandbox or are armed, then new ones, as far as the host has room. An action that is
// under way counts as one of them.
func (r *reconciler) startMore(ctx context.Context, rev *revision, waiting []*instance, n int, now time.Time) {
	expected := int64(-1)
	for _, id := range candidates(rev, waiting, n, now) {
		i := rev.instances[id.Index]
		if r.actor.isBusy(id) || i != nil && (now.Before(i.notBefore) || !i.service.Gone() && !i.poised) || !rev.arming.allowed(now) {
			continue
		}
		if (i == nil || i.state() == "") && !r.hasRoom(rev) {
			continue
		}
		if expected < 0 {
			expected = rev.usage.expected(r.paths, rev.slice, rev.instances.in(platform.Ready))
		}
		if short := expected - r.host.free; short > 0 {
			r.evict(ctx, short, evictedStart, now) // what sleeps is in nobody's way
		}
		switch {
		case !r.host.reserve(id, expected):
			rev.refused++
		case r.host.atStartLimit():
			r.host.release(id) // it is started when others have started
		default:
			r.actor.start(ctx, id)
			if i != nil && i.poised {
				i.begin(now)
				r.probeStarted(ctx, i, now) // which makes it the app
			}
		}
	}
	if rev.refused > 0 {
		r.metrics.refused.Add(float64(rev.refused))
	}
}

// candidates names the n instances that are next to run.
func candidates(rev *revision, waiting []*instance, n int, now time.Time) []platform.InstanceID {
	ids := make([]platform.InstanceID, 0, n)
	for _, i := range waiting {
		if len(ids) < n {
			ids = append(ids, i.id)
		}
	}
	for index := 1; len(ids) < n; index++ {
		if rev.instances.isFree(index, now) {
			ids = append(ids, platform.InstanceID{Revision: rev.id, Index: index})
		}
	}
	return ids
}

// drainSome drains instances, unless a command is changing the function: it may have started some that are to replace
// others.
func (r *reconciler) drainSome(ctx context.Context, instances []*instance) {
	if len(instances) == 0 || r.world.locked(instances[0].id.Revision.Function) {
		return
	}
	for _, i := range instances {
		if !r.actor.isBusy(i.id) {
			r.actor.drain(ctx, i.id)
		}
	}
}

// logDecision logs a decision when it differs from the last one.
func (r *reconciler) logDecision(rev *revision) {
	if rev.decision.Desired == rev.loggedDesired {
		return
	}
	r.metrics.decision(rev.decision)
	r.log.Info("scale", "event", "scale", "function", rev.id.Function, "revision", rev.id.String(),
		"from", rev.loggedDesired, "to", rev.decision.Desired, "why", rev.decision.Explanation())
	rev.loggedDesired = rev.decision.Desired
}

// logShortage logs once when the host has no memory for instances, and once when it has for all.
func (r *reconciler) logShortage(rev *revision) {
	short := rev.refused > 0
	if short == rev.loggedShortage {
		return
	}
	rev.loggedShortage = short
	log := r.log.With("event", "budget", "function", rev.id.Function, "revision", rev.id.String())
	if short {
		log.Warn("instances are held back", "why", fmt.Sprintf("%d of %d: the host is short of memory", rev.refused, rev.decision.Desired))
	} else {
		log.Info("no instance is held back any more", "why", "none is held back any more")
	}
}
