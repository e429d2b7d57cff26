//go:build e2e

package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"
)

// mostPoised is how many instances wait in their sandbox to see what one takes.
const mostPoised = 500

// poised is what an instance that waits in its sandbox takes of the machine's memory: of all that is available, and the parts of it.
func (l *lab) poised(ctx context.Context) ([]result, error) {
	count := min(l.functions, mostPoised)
	before, err := l.memoryInfo(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.configure(ctx, fmt.Sprintf("standby: {memory: 0}\npoised: {count: %d, memory: 100%%}\n", count)); err != nil {
		return nil, err
	}
	err = l.until(ctx, "the instances wait in their sandboxes", func() (bool, error) {
		n, err := l.number(ctx, "sh", "-c", "pgrep --count --exact poise || true")
		return int(n) >= count, err
	})
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // what systemd has of the last starts is given back
	after, err := l.memoryInfo(ctx)
	if err != nil {
		return nil, err
	}
	each := func(name string) float64 { return (after[name] - before[name]) / float64(count) }
	whole := result{Benchmark: "memory", Measure: fmt.Sprintf("an instance that waits in its sandbox, of %d", count), Unit: "KB", Ours: single(-each("MemAvailable"))}
	results := []result{whole.aiming(whole.Ours.Median <= poisedMemory, "≤ %d KB", poisedMemory)}
	for _, name := range []string{"AnonPages", "Slab", "PageTables", "KernelStack", "Percpu"} {
		results = append(results, result{Benchmark: "memory", Measure: "  … of it " + name, Unit: "KB", Ours: single(each(name))})
	}
	return results, nil
}

// memoryInfo reads /proc/meminfo, in KB.
func (l *lab) memoryInfo(ctx context.Context) (map[string]float64, error) {
	out, err := l.run(ctx, "sh", "-c", "sync; echo 3 >/proc/sys/vm/drop_caches || true; cat /proc/meminfo")
	if err != nil {
		return nil, err
	}
	info := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		var kb float64
		if name, value, found := strings.Cut(lines.Text(), ":"); found {
			if _, err := fmt.Sscan(value, &kb); err == nil {
				info[name] = kb
			}
		}
	}
	return info, nil
}
