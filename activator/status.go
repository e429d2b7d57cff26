package activator

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// RevisionStatus is how many instances the activator desires of a revision, and why.
type RevisionStatus struct {
	Revision platform.RevisionID `json:"revision"`
	Metric   platform.Metric     `json:"metric"`
	// Value and Panic are the metric's averages over the stable and the panic window, for the revision as a whole; Target
	// is what one instance should have.
	Value   float64 `json:"value"`
	Panic   float64 `json:"panic"`
	Target  float64 `json:"target"`
	Desired int     `json:"desired"`
	Min     int     `json:"min"`
	Max     int     `json:"max"`
	// Panicking is true while no instance is taken away.
	Panicking bool `json:"panicking"`
	// Refused is how many instances the host has no room for.
	Refused int `json:"refused"`
	// Reason is the rule that settled the decision, Explanation describes it in words.
	Reason      autoscaler.Reason `json:"cause"`
	Explanation string            `json:"reason"`
	// Instances has the state of each instance by index.
	Instances map[int]platform.InstanceState `json:"instances"`
}

// statusCache has the latest status of each revision. The loop writes it, and any goroutine may read it.
type statusCache struct {
	mu     sync.Mutex
	latest map[platform.RevisionID]RevisionStatus
}

func newStatusCache() *statusCache {
	return &statusCache{latest: map[platform.RevisionID]RevisionStatus{}}
}

func (c *statusCache) put(status RevisionStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest[status.Revision] = status
}

func (c *statusCache) drop(id platform.RevisionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.latest, id)
}

// list returns all, sorted by revision.
func (c *statusCache) list() []RevisionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.latest), func(a, b RevisionStatus) int {
		return cmp.Or(cmp.Compare(a.Revision.Function, b.Revision.Function), cmp.Compare(a.Revision.Number, b.Revision.Number))
	})
}

// ready lists the instances that were ready at the last tick.
func (c *statusCache) ready() []platform.InstanceID {
	var ids []platform.InstanceID
	for _, status := range c.list() {
		for index, state := range status.Instances {
			if state == platform.Ready {
				ids = append(ids, platform.InstanceID{Revision: status.Revision, Index: index})
			}
		}
	}
	return ids
}
