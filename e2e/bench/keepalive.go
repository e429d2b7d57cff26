//go:build e2e

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fnctl/fnctl/activator/keepalive"
	"github.com/fnctl/fnctl/e2e/machine"
)

// benchKeepalive replays real traces under fnctl's policy of what is kept in memory, and under others with as much of it at most.
func benchKeepalive(_ context.Context, _ *lab) ([]result, error) {
	var results []result
	for _, file := range []struct{ name, what string }{
		{"azure2019-d01-400", "day, 400 functions"},
		{"azure2019-8h-500", "8 hours, 500 functions"},
	} {
		trace, err := readAzure(filepath.Join(machine.Root(), "testdata/traces", file.name+".csv.gz"))
		if err != nil {
			return results, err
		}
		results = append(results, keptAsKnative(trace, file.what)...)
		results = append(results, keptAsTenMinutes(trace, file.what))
	}
	return results, nil
}

// keptAsKnative compares within the peak memory that Knative's defaults need.
func keptAsKnative(trace keepalive.Trace, what string) []result {
	limit := keepalive.Simulate(trace, keepalive.Knative(), 0).PeakMemory
	ours := keepalive.Simulate(trace, keepalive.GreedyDual(keepalive.DefaultHalfLife), limit)
	starts := result{
		Benchmark: "keepalive", Ours: single(float64(ours.ColdStarts)),
		Measure: fmt.Sprintf("%s: cold starts within %.1f GB, Knative's peak", what, gigabytes(limit)),
	}
	mean := result{
		Benchmark: "keepalive", Unit: "GB", Measure: what + ": … mean memory",
		Ours: single(gigabytes(ours.MeanMemory)),
	}
	for _, peer := range keepalive.Peers() {
		theirs := keepalive.Simulate(trace, peer.Policy, limit)
		starts = starts.besides(peer.Name, single(float64(theirs.ColdStarts)))
		mean = mean.besides(peer.Name, single(gigabytes(theirs.MeanMemory)))
	}
	equal := ours.PeakMemory <= limit
	return []result{starts.aiming(equal && starts.Ratio <= 0.1, "≤ 0.1× Knative's"), mean}
}

// keptAsTenMinutes compares within the peak memory that is needed to keep each instance for ten minutes.
func keptAsTenMinutes(trace keepalive.Trace, what string) result {
	theirs := keepalive.Simulate(trace, keepalive.Fixed(10*time.Minute), 0)
	ours := keepalive.Simulate(trace, keepalive.GreedyDual(keepalive.DefaultHalfLife), theirs.PeakMemory)
	r := result{
		Benchmark: "keepalive", Ours: single(float64(ours.ColdStarts)),
		Measure: fmt.Sprintf("%s: cold starts within %.1f GB, the peak of ten minutes", what, gigabytes(theirs.PeakMemory)),
	}
	return r.against("fixed ten minutes", single(float64(theirs.ColdStarts)))
}

func gigabytes(bytes int64) float64 { return float64(bytes) / 1e9 }

func readAzure(path string) (keepalive.Trace, error) {
	file, err := os.Open(path)
	if err != nil {
		return keepalive.Trace{}, err
	}
	defer file.Close()
	trace, err := keepalive.ReadTrace(file)
	if err != nil {
		return trace, fmt.Errorf("%s: %w", path, err)
	}
	return trace, nil
}
