//go:build e2e

package main

import (
	"context"
	"fmt"
	"strconv"
)

const (
	// mostCrowd is how many functions are asked at once.
	mostCrowd = 600
	// crowdTarget is how long the last of them may wait if all are in standby, in seconds.
	crowdTarget = 2
)

// crowd asks many functions at once none of which is awake.
func (l *lab) crowd(ctx context.Context) ([]result, error) {
	count := min(l.functions, mostCrowd)
	// What was ready from poised goes to standby next.
	states := []struct{ name, settings, waits string }{
		{"armed", coldOnly, ""},
		{"poised", fmt.Sprintf("standby: {memory: 0}\npoised: {count: %d, memory: 100%%}\n", count), "pgrep --count --exact poise || true"},
		{"standby", "standby: {memory: 100%}\npoised: {count: 0}\n", "grep --no-messages --files-with-matches 'frozen 1' /sys/fs/cgroup/fn.slice/*.slice/*/app/cgroup.events | wc -l"},
	}
	var results []result
	for _, state := range states {
		if err := l.configure(ctx, state.settings); err != nil {
			return results, err
		}
		if state.name == "standby" {
			if _, err := l.askCrowd(ctx, "to be ready", count); err != nil {
				return results, err
			}
		}
		err := l.until(ctx, fmt.Sprintf("%d functions are %s", count, state.name), func() (bool, error) {
			if state.waits == "" {
				return l.isEmpty(ctx)
			}
			n, err := l.number(ctx, "sh", "-c", state.waits)
			return int(n) >= count, err
		})
		if err != nil {
			return results, err
		}
		times, err := l.askCrowd(ctx, "from "+state.name, count)
		if err != nil {
			return results, err
		}
		for _, which := range []string{"median", "last"} {
			r := result{Benchmark: "memory", Measure: fmt.Sprintf("%d functions asked at once, %s, the %s", count, state.name, which), Unit: "ms", Ours: spreadOf(times[which], 1000)}
			if state.name == "standby" && which == "last" {
				r = r.aiming(r.Ours.Median <= crowdTarget*1000, "≤ %d s", crowdTarget)
			}
			results = append(results, r)
		}
	}
	return results, nil
}

func (l *lab) askCrowd(ctx context.Context, what string, count int) (map[string][]float64, error) {
	return l.drive(ctx, func(round map[string]float64) {
		l.step("%d functions at once, %s: median %.0f ms, the last %.0f ms", count, what, round["median"]*1000, round["last"]*1000)
	}, "-to", strconv.Itoa(count), "crowd")
}
