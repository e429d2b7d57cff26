package activator

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/fnctl/fnctl/platform"
)

const (
	// startsPerCore is how many instances may be starting at once for each core: more would only make all of them slower.
	startsPerCore = 8
	// headroom is the part of the host's memory that no start may touch.
	headroom = 0.1
)

// host is what the machine has room for. The budget is measured use with head-room, not the sum of the tiers: most
// functions use a fraction of what their tier allows, and a machine of many idle functions could start few of them
// otherwise.
type host struct {
	meminfo string
	cores   int
	// reserved is what instances that were started will use and don't use yet, in bytes.
	reserved map[platform.InstanceID]int64
	total    int64
	free     int64
}

func newHost(paths platform.Paths) *host {
	return &host{
		meminfo:  filepath.Join(paths.Root, "proc/meminfo"),
		cores:    runtime.NumCPU(),
		reserved: map[platform.InstanceID]int64{},
	}
}

// refresh reads how much memory is free. It returns an error if it cannot be read; then memory bounds nothing.
func (h *host) refresh() error {
	data, err := os.ReadFile(h.meminfo)
	if err == nil {
		h.total, h.free, err = parseMeminfo(data)
	}
	if err != nil {
		h.total, h.free = 0, 1<<62
		return fmt.Errorf("read the host's memory: %w", err)
	}
	for _, expected := range h.reserved {
		h.free -= expected
	}
	h.free -= int64(float64(h.total) * headroom)
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
func (h *host) atStartLimit() bool { return len(h.reserved) >= h.cores*startsPerCore }

// release ends the reservation of an instance: it is ready and uses what it needs, or it never will.
func (h *host) release(id platform.InstanceID) { delete(h.reserved, id) }

// parseMeminfo reads total and available memory in bytes (proc(5), "/proc/meminfo").
func parseMeminfo(data []byte) (total, available int64, err error) {
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		var field *int64
		switch string(fields[0]) {
		case "MemTotal:":
			field = &total
		case "MemAvailable:":
			field = &available
		default:
			continue
		}
		kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		*field = kib << 10
	}
	if total == 0 {
		return 0, 0, fmt.Errorf("no MemTotal")
	}
	return total, available, nil
}
