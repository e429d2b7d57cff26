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
	// unknownInstance is what an instance is taken to need when none of its revision has run yet.
	unknownInstance = 64 << 20
)

// host is what the machine has room for. The budget is measured use with head-room, not the sum of the tiers: most
// functions use a fraction of what their tier allows, and a machine of many idle functions could start few of them
// otherwise.
type host struct {
	meminfo string
	cores   int
	// reserved is what instances that were started will use and don't use yet.
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

// look reads what is free at the beginning of a tick. It returns an error if the kernel doesn't tell; then memory bounds
// nothing.
func (h *host) look() error {
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

// admit tells whether an instance that will use so many bytes may be started, and if so reserves them.
func (h *host) admit(id platform.InstanceID, expected int64) bool {
	if h.free < expected {
		return false
	}
	if _, already := h.reserved[id]; !already {
		h.free -= expected
		h.reserved[id] = expected
	}
	return true
}

// busy tells whether enough instances are starting at once.
func (h *host) busy() bool { return len(h.reserved) >= h.cores*startsPerCore }

// settle ends the reservation of an instance: it is ready and uses what it needs, or it will never.
func (h *host) settle(id platform.InstanceID) { delete(h.reserved, id) }

// logRefused logs once when instances are held back, and once when none is any more.
func (a *Activator) logRefused(rev *revision) {
	short := rev.refused > 0
	if short == rev.short {
		return
	}
	rev.short = short
	log := a.log.With("event", "budget", "function", rev.id.Function, "revision", rev.id.String())
	if short {
		log.Warn("instances are held back", "why", fmt.Sprintf("%d of %d: the host is short of memory", rev.refused, rev.decision.Desired))
	} else {
		log.Info("no instance is held back any more", "why", "none is held back any more")
	}
}

// parseMeminfo reads total and available memory in bytes (proc(5), "/proc/meminfo").
func parseMeminfo(data []byte) (total, available int64, err error) {
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		var into *int64
		switch string(fields[0]) {
		case "MemTotal:":
			into = &total
		case "MemAvailable:":
			into = &available
		default:
			continue
		}
		kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		*into = kib << 10
	}
	if total == 0 {
		return 0, 0, fmt.Errorf("no MemTotal")
	}
	return total, available, nil
}
