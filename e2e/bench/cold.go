//go:build e2e

package main

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/fnctl/fnctl/e2e/machine"
)

// coldTarget is how much longer a cold start may take than a bare one, in ms.
const coldTarget = 25

// benchCold compares a request to a function at zero with a bare start of the same command.
func benchCold(ctx context.Context, l *lab) ([]result, error) {
	if err := l.machine.CopyIn(ctx, filepath.Join(machine.Root(), "testdata/functions/ping"), "/srv/cold"); err != nil {
		return nil, err
	}
	if _, err := l.machine.RunIn(ctx, "/srv/cold", "fnctl", "deploy", "main:app"); err != nil {
		return nil, err
	}
	times, err := l.drive(ctx, func(round map[string]float64) {
		l.step("cold: fnctl %.0f ms, bare %.0f ms", round["fnctl"]*1000, round["bare"]*1000)
	}, "-rounds", strconv.Itoa(l.rounds), "cold")
	if err != nil {
		return nil, err
	}
	inMS := func(name string) spread { return spreadOf(times[name], 1000) }
	// Of pairs, so that what disturbs the machine for longer than a round disturbs the difference little.
	added := make([]float64, len(times["fnctl"]))
	for i, took := range times["fnctl"] {
		added[i] = took - times["bare"][i]
	}
	results := []result{
		result{Benchmark: "cold", Measure: "cold start, request to answer", Unit: "ms", Ours: inMS("fnctl")}.
			against("bare uvicorn", inMS("bare")),
	}
	extra := result{Benchmark: "cold", Measure: "  what the platform adds", Unit: "ms", Ours: spreadOf(added, 1000)}
	results = append(results, extra.aiming(extra.Ours.Median <= coldTarget, "≤ %d ms", coldTarget))
	for _, part := range []struct{ name, measure string }{
		{"wake", "  request → its process exists"},
		{"sandbox", "  → Python is executed"},
		{"python", "  → answer"},
	} {
		results = append(results, result{Benchmark: "cold", Measure: part.measure, Unit: "ms", Ours: inMS(part.name)})
	}
	return results, nil
}
