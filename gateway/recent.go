package gateway

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// maxRecent is the longest time for which the pools that were active can be asked for.
const maxRecent = time.Minute

// recent is a set of what was active lately: of the pools, so that a scrape of the active ones need not look at all. A pool's
// mutex is taken before this one.
type recent[T comparable] struct {
	mu  sync.Mutex
	all map[T]struct{}
}

func (r *recent[T]) add(one T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[T]struct{})
	}
	r.all[one] = struct{}{}
}

func (r *recent[T]) remove(one T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, one)
}

func (r *recent[T]) list() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.all))
}
