//go:build e2e

package main

import (
	"context"
	"strconv"
)

// Targets of the gateway as a proxy.
const (
	rateTarget = 0.5 // of nginx's requests/s, in every row
	tailTarget = 2.0 // of nginx's p99, at 70 % of what nginx can do
)

// peers are what the gateway is compared with; ratios are to the first.
var peers = []string{"nginx", "haproxy", "caddy"}

// proxyLoads are the loads as the driver names them, and as people do.
var proxyLoads = []struct{ key, name string }{
	{"small 1", "small, 1 connection"},
	{"small 32", "small, 32 connections"},
	{"small 512", "small, 512 connections"},
	{"large 1", "1 MB, 1 connection"},
	{"large 32", "1 MB, 32 connections"},
	{"large 512", "1 MB, 512 connections"},
}

// benchProxy compares the gateway as a proxy with others, before the same backend.
func benchProxy(ctx context.Context, l *lab) ([]result, error) {
	if err := l.prepareProxies(ctx); err != nil {
		return nil, err
	}
	n := 0
	found, err := l.drive(ctx, func(round map[string]float64) {
		n++
		l.step("proxy: round %d of %d: fnctl %.0f requests/s, nginx %.0f", n, l.rounds, round["fnctl small 32 rate"], round["nginx small 32 rate"])
	}, "-rounds", strconv.Itoa(l.rounds), "proxy")
	if err != nil {
		return nil, err
	}
	var results []result
	for _, load := range proxyLoads {
		results = append(results, proxyResults(found, load.key, load.name)...)
	}
	return append(results, pacedResults(found)...), nil
}

// proxyResults are the four lines of one load.
func proxyResults(found map[string][]float64, key, name string) []result {
	rate := compareProxies(found, key+" rate", name, "requests/s", 1)
	caddy := spreadOf(found["caddy "+key+" rate"], 1)
	rate = rate.aiming(rate.Ratio >= rateTarget && rate.Ours.Median > caddy.Median, "≥ %.1f× nginx, > caddy", rateTarget)
	return []result{
		rate,
		compareProxies(found, key+" p50", "  p50", "ms", 1000),
		compareProxies(found, key+" p99", "  p99", "ms", 1000),
		compareProxies(found, key+" cpu", "  CPU per request", "µs", 1e6),
	}
}

// pacedResults are those of requests that come at a constant rate, and how much more the backend can do than any proxy.
func pacedResults(found map[string][]float64) []result {
	tail := compareProxies(found, "paced p99", "  p99", "ms", 1000)
	return []result{
		compareProxies(found, "paced p50", "small, at 70 % of nginx's requests/s: p50", "ms", 1000),
		tail.aiming(tail.Ratio <= tailTarget, "≤ %.0f× nginx", tailTarget),
		compareProxies(found, "paced cpu", "  CPU per request", "µs", 1e6),
		{Benchmark: "proxy", Measure: "the backend alone, 32 connections", Unit: "requests/s", Ours: spreadOf(found["backend rate"], 1)},
	}
}

// compareProxies is one line: one measure of each proxy.
func compareProxies(found map[string][]float64, key, measure, unit string, factor float64) result {
	r := result{Benchmark: "proxy", Measure: measure, Unit: unit, Ours: spreadOf(found["fnctl "+key], factor)}
	for _, name := range peers {
		r = r.besides(name, spreadOf(found[name+" "+key], factor))
	}
	return r
}
