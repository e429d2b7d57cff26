package platform

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

const (
	// StartsPerCore is how many instances may be starting at once for each core: more would only make all of them slower.
	StartsPerCore = 8
	// UnknownInstance is how many bytes an instance is expected to use when none of its function has run yet.
	UnknownInstance = 64 << 20
	// memoryHeadroom is the part of the host's memory that no start may touch.
	memoryHeadroom = 0.1
)

// HostMemory is the memory of a machine, in bytes.
type HostMemory struct {
	Total int64
	// Free is what starts may use: what the kernel calls available, less some head-room. It may be negative.
	Free int64
}

// HostMemory reads how much memory the machine has, and has left.
func (p Paths) HostMemory() (HostMemory, error) {
	data, err := os.ReadFile(p.join("proc/meminfo"))
	if err != nil {
		return HostMemory{}, fmt.Errorf("read the host's memory: %w", err)
	}
	memory, err := parseMeminfo(data)
	if err != nil {
		return HostMemory{}, fmt.Errorf("read the host's memory: %w", err)
	}
	memory.Free -= int64(float64(memory.Total) * memoryHeadroom)
	return memory, nil
}

// parseMeminfo reads total and available memory (proc(5), "/proc/meminfo").
func parseMeminfo(data []byte) (memory HostMemory, err error) {
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		var field *int64
		switch string(fields[0]) {
		case "MemTotal:":
			field = &memory.Total
		case "MemAvailable:":
			field = &memory.Free
		default:
			continue
		}
		kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return HostMemory{}, err
		}
		*field = kib << 10
	}
	if memory.Total == 0 {
		return HostMemory{}, fmt.Errorf("there is no MemTotal")
	}
	return memory, nil
}
