package activator

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

// remarkAfter is how long a mark may go unnoticed before it is made anew: its sign may have been lost. A gateway that finishes what those
// before it have left takes no note for as long as that lasts.
const remarkAfter = 10 * time.Second

// rest is how far an instance has come on its way to standby: marked, seen by the gateway, frozen.
type rest struct {
	marked   bool
	markedAt time.Time
	woken    bool // since it was marked, so that the mark says nothing any more
	frozen   bool
	frozenAt time.Time // zero if it was before the activator began
	size     int64     // of its memory when it was found frozen, in bytes, without what went to swap since
	swapped  int64     // of its memory that is in swap
	// swapTried is true once its memory was moved to swap, or could not be, and measured once it is known how much that was.
	swapTried, measured bool
	unable              bool // it could not be frozen, and is stopped instead
}

// canRest reports whether the instance may be frozen: it was ready, and does nothing.
func (i *instance) canRest(config platform.Config, now time.Time) bool {
	return i.proved && !i.rest.unable && i.replaceReason == "" && !i.socketLost && !i.works(config, now)
}

// isNoted reports whether the gateway, as of some time, had taken note of the mark, and had nothing on the instance. One that finishes
// what a gateway before it has left keeps all instances awake meanwhile.
func (i *instance) isNoted(asOf time.Time) bool {
	return i.rest.marked && asOf.After(i.rest.markedAt) && i.load != nil && i.load.Resting && i.load.InFlight == 0
}

// lookAtRest looks which of the instances that may be frozen are.
func (r *revision) lookAtRest(paths platform.Paths) {
	for _, i := range r.instances {
		group := platform.InstanceCgroup(paths, r.slice, i.id)
		was := i.rest.frozen
		i.rest.frozen = i.rest.marked && group.Sleeper().IsFrozen()
		switch {
		case was && !i.rest.frozen:
			i.rest.woken = true
		case i.rest.frozen && (i.rest.size == 0 || i.rest.swapTried && !i.rest.measured):
			i.rest.size, _ = group.Memory() // 0 if it has ended meanwhile
			i.rest.swapped, i.rest.measured = group.Swapped(), i.rest.swapTried
		}
	}
}

// retire puts instances that are too many into standby, step by step, and drains the others. Requests have another place to wait at.
func (r *reconciler) retire(ctx context.Context, rev *revision, surplus []*instance, now time.Time) {
	if len(surplus) == 0 || r.world.locked(rev.id.Function) {
		return
	}
	var others []*instance
	room := 0
	if r.keeper.share > 0 && r.host.free > 0 {
		room = rev.config.Autoscale.Standby - rev.instances.count(platform.Standby)
	}
	for _, i := range surplus {
		if room <= 0 || !i.canRest(rev.config, now) {
			others = append(others, i)
			continue
		}
		room--
		switch {
		case r.actor.isBusy(i.id):
		case !i.rest.marked || i.rest.woken:
			r.actor.mark(ctx, i.id)
		case i.isNoted(rev.metricsAsOf):
			r.actor.freeze(ctx, i.id)
		case now.After(i.rest.markedAt.Add(remarkAfter)):
			r.actor.mark(ctx, i.id)
		}
	}
	r.drainSome(ctx, others)
}

// wakeSome wakes as many instances that are in standby, and reports how many it did.
func (r *reconciler) wakeSome(ctx context.Context, rev *revision, n int) (woken int) {
	for _, i := range rev.instances.in(platform.Standby) {
		if woken == n {
			break
		}
		woken++ // one that is busy comes, or goes
		if !r.actor.isBusy(i.id) {
			r.actor.wake(ctx, i.id)
		}
	}
	return woken
}

// unmark takes the mark from instances that are needed, once nothing beside them would be started by a request for nothing.
func (r *reconciler) unmark(ctx context.Context, needed, armed []*instance) {
	if len(armed) > 0 {
		return
	}
	for _, i := range needed {
		if i.rest.marked && !r.actor.isBusy(i.id) {
			r.actor.wake(ctx, i.id)
		}
	}
}

// evict drains what is too much in standby: the number was lowered, or nothing leads to the revision any more.
func (r *reconciler) evictSurplus(ctx context.Context, rev *revision) {
	if asleep := rev.instances.in(platform.Standby); len(asleep) > rev.config.Autoscale.Standby {
		r.drainSome(ctx, asleep[rev.config.Autoscale.Standby:])
	}
}

// mark settles the instance, and tells the gateway that it may be frozen.
func (a *actor) mark(ctx context.Context, id platform.InstanceID) {
	a.change(ctx, actionMark, id, func(ctx context.Context) error {
		socket, err := os.Stat(a.store.Paths.InstanceSocket(id))
		if err != nil {
			return err
		}
		gid := int(socket.Sys().(*syscall.Stat_t).Gid) // who may connect may wake
		if err := standby.Settle(ctx, a.group(id), gid); err != nil {
			return err
		}
		return a.store.Mark(id, platform.MarkStandby)
	})
}

// freeze freezes an instance of whose mark the gateway has taken note, unless that has a request for it again.
func (a *actor) freeze(ctx context.Context, id platform.InstanceID) {
	a.change(ctx, actionStandby, id, func(context.Context) error { return standby.Freeze(a.group(id)) })
}

// wake makes the instance one that is never frozen.
func (a *actor) wake(ctx context.Context, id platform.InstanceID) {
	a.change(ctx, actionWake, id, func(context.Context) error {
		// An activator that was killed while it moved the instance to swap has left it allowed.
		return errors.Join(a.rouse(id), standby.ForbidSwap(a.group(id)))
	})
}

// rouse thaws an instance, and takes its mark back. One that could not be thawed keeps it: it is still to be woken before a request.
func (a *actor) rouse(id platform.InstanceID) error {
	if err := standby.Thaw(a.group(id)); err != nil {
		return err
	}
	return a.store.Unmark(id, platform.MarkStandby)
}

func (a *actor) group(id platform.InstanceID) platform.Cgroup {
	return platform.InstanceCgroup(a.store.Paths, platform.SliceName(id.Revision.Function), id)
}

// noteRest takes over what an action has done about the rest of an instance.
func (i *instance) noteRest(done action, now time.Time) {
	switch {
	case errors.Is(done.err, standby.ErrClaimed):
		i.rest.woken = true
	case done.err != nil:
		i.rest.unable = true
	case done.verb == actionMark:
		i.rest = rest{marked: true, markedAt: now}
	case done.verb == actionStandby:
		i.rest.frozen, i.rest.frozenAt = true, now // if it is not at the next look, it was woken
	case done.verb == actionWake:
		i.rest = rest{}
	}
}

// sweepMarks takes over the marks that there are, and removes those of instances that run no more.
func (w *world) sweepMarks() {
	marks, err := w.store.Marks(platform.MarkStandby)
	if err != nil {
		w.log.Warn("list the marks of instances in standby", "err", err)
		return
	}
	for _, id := range marks {
		i := w.instance(id)
		switch {
		case w.busy[id]:
		case i != nil && i.service.Running() && i.rest.marked:
		case i != nil && i.service.Running(): // another activator has marked it
			group := platform.InstanceCgroup(w.store.Paths, platform.SliceName(id.Revision.Function), id)
			i.rest.marked, i.rest.woken = true, !group.Sleeper().IsFrozen()
		default:
			if err := w.store.Unmark(id, platform.MarkStandby); err != nil {
				w.log.Warn("remove the mark of an instance that is gone", "instance", id.String(), "err", err)
			}
		}
	}
}
