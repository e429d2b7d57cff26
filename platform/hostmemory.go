package platform

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

const (
	// StartsPerCore is how many instances may be starting at once for each core: more would only make all of them slower.
	StartsPerCore = 8
	// UnknownInstance is how many bytes an instance is expected to use when none of its function has run yet.
	UnknownInstance = 64 << 20
	// memoryHeadroom is the part of the host's memory that no start may touch, and sliceHeadroom that of what all functions together may have.
	memoryHeadroom = 0.1
	sliceHeadroom  = 0.05
)

// HostMemory is the memory of a machine, in bytes.
type HostMemory struct {
	Total int64
	// Free is what starts may use: what the kernel calls available, or what fn.slice allows, less some head-room. It may be negative.
	Free int64
	// SwapTotal and SwapFree are the swap that there is, and that is unused, of whatever kind.
	SwapTotal, SwapFree int64
}

// ReadHostMemory reads how much memory the machine has, and has left.
func ReadHostMemory(p Paths) (HostMemory, error) {
	data, err := os.ReadFile(p.join("proc/meminfo"))
	if err != nil {
		return HostMemory{}, fmt.Errorf("read the host's memory: %w", err)
	}
	memory, err := parseMeminfo(data)
	if err != nil {
		return HostMemory{}, fmt.Errorf("read the host's memory: %w", err)
	}
	memory.Free = min(memory.Free-int64(float64(memory.Total)*memoryHeadroom), sliceRoom(p))
	return memory, nil
}

// sliceRoom is what all functions together may still take before the kernel kills one of them for it (MemoryMax= of fn.slice), in bytes.
func sliceRoom(p Paths) int64 {
	slice := Cgroup{dir: filepath.Join(p.Cgroup(), "fn.slice")}
	most, err := readNumber(filepath.Join(slice.dir, "memory.max"))
	if err != nil {
		return math.MaxInt64 // there is no limit, or no function
	}
	used, err := slice.Memory()
	if err != nil {
		return math.MaxInt64
	}
	return most - used - int64(float64(most)*sliceHeadroom)
}

// parseMeminfo reads total and available memory, and swap (proc(5), "/proc/meminfo").
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
		case "SwapTotal:":
			field = &memory.SwapTotal
		case "SwapFree:":
			field = &memory.SwapFree
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

// MemoryPressureFile is the kernel's file that tells of processes that wait for memory (Linux, "PSI - Pressure Stall Information").
func MemoryPressureFile(p Paths) string { return p.join("proc/pressure/memory") }

// Reclaims are counters of how memory was taken from somebody, for somebody else who needs it.
type Reclaims struct {
	Direct int64 // by processes themselves, or for all functions together, as at their limit
	Kswapd int64 // beside them, in time; mostly from files that were read
	Limits int64 // for functions that are at a limit of their own: everybody else's memory is no help to them
}

// ReadReclaims reads how memory was taken until now. What cannot be read is 0.
func ReadReclaims(p Paths) (r Reclaims) {
	vmstat, _ := os.ReadFile(p.join("proc/vmstat"))
	// What is searched within one control group is counted in neither (Linux, mm/vmscan.c).
	r.Direct, _ = readStat(vmstat, "pgscan_direct")
	r.Kswapd, _ = readStat(vmstat, "pgscan_kswapd")
	slice := filepath.Join(p.Cgroup(), "fn.slice")
	// How often a group was about to go above its MemoryMax=: fn.slice, and that with all groups below it.
	own, _ := readStatFile(filepath.Join(slice, "memory.events.local"), "max")
	all, _ := readStatFile(filepath.Join(slice, "memory.events"), "max")
	r.Direct += own
	r.Limits = all - own
	return r
}
