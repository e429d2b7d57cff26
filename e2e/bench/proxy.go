//go:build e2e

package main

import (
	"context"
	"strconv"
)

// Targets of the gateway as a proxy.
const (
	rateTarget = 0.95 // of nginx's small requests/s
	bulkTarget = 0.5  // of nginx's large ones
	cpuTarget  = 1.1  // of nginx's CPU time per request
	tlsTarget  = 1.25 // of the same over TLS
	tailTarget = 2.0  // of nginx's p99, at 70 % of what nginx can do
	idleTarget = 60   // MB
)

// peers are what the gateway is compared with; ratios are to the first.
var peers = []string{"nginx", "haproxy", "caddy"}

// proxyRow is a load: the driver's key for it, its name for people, what is counted, and what is aimed at besides being ahead of
// Caddy: a share of nginx's rate, and at most so many times nginx's CPU time, and less than HAProxy's. With 0, nothing is.
type proxyRow struct {
	key, name, counted string
	rate, cpu          float64
}

var proxyRows = []proxyRow{
	{"small 1", "small, 1 connection", "request", rateTarget, 0},
	{"small 32", "small, 32 connections", "request", rateTarget, cpuTarget},
	{"small 512", "small, 512 connections", "request", rateTarget, cpuTarget},
	{"large 1", "1 MB, 1 connection", "request", bulkTarget, 0},
	{"large 32", "1 MB, 32 connections", "request", bulkTarget, 0},
	{"large 512", "1 MB, 512 connections", "request", bulkTarget, 0},
	{"new 32", "new connections, 32 at once", "request", 0, 0},
	{"post 32", "POST of 4 KB, 32 connections", "request", 0, 0},
	{"echo 500", "500 WebSockets echoing", "message", 0, 0},
	{"h2c 1", "HTTP/2, 1 connection of 32 streams", "request", 0, 0},
	{"h2c 8", "HTTP/2, 8 connections of 32 streams", "request", 0, 0},
	{"tls 32", "TLS 1.3, 32 connections", "request", 0, tlsTarget},
	{"tls 512", "TLS 1.3, 512 connections", "request", 0, tlsTarget},
	{"tls h2 32", "TLS 1.3, HTTP/2, 32 connections", "request", 0, tlsTarget},
	{"tls large", "TLS 1.3, 1 MB, 32 connections", "request", 0, 0},
	{"tls new", "TLS 1.3, full handshakes, 500 at once", "handshake", 0, 0},
}

// benchProxy compares the gateway as a proxy with others, before the same backend.
func benchProxy(ctx context.Context, l *lab) ([]result, error) {
	if err := l.prepareProxies(ctx); err != nil {
		return nil, err
	}
	// First, while nothing has made anyone's heap grow.
	idle, err := l.drive(ctx, func(found map[string]float64) {
		l.step("proxy: with idle connections fnctl has %.1f MB, nginx %.1f", found["fnctl idle"]/1e6, found["nginx idle"]/1e6)
	}, "idle")
	if err != nil {
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
	for _, row := range proxyRows {
		results = append(results, row.results(found)...)
	}
	results = append(results, pacedResults(found)...)
	results = append(results, idleResults(idle)...)
	return append(results, backendResults(found)...), nil
}

// results are the four lines of a row.
func (r proxyRow) results(found map[string][]float64) []result {
	return []result{
		r.aimingAtRate(compareProxies(found, r.key+" rate", r.name, r.counted+"s/s", 1)),
		compareProxies(found, r.key+" p50", "  p50", "ms", 1000),
		compareProxies(found, r.key+" p99", "  p99", "ms", 1000),
		r.aimingAtCPU(compareProxies(found, r.key+" cpu", "  CPU per "+r.counted, "µs", 1e6)),
	}
}

func (r proxyRow) aimingAtRate(rate result) result {
	ahead := rate.Ours.Median > rate.peerNamed("caddy").Median
	if r.rate == 0 {
		return rate.aiming(ahead, "> caddy")
	}
	return rate.aiming(ahead && rate.Ratio >= r.rate, "≥ %.2g× nginx, > caddy", r.rate)
}

func (r proxyRow) aimingAtCPU(cpu result) result {
	if r.cpu == 0 {
		return cpu
	}
	ahead := cpu.Ours.Median < cpu.peerNamed("haproxy").Median
	if r.cpu == tlsTarget {
		ahead = cpu.Ours.Median < cpu.peerNamed("caddy").Median
		return cpu.aiming(ahead && cpu.Ratio <= r.cpu, "≤ %.3g× nginx, < caddy", r.cpu)
	}
	return cpu.aiming(ahead && cpu.Ratio <= r.cpu, "≤ %.2g× nginx, < haproxy", r.cpu)
}

// pacedResults are those of requests that come at a constant rate.
func pacedResults(found map[string][]float64) []result {
	tail := compareProxies(found, "paced p99", "  p99", "ms", 1000)
	return []result{
		compareProxies(found, "paced p50", "small, at 70 % of nginx's requests/s: p50", "ms", 1000),
		tail.aiming(tail.Ratio <= tailTarget, "≤ %.0f× nginx", tailTarget),
		compareProxies(found, "paced cpu", "  CPU per request", "µs", 1e6),
	}
}

// idleResults are the memory of clients that keep their connection and ask for nothing.
func idleResults(found map[string][]float64) []result {
	all := compareProxies(found, "idle", "10,000 idle connections, memory", "MB", 1e-6)
	return []result{
		all.aiming(all.Ours.Median <= idleTarget, "≤ %d MB", idleTarget),
		compareProxies(found, "rest", "  without them", "MB", 1e-6),
	}
}

// backendResults say how much more the backends can do than any proxy.
func backendResults(found map[string][]float64) []result {
	return []result{
		{Benchmark: "proxy", Measure: "the backend alone, 32 connections", Unit: "requests/s", Ours: spreadOf(found["backend small 32 rate"], 1)},
		{Benchmark: "proxy", Measure: "the echoing backend alone, 500 WebSockets", Unit: "messages/s", Ours: spreadOf(found["backend echo 500 rate"], 1)},
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
