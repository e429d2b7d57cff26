//go:build e2e

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Targets with many functions.
const (
	armedTarget  = 20  // KB of PID 1's memory per armed function
	daemonTarget = 40  // MB of gateway and activator together
	poisedMemory = 550 // KB of the machine's memory per instance that waits in its sandbox
	deployTarget = 2.0 // the last deploy to the first
)

// edge is how many deploys at the beginning and at the end are compared.
const edge = 5

// benchMany deploys many functions, and compares the last deploys with the first, and the memory that it takes to keep
// them armed with that of bare systemd sockets and of nginx.
func benchMany(ctx context.Context, l *lab) ([]result, error) {
	if err := l.configure(ctx, coldOnly); err != nil {
		return nil, err
	}
	first, err := l.deploy(ctx, 1, edge)
	if err != nil {
		return nil, err
	}
	before, err := pid1(ctx, l.machine)
	if err != nil {
		return nil, err
	}
	if _, err := l.deploy(ctx, edge+1, l.functions-edge); err != nil {
		return nil, err
	}
	last, err := l.deploy(ctx, l.functions-edge+1, l.functions)
	if err != nil {
		return nil, err
	}
	armed, err := l.armed(ctx, before)
	if err != nil {
		return nil, err
	}
	idle, err := l.idle(ctx)
	if err != nil {
		return nil, err
	}
	daemons, err := l.daemons(ctx)
	if err != nil {
		return nil, err
	}
	poised, err := l.poised(ctx)
	if err != nil {
		return nil, err
	}
	crowd, err := l.crowd(ctx)
	return slices.Concat([]result{compareDeploys(l.functions, first, last), armed, idle}, daemons, poised, crowd), err
}

func compareDeploys(n int, first, last []float64) result {
	r := result{Benchmark: "deploy", Measure: fmt.Sprintf("deploys %d to %d", n-edge+1, n), Unit: "ms", Ours: spreadOf(last, 1000)}.
		against(fmt.Sprintf("deploys 1 to %d", edge), spreadOf(first, 1000))
	return r.aiming(r.Ratio <= deployTarget, "≤ %.0f×", deployTarget)
}

// deploy deploys some of the functions and waits until all are at zero.
func (l *lab) deploy(ctx context.Context, from, to int) ([]float64, error) {
	n := from - 1
	times, err := l.drive(ctx, func(round map[string]float64) {
		if n++; n%100 == 0 || n == to {
			l.step("deploy: %d of %d functions, the last in %.0f ms", n, l.functions, round["deploy"]*1000)
		}
	}, "-from", strconv.Itoa(from), "-to", strconv.Itoa(to), "deploy")
	if err != nil {
		return nil, err
	}
	return times["deploy"], l.until(ctx, "all functions are at zero", func() (bool, error) { return l.isEmpty(ctx) })
}

// isEmpty reports whether no instance has a process.
func (l *lab) isEmpty(ctx context.Context) (bool, error) {
	out, err := l.run(ctx, "cat", "/sys/fs/cgroup/fn.slice/cgroup.events")
	return strings.HasPrefix(out, "populated 0"), err
}
