package activator

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// poisedSize is the memory that an instance takes which waits in its sandbox, in bytes: nearly all of it is the kernel's, for mounts, a
// user namespace and a control group (docs/benchmarks.md).
const poisedSize = 550 << 10

// A revision has a spare instance in its sandbox while each of its instances has more than loadedAbove of what one should have, until they
// have less than loadedBelow.
const (
	loadedAbove = 0.6
	loadedBelow = 0.4
)

// poiser bounds how many instances wait in their sandbox. It belongs to the loop.
type poiser struct {
	most  int     // instances
	share float64 // of the machine's memory, that all of them together may have
	// underWay is the one that is started last: they come one after the other, and when nothing else starts.
	underWay platform.InstanceID
	// unfinished is true while there are fewer than there may be.
	unfinished bool
}

// limit is how many may wait on a machine.
func (p *poiser) limit(memory platform.HostMemory) int {
	return min(p.most, int(p.share*float64(memory.Total)/poisedSize))
}

// post is an instance that waits in its sandbox, or is to.
type post struct {
	rev      *revision
	instance *instance // nil: it is to be made
}

// taken reports whether the instance waits already, or is about to.
func (p post) taken() bool { return p.instance != nil && p.instance.poised }

// lookAtPoised finds the instances whose first connection has made them the app. That is the same process; where it is gone, systemd is
// about to tell how it has ended.
func (r *reconciler) lookAtPoised(rev *revision, now time.Time) {
	for _, i := range rev.instances {
		if !i.poised || !i.service.Running() || r.actor.isBusy(i.id) {
			continue
		}
		group := platform.InstanceCgroup(r.paths, rev.slice, i.id)
		if waiter := group.Waiting(r.paths); waiter != 0 {
			i.waiter = waiter
			continue
		}
		pids, _ := group.PIDs() // without a group there are none
		if i.waiter == 0 || slices.Contains(pids, i.waiter) {
			i.begin(now)
			r.world.unmarkPoised(i.id)
			r.log.Info("instance: "+actionStart, "event", actionStart, "function", rev.id.Function, "revision", rev.id.String(),
				"instance", i.id.String(), "why", "a request came to where it was poised")
		}
	}
}

// poise has the instances wait in their sandbox whose turn it is: those of the revisions that were used last, as many as there may be. The
// next instance of a loaded revision is one of them.
func (r *reconciler) poise(ctx context.Context, now time.Time) {
	posts := r.posts()
	limit := r.poiser.limit(r.host.memory)
	if r.host.free < 0 { // one goes at each tick
		limit = min(limit, lastTaken(posts))
	}
	r.poiser.unfinished = false
	for n, p := range posts {
		switch {
		case n >= limit && p.taken() && !r.actor.isBusy(p.instance.id):
			r.actor.dismiss(ctx, p.instance.id)
		case n >= limit || p.taken() || r.poiser.unfinished:
		default:
			r.poiser.unfinished = true
			r.occupy(ctx, p, now)
		}
	}
}

// lastTaken is where the last instance is that waits already.
func lastTaken(posts []post) int {
	for n, p := range slices.Backward(posts) {
		if p.taken() {
			return n
		}
	}
	return 0
}

// posts lists the places of all revisions, those first that are worth most: who has an instance in standby needs none in a sandbox.
func (r *reconciler) posts() []post {
	var posts []post
	for _, rev := range r.world.revisions {
		if p, has := rev.post(); has {
			posts = append(posts, p)
		}
	}
	slices.SortFunc(posts, func(a, b post) int {
		return cmp.Or(
			compareBool(a.rev.instances.count(platform.Standby) > 0, b.rev.instances.count(platform.Standby) > 0),
			b.rev.usedAt.Compare(a.rev.usedAt),
			cmp.Compare(a.rev.id.Function, b.rev.id.Function),
			cmp.Compare(b.rev.id.Number, a.rev.id.Number),
		)
	})
	return posts
}

