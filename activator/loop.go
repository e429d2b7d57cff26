package activator

import (
	"context"
	"errors"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

// loop owns the world, the actor's books, the reconciler, the host's budget, the failure notices and the queries. All
// events reach it through channels.
func (a *Activator) loop(ctx context.Context) error {
	// The loop decides nothing before the units and the routes are known: what exists must not be taken for gone.
	a.reconciler.keeper.restore(a.store.Paths.StandbyUses(), a.log)
	var knowUnits, knowRoutes, swept bool
	for {
		select {
		case <-ctx.Done():
			return nil
		case list := <-a.watcher.lists:
			if a.world.replaceUnits(list) {
				a.scraper.poke()
			}
			knowUnits = true
		case unit := <-a.watcher.changes:
			a.unitChanged(ctx, unit)
		case change := <-a.functions:
			a.world.functionsChanged(change)
			knowRoutes = true
		case done := <-a.actor.ended:
			a.actionEnded(ctx, done)
		case diagnosis := <-a.notices.diagnoser.found:
			a.notices.diagnosed(diagnosis)
		case answer := <-a.queries.answers:
			a.queries.answered(answer)
		case <-a.pressure.stalls:
			a.lookAtMemory(time.Now())
			a.reconciler.press(ctx, time.Now())
		case report := <-a.scraper.reports:
			if !knowUnits || !knowRoutes {
				continue
			}
			if !swept {
				a.notices.sweep()
				swept = true
			}
			a.tick(ctx, report)
		}
	}
}

// unitChanged takes over the change of a unit and acts on its instance at once: an instance that has just started is
// probed before it serves, so that a crash of it differs from a failed start.
func (a *Activator) unitChanged(ctx context.Context, unit platform.UnitStatus) {
	if a.world.setUnit(unit) {
		a.scraper.poke()
	}
	id, _, ok := platform.ParseUnit(unit.Name)
	if !ok || a.world.revisions[id.Revision] == nil {
		return
	}
	if i := a.world.instance(id); i != nil {
		a.reconciler.probeStarted(ctx, i, time.Now())
	}
	a.notices.diagnose(ctx, id.Revision)
}

// actionEnded takes note of an action that has ended.
func (a *Activator) actionEnded(ctx context.Context, done action) {
	a.actor.clear(done)
	a.metrics.action(done)
	a.logAction(done)
	if _, evicted := a.reconciler.keeper.leaving[done.id]; evicted {
		a.scraper.poke() // it is stopped as soon as the gateway has seen its socket go
	}
	a.world.noteAction(done, time.Now())
	if errors.Is(done.err, standby.ErrCannotSwap) {
		a.reconciler.keeper.swaps = false
	}
	if i := a.world.instance(done.id); i == nil || i.state() != platform.Starting && !a.actor.isBusy(done.id) {
		a.host.release(done.id)
	}
	a.notices.diagnose(ctx, done.id.Revision)
	if rev := a.world.revisions[done.id.Revision]; rev != nil && done.verb == actionProbe {
		a.showInstances(rev)
	}
}

// showInstances shows the states of a revision's instances before the next tick: who has deployed it a moment ago looks.
func (a *Activator) showInstances(rev *revision) {
	if len(rev.status.Instances) > 0 {
		rev.updateStatus()
		a.statuses.put(rev.status)
	}
}

// logAction logs how an action ended. It leaves out one that the activator's own end has cancelled. A probe that comes to nothing is no
// event: the instance may still start, or was drained; systemd says how it ended, and a replacement has its own reason.
func (a *Activator) logAction(done action) {
	log := a.log.With("function", done.id.Revision.Function, "revision", done.id.Revision.String(), "instance", done.id.String())
	switch {
	case done.err == nil:
		log.Info("instance: "+done.verb, "event", done.verb, "duration", done.took.Round(time.Millisecond))
	case errors.Is(done.err, context.Canceled):
	case errors.Is(done.err, standby.ErrCannotSwap):
		log.Info("instances in standby keep their memory", "err", done.err)
	case done.verb == actionProbe || errors.Is(done.err, standby.ErrClaimed):
		log.Debug("instance: "+done.verb, "err", done.err)
	default:
		log.Warn("instance: "+done.verb, "event", "fail", "err", done.err)
	}
}

// tick decides for every revision that is awake, and acts.
func (a *Activator) tick(ctx context.Context, report report) {
	started := time.Now()
	a.noteMetrics(report.err)
	a.world.setLoads(report.loads)
	keeper := a.reconciler.keeper
	looks := a.lookAtMemory(report.at)
	for id := range a.world.awake {
		if rev := a.world.revision(id, report.at); rev != nil {
			a.update(ctx, rev, report)
		}
	}
	a.reconciler.relieve(ctx, report.at)
	a.reconciler.swapOut(ctx, report.at)
	if looks {
		a.reconciler.poise(ctx, report.at)
	}
	if err := keeper.save(a.store.Paths.StandbyUses(), report.at); err != nil {
		a.log.Warn("write down how often revisions are used", "err", err)
	}
	a.metrics.standbyBytes.Set(float64(keeper.cache.Size()))
	a.metrics.standbySwapped.Set(float64(keeper.swappedBytes()))
	a.metrics.tick(time.Since(started), len(a.world.awake))
}

// lookAtMemory reads how much memory the machine has left, unless nothing can be started or evicted, and reports whether it did.
func (a *Activator) lookAtMemory(now time.Time) (looked bool) {
	keeper, pressure := a.reconciler.keeper, &a.reconciler.pressure
	sleeps := keeper.cache.Size() > 0
	looked = len(a.world.awake) > 0 || sleeps || a.reconciler.poiser.unfinished
	if looked {
		if err := a.host.refresh(keeper.pending(a.world.isGone)); err != nil {
			a.log.Warn("the host's memory bounds nothing", "err", err)
		}
	}
	if sleeps {
		pressure.look(platform.ReadReclaims(a.store.Paths), now)
	} else {
		pressure.lookAway()
	}
	return looked
}

// noteMetrics logs once when the metrics are lost, and once when they are back.
func (a *Activator) noteMetrics(err error) {
	a.metrics.scrape(err)
	lost := err != nil
	if lost == a.world.metricsLost {
		return
	}
	if lost {
		a.log.Warn("no metrics: nothing is scaled down until they are back", "event", "blind", "err", err)
	} else {
		a.log.Info("metrics are back", "event", "sight")
	}
	a.world.wakeAll() // each status has to show it
	a.world.metricsLost = lost
}

// update measures one revision, decides its number of instances, and acts.
func (a *Activator) update(ctx context.Context, rev *revision, report report) {
	a.reconciler.lookAtPoised(rev, report.at)
	rev.routed = a.world.routes.reach(rev.id)
	rev.measure(a.store.Paths, report)
	a.reconciler.keeper.note(rev, report.at)
	a.queries.ask(ctx, rev, report.at)
	rev.decide(report.asOf)
	a.reconciler.reconcile(ctx, rev, report.at)
	a.notices.diagnose(ctx, rev.id)
	rev.updateStatus()
	a.statuses.put(rev.status)
	if a.canSleep(rev) {
		a.notices.settled(rev)
		rev.sleep()
		delete(a.world.awake, rev.id)
	}
	if !rev.routed && len(rev.instances) == 0 {
		a.forget(rev)
	}
}

// canSleep reports whether nothing about a revision will change until an event wakes it.
func (a *Activator) canSleep(rev *revision) bool {
	if !rev.settled() {
		return false
	}
	for _, i := range rev.instances {
		if a.actor.isBusy(i.id) || a.actor.isProbing(i.id) {
			return false
		}
	}
	return true
}

// forget drops a revision that has no route and no instance, with its notice and its status.
func (a *Activator) forget(rev *revision) {
	a.notices.clear(rev)
	a.reconciler.keeper.forget(rev.id)
	a.world.forget(rev.id)
	a.statuses.drop(rev.id)
	a.log.Info("revision gone", "event", "gone", "function", rev.id.Function, "revision", rev.id.String())
}
