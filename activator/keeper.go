package activator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/fnctl/fnctl/activator/keepalive"
	"github.com/fnctl/fnctl/platform"
)

// Why instances in standby are evicted. The words are the metric's.
const (
	evictedBudget   = "budget"   // all of them together have more than their share of the memory
	evictedMemory   = "memory"   // the machine has little left
	evictedPressure = "pressure" // processes wait for memory
	evictedStart    = "start"    // another instance needs it
)

// unknownStart is what a cold start is taken to cost of which none was seen yet.
const unknownStart = time.Second

// keeper says which revisions' instances in standby are worth their memory. It belongs to the loop.
type keeper struct {
	cache   *keepalive.Cache
	share   float64                       // of the machine's memory, that all of them together may have
	swaps   bool                          // their memory may be moved to swap
	swapped map[platform.RevisionID]int64 // of them, in bytes
	savedAt time.Time
	// leaving has the memory of those that were evicted and have not ended yet, in bytes.
	leaving map[platform.InstanceID]int64
}

func newKeeper(share float64) *keeper {
	return &keeper{
		cache: keepalive.New(keepalive.DefaultHalfLife), share: share,
		swapped: map[platform.RevisionID]int64{}, leaving: map[platform.InstanceID]int64{},
	}
}

// saveInterval is how often it is written down how often revisions are used: so much is forgotten of it when the activator ends.
const saveInterval = time.Minute

// restore takes over what the activator before this one has known. Without it the first evictions may be the wrong ones.
func (k *keeper) restore(file string, log *slog.Logger) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var state keepalive.State
	if err == nil {
		err = json.Unmarshal(data, &state)
	}
	var cache *keepalive.Cache
	if err == nil {
		cache, err = keepalive.Restore(keepalive.DefaultHalfLife, state)
	}
	if err != nil {
		log.Warn("how often revisions were used is not known any more", "err", fmt.Errorf("read %s: %w", file, err))
		return
	}
	for _, kept := range cache.Rank(time.Now()) {
		cache.Drop(kept.Key) // it is kept again when it is found in standby
	}
	k.cache = cache
}

// save writes it down, now and then. The file is in memory.
func (k *keeper) save(file string, now time.Time) error {
	if now.Sub(k.savedAt) < saveInterval {
		return nil
	}
	state := k.cache.State()
	if len(state.Entries) == 0 {
		return nil
	}
	k.savedAt = now
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return platform.WriteFile(file, data, 0o644)
}

// note takes over what a revision has in standby, and whether it is used.
func (k *keeper) note(rev *revision, now time.Time) {
	key := rev.id.String()
	if rev.active && rev.config.Autoscale.Standby > 0 {
		k.cache.Use(key, now)
	}
	var size, swapped int64
	for _, i := range rev.instances.in(platform.Standby) {
		swapped += i.rest.swapped
		if _, leaves := k.leaving[i.id]; !leaves {
			size += i.rest.size
		}
	}
	k.noteSwap(rev.id, swapped)
	if size == 0 {
		k.cache.Drop(key)
		return
	}
	k.cache.Put(key, keepalive.Instance{Cost: rev.startCost(), Size: size})
}

// forget drops what is known of a revision that is gone.
func (k *keeper) forget(id platform.RevisionID) {
	k.cache.Remove(id.String())
	k.noteSwap(id, 0)
}

// excess returns how many bytes must be given back, and why; 0 if none.
func (k *keeper) excess(memory platform.HostMemory, free int64) (bytes int64, reason string) {
	over := k.cache.Size() - int64(k.share*float64(memory.Total))
	if -free > over {
		return max(0, -free), evictedMemory
	}
	return max(0, over), evictedBudget
}

// pending is the memory of what was evicted and has not ended, in bytes. isGone says of an instance that it has.
func (k *keeper) pending(isGone func(platform.InstanceID) bool) int64 {
	sum := int64(0)
	for id, size := range k.leaving {
		if isGone(id) {
			delete(k.leaving, id)
			continue
		}
		sum += size
	}
	return sum
}

// startCost is how long a cold start of the revision takes, as seen last.
func (r *revision) startCost() time.Duration {
	if r.startTook == 0 {
		return unknownStart
	}
	return r.startTook
}

// relieve evicts what is in standby beyond its share, or what the machine needs. It is called at each tick.
func (r *reconciler) relieve(ctx context.Context, now time.Time) {
	if r.keeper.cache.Size() == 0 {
		return
	}
	if excess, reason := r.keeper.excess(r.host.memory, r.host.free); excess > 0 {
		r.evict(ctx, excess, reason, now)
	}
}

// evict drains the instances in standby that are worth least until they have had so many bytes, which count as free from now on, and
// returns how many they had. Those that cannot be drained now leave it to others.
func (r *reconciler) evict(ctx context.Context, bytes int64, reason string, now time.Time) (freed int64) {
	for freed < bytes {
		victims := r.keeper.cache.Evict(bytes-freed, now)
		if len(victims) == 0 {
			break
		}
		freed += r.drainVictims(ctx, victims, reason)
	}
	return freed
}

func (r *reconciler) drainVictims(ctx context.Context, victims []keepalive.Ranked, reason string) (freed int64) {
	for _, victim := range victims {
		id, err := platform.ParseRevisionID(victim.Key)
		if err != nil {
			continue
		}
		for _, i := range r.world.instances[id].in(platform.Standby) {
			if r.actor.isBusy(i.id) || r.world.locked(id.Function) {
				continue // it is kept again when its revision is looked at
			}
			r.log.Info("instance: evict", "event", "evict", "function", id.Function, "revision", id.String(), "instance", i.id.String(), "why", reason,
				"bytes", i.rest.size)
			r.keeper.leaving[i.id] = i.rest.size
			r.metrics.evictions.WithLabelValues(reason).Inc()
			r.actor.drain(ctx, i.id)
			r.host.free += i.rest.size
			freed += i.rest.size
		}
		r.world.awake[id] = true
	}
	return freed
}