// post returns where an instance of the revision waits in its sandbox, or may.
func (r *revision) post() (post, bool) {
	r.spare = r.isLoaded()
	switch {
	case !r.poisable || !r.routed || r.failure != nil || r.late > 0:
		return post{}, false
	case r.decision.Desired > 0 && r.spare:
		for _, i := range r.instances {
			if i.poised && i.replaceReason == "" {
				return post{r, i}, true
			}
		}
		return post{rev: r}, true
	case r.decision.Desired > 0 || len(r.instances.in(platform.Ready, platform.Starting, platform.Deaf)) > 0:
		return post{}, false
	}
	var best *instance
	for _, i := range r.instances.in(platform.Poised, platform.Armed) {
		if i.replaceReason == "" && i.failures == 0 && i.listens() && (best == nil || i.poised && !best.poised) {
			best = i
		}
	}
	if best == nil || !best.poised && r.instances.count(platform.Standby) > 0 {
		return post{}, false
	}
	return post{r, best}, true
}

// isLoaded reports whether the revision may soon need one more instance than it has.
func (r *revision) isLoaded() bool {
	desired := r.decision.Desired
	if desired == 0 || desired >= r.gauges[0].config.Max || r.isSingle() || r.decision.Target <= 0 {
		return false
	}
	bound := loadedAbove
	if r.spare {
		bound = loadedBelow
	}
	return max(r.decision.Stable, r.decision.Panic) > bound*r.decision.Target*float64(desired)
}

// occupy starts an instance up to its sandbox, unless something has precedence.
func (r *reconciler) occupy(ctx context.Context, p post, now time.Time) {
	function := p.rev.id.Function
	if r.actor.isBusy(r.poiser.underWay) || len(r.host.reserved) > 0 || r.host.free < poisedSize || r.world.locked(function) || !p.rev.arming.allowed(now) {
		return
	}
	if p.instance == nil {
		id := platform.InstanceID{Revision: p.rev.id, Index: p.rev.instances.freeIndex(now)}
		p.instance = &instance{id: id}
		p.rev.instances[id.Index] = p.instance
	}
	if r.actor.isBusy(p.instance.id) {
		return
	}
	p.instance.poised = true
	r.poiser.underWay = p.instance.id
	r.actor.poise(ctx, p.instance.id)
}

// poise starts an instance up to its sandbox. Its mark is there before its socket: nobody takes it for one that is to start.
func (a *actor) poise(ctx context.Context, id platform.InstanceID) {
	a.changeWithin(ctx, actionPoise, id, platform.CopyTimeout+actionTimeout, func(ctx context.Context) error {
		if err := a.store.Mark(id, platform.MarkPoised); err != nil {
			return err
		}
		err := a.units.Start(ctx, id.Socket())
		if err == nil {
			err = a.units.Start(ctx, id.Service())
		}
		if err != nil {
			return errors.Join(err, a.store.Unmark(id, platform.MarkPoised))
		}
		return nil
	})
}

// dismiss ends what waits in the sandbox of an instance, which is armed again.
func (a *actor) dismiss(ctx context.Context, id platform.InstanceID) {
	a.change(ctx, actionDismiss, id, func(context.Context) error {
		if err := a.group(id).Dismiss(a.store.Paths); err != nil {
			return err
		}
		return a.store.Unmark(id, platform.MarkPoised)
	})
}

// sweepPoised takes over which instances wait in their sandbox, and removes the marks of those that do not.
func (w *world) sweepPoised() {
	marks, err := w.store.Marks(platform.MarkPoised)
	if err != nil {
		w.log.Warn("list the marks of poised instances", "err", err)
		return
	}
	for _, id := range marks {
		if w.busy[id] {
			continue
		}
		i, group := w.instance(id), platform.InstanceCgroup(w.store.Paths, platform.SliceName(id.Revision.Function), id)
		if i != nil && i.service.Running() {
			waiter := group.Waiting(w.store.Paths)
			if waiter == 0 && i.poised {
				i.begin(time.Now())
			}
			i.poised, i.waiter = waiter != 0, waiter
		}
		if i == nil || !i.poised {
			w.unmarkPoised(id)
		}
	}
}

// unmarkPoised removes the mark of an instance that waits in its sandbox no more.
func (w *world) unmarkPoised(id platform.InstanceID) {
	if err := w.store.Unmark(id, platform.MarkPoised); err != nil {
		w.log.Warn("remove the mark of an instance that is not poised any more", "instance", id.String(), "err", err)
	}
}
