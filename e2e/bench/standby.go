//go:build e2e

package main

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	// sleepy has its instance frozen soon after a request.
	sleepy = "autoscale: {min: 0, stable_window: 6, scale_down_delay: 0, scale_to_zero_after: 0}\n"
	// standbyTarget and standbyTail are how much longer a request to an instance in standby may take than to one that is awake, in ms:
	// the median, and the 99th of a hundred.
	standbyTarget, standbyTail = 3, 10
	// standbyRounds is the least number of rounds, for there is a tail to be seen.
	standbyRounds = 100
)

// benchStandby compares requests to a function in standby with requests to the same when it is awake.
func benchStandby(ctx context.Context, l *lab) ([]result, error) {
	if err := l.machine.CopyIn(ctx, filepath.Join(machine.Root(), "testdata/functions/ping"), "/srv/ping"); err != nil {
		return nil, err
	}
	if err := l.machine.WriteFile(ctx, "/srv/ping/jcloud.yml", []byte(sleepy), 0o644); err != nil {
		return nil, err
	}
	if _, err := l.machine.RunIn(ctx, "/srv/ping", "fnctl", "deploy", "main:app"); err != nil {
		return nil, err
	}
	times, err := l.drive(ctx, func(round map[string]float64) {
		l.step("standby: %.1f ms, awake %.1f ms", round["standby"]*1000, round["awake"]*1000)
	}, "-rounds", strconv.Itoa(max(l.rounds, standbyRounds)), "standby", "ping", "/ping")
	if err != nil {
		return nil, err
	}
	whole := result{Benchmark: "standby", Measure: "request to a FastAPI app in standby", Unit: "ms", Ours: spreadOf(times["standby"], 1000)}
	extra := result{Benchmark: "standby", Measure: "  longer than to one that is awake", Unit: "ms", Ours: added(times["standby"], times["awake"])}
	tail := result{Benchmark: "standby", Measure: "  … the 99th of a hundred", Unit: "ms", Ours: single(nearlyWorst(extra.Ours.Rounds))}
	return []result{
		whole.against("awake", spreadOf(times["awake"], 1000)),
		extra.aiming(extra.Ours.Median <= standbyTarget, "≤ %d ms", standbyTarget),
		tail.aiming(tail.Ours.Median <= standbyTail, "≤ %d ms", standbyTail),
	}, nil
}

// nearlyWorst is the 99th percentile.
func nearlyWorst(rounds []float64) float64 {
	sorted := slices.Sorted(slices.Values(rounds))
	return sorted[(len(sorted)*99+99)/100-1]
}
