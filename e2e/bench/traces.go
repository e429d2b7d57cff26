//go:build e2e

package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/e2e/machine"
)

// benchTraces replays traces through fnctl's defaults and through Knative's, both for ten requests a second and instance,
// from zero, with cold starts of 300 ms and requests of 50 ms.
func benchTraces(_ context.Context, _ *lab) ([]result, error) {
	var results []result
	for _, name := range []string{"steady", "burst", "wave"} {
		trace, err := readTrace(filepath.Join(machine.Root(), "testdata/traces", name+".csv"))
		if err != nil {
			return results, err
		}
		ours := replay(trace, autoscaler.DefaultConfig(autoscaler.RPS, 10))
		theirs := replay(trace, autoscaler.KnativeConfig(autoscaler.RPS, 10))
		for _, m := range []struct {
			what, unit string
			value      func(autoscaler.Point) float64
		}{
			{"cold starts", "", func(p autoscaler.Point) float64 { return float64(p.ColdStarts) }},
			{"time in the queue", "s", func(p autoscaler.Point) float64 { return p.QueueSeconds }},
			{"instances' time", "s", func(p autoscaler.Point) float64 { return p.InstanceSeconds }},
		} {
			r := result{Benchmark: "traces", Measure: fmt.Sprintf("%s: %s of %d requests", name, m.what, ours.Arrivals), Unit: m.unit, Ours: single(m.value(ours))}
			results = append(results, r.against("Knative", single(m.value(theirs))))
		}
	}
	return results, nil
}

func replay(trace []int, config autoscaler.Config) autoscaler.Point {
	config.Min, config.Max = 0, 100
	return autoscaler.Total(autoscaler.Simulate(trace, autoscaler.Simulation{
		Config: config, ColdStart: 300 * time.Millisecond, ServiceTime: 50 * time.Millisecond,
	}))
}

// readTrace reads the arrivals of each second, of which none is left out.
func readTrace(path string) ([]int, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.Comment = '#'
	lines, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var trace []int
	for _, line := range lines {
		second, err := strconv.Atoi(line[0])
		if err != nil {
			continue // the header
		}
		requests, err := strconv.Atoi(line[1])
		if err != nil || second < len(trace) {
			return nil, fmt.Errorf("read %s: bad line %q", path, line)
		}
		for len(trace) < second {
			trace = append(trace, 0)
		}
		trace = append(trace, requests)
	}
	return trace, nil
}
