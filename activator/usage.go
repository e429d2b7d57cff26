package activator

import (
	"runtime"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// usage reads from the control groups what the instances of a revision consume.
type usage struct {
	tier  platform.Tier
	cores float64
	// cpu is the processor time of each instance at the last reading; total grows by the difference to the next.
	cpu   map[int]time.Duration
	total float64
}

func newUsage(tier platform.Tier) usage {
	// A tier may be larger than the machine.
	cores := min(max(tier.Cores, 0.01), float64(runtime.NumCPU()))
	return usage{tier: tier, cores: cores, cpu: map[int]time.Duration{}}
}

// cpuPercentSeconds is a counter: the processor time of ready instances since the activator started, as percent of the
// tier's cores, or of the machine's if it has fewer, times seconds. Its rate is their CPU in percent, summed. The time that an
// instance used before it was ready is the cost of its start and no load.
func (u *usage) cpuPercentSeconds(paths platform.Paths, slice string, ready []*instance) float64 {
	read := make(map[int]time.Duration, len(ready))
	for _, i := range ready {
		used, err := platform.InstanceCgroup(paths, slice, i.id).CPUTime()
		if err != nil {
			continue // it has ended meanwhile
		}
		read[i.id.Index] = used
		if before, known := u.cpu[i.id.Index]; known && used > before {
			u.total += (used - before).Seconds() / u.cores * 100
		}
	}
	u.cpu = read
	return u.total
}

// memory returns what each ready instance uses now, in bytes.
func memory(paths platform.Paths, slice string, ready []*instance) []int64 {
	var used []int64
	for _, i := range ready {
		if n, err := platform.InstanceCgroup(paths, slice, i.id).Memory(); err == nil { // else it has ended meanwhile
			used = append(used, n)
		}
	}
	return used
}

// memoryMiB returns what the ready instances use now, in MiB, summed.
func (u *usage) memoryMiB(paths platform.Paths, slice string, ready []*instance) float64 {
	var total int64
	for _, used := range memory(paths, slice, ready) {
		total += used
	}
	return float64(total) / (1 << 20)
}

// expected returns how much memory one more instance will use, in bytes: as much as the largest that runs, and never more
// than its tier.
func (u *usage) expected(paths platform.Paths, slice string, ready []*instance) int64 {
	var largest int64
	for _, used := range memory(paths, slice, ready) {
		largest = max(largest, used)
	}
	if largest == 0 {
		largest = platform.UnknownInstance
	}
	if limit := u.tier.MemoryBytes(); limit > 0 {
		largest = min(largest, limit)
	}
	return largest
}
