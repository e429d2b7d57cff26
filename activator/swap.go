package activator

import (
	"context"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

const (
	// swapAfter is how long an instance has to be frozen before its memory goes to swap: one that is needed every few seconds stays.
	swapAfter = 30 * time.Second
	// swapShare is the part of the budget of instances in standby, beyond which the memory of some goes to swap, and swapFree the part of the
	// machine's memory beside the head-room, below which it does. Both leave time before something has to be evicted.
	swapShare = 0.5
	swapFree  = 0.15
	// swapKept is the part of the swap that is left to others.
	swapKept = 0.25
)

// wantsSwap reports whether something that sleeps should go to swap: it would have to be evicted soon. While there is memory it stays, as a
// wake is slower by every page that it has to read.
func (k *keeper) wantsSwap(memory platform.HostMemory, free int64) bool {
	total := float64(memory.Total)
	return k.swaps && memory.SwapTotal > 0 && (float64(k.cache.Size()) > swapShare*k.share*total || float64(free) < swapFree*total)
}

// hasSwap reports whether an instance with so much memory may have as much swap.
func hasSwap(memory platform.HostMemory, size int64) bool {
	return float64(memory.SwapFree-size) >= swapKept*float64(memory.SwapTotal)
}

// swapOut moves the memory of an instance in standby to swap, if that is wanted: of those that have slept for long the one that is worth
// least. There is one at a time.
func (r *reconciler) swapOut(ctx context.Context, now time.Time) {
	if !r.keeper.wantsSwap(r.host.memory, r.host.free) || r.actor.isSwapping() {
		return
	}
	for _, ranked := range r.keeper.cache.Rank(now) {
		id, err := platform.ParseRevisionID(ranked.Key)
		if err != nil {
			continue
		}
		for _, i := range r.world.instances[id].in(platform.Standby) {
			if i.mayBeSwapped(now) && !r.actor.isBusy(i.id) && hasSwap(r.host.memory, i.rest.size) {
				r.actor.swapOut(ctx, i.id)
				return
			}
		}
	}
}

// mayBeSwapped reports whether the instance has slept for long enough, and it was not tried yet.
func (i *instance) mayBeSwapped(now time.Time) bool {
	return i.rest.frozen && !i.rest.swapTried && now.Sub(i.rest.frozenAt) >= swapAfter
}

// isSwapping reports whether the memory of an instance is being moved.
func (a *actor) isSwapping() bool { return a.swapping }

// swapOut moves the memory of an instance that is frozen to swap, for as long as it is. It is no change of the instance: that may be woken
// or drained meanwhile, and ends this.
func (a *actor) swapOut(ctx context.Context, id platform.InstanceID) {
	a.swapping = true
	a.run(ctx, actionSwap, id, actionTimeout, func(ctx context.Context) error { return standby.SwapOut(ctx, a.group(id)) })
}

// noteSwap takes over that the memory of an instance was moved to swap, or could not be.
func (w *world) noteSwap(done action) {
	if i := w.instance(done.id); i != nil && i.rest.frozen {
		i.rest.swapTried, i.rest.measured = true, false
	}
}

// noteSwap takes over how much of what a revision has in standby is in swap.
func (k *keeper) noteSwap(id platform.RevisionID, bytes int64) {
	delete(k.swapped, id)
	if bytes > 0 {
		k.swapped[id] = bytes
	}
}

// swappedBytes is what all that sleep have in swap.
func (k *keeper) swappedBytes() (sum int64) {
	for _, bytes := range k.swapped {
		sum += bytes
	}
	return sum
}
