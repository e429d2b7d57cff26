package activator

import (
	"math"
	"runtime"

	"github.com/fnctl/fnctl/platform"
)

// host is what the machine has room for. The budget is measured use with head-room, not the sum of the tiers: most
// functions use a fraction of what their tier allows, and a machine of many idle functions could start few of them
// otherwise.
type host struct {
	paths platform.Paths
	cores int
	// reserved is what instances that were started will use and don't use yet, in bytes.
	reserved map[platform.InstanceID]int64
	memory   platform.HostMemory // as read last
	free     int64
}

func newHost(paths platform.Paths) *host {
	return &host{
		paths:    paths,
		cores:    runtime.NumCPU(),
		reserved: map[platform.InstanceID]int64{},
	}
}

// refresh reads how much memory is free. coming is what will be soon, in bytes. It returns an error if memory cannot be read; then it
// bounds nothing.
func (h *host) refresh(coming int64) error {
	memory, err := platform.ReadHostMemory(h.paths)
	if err != nil {
		h.memory, h.free = platform.HostMemory{Total: math.MaxInt64}, 1<<62
		return err
	}
	h.memory, h.free = memory, memory.Free+coming
	for _, expected := range h.reserved {
		h.free -= expected
	}
	return nil
}

// reserve reserves the bytes that an instance is expected to use, and reports whether there are as many.
func (h *host) reserve(id platform.InstanceID, expected int64) bool {
	if h.free < expected {
		return false
	}
	if _, already := h.reserved[id]; !already {
		h.free -= expected
		h.reserved[id] = expected
	}
	return true
}

// atStartLimit reports whether as many instances are starting as may at once.
func (h *host) atStartLimit() bool { return len(h.reserved) >= h.cores*platform.StartsPerCore }

// release ends the reservation of an instance: it is ready and uses what it needs, or it never will.
func (h *host) release(id platform.InstanceID) { delete(h.reserved, id) }
