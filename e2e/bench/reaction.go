//go:build e2e

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/e2e/machine"
)

// Targets of the time from a step in load to the start of the last instance that it needs, in ms.
const (
	reactionTarget = 500  // at the median
	reactionLimit  = 1200 // always
)

const (
	reactionFunctions = 5 // that take turns, since each needs some time to calm down
	reactionSteps     = 4 // of each
	reactionNeeded    = 4 // instances after the step; one is there before
)

// reaction is a metric with a load before the step and after it. All instances of its functions are to be started, and none woken.
type reaction struct {
	metric, measure string
	source, config  string
	args            []string
	before, after   func(ctx context.Context, client *http.Client, host string)
}

var reactions = []reaction{
	{
		metric: "rps", measure: "step from 10 to 80 rps, 1 → 4 instances",
		config: "command: [/usr/local/bin/hello-go]\nstandby: false\nautoscale: {max: 12, metric: rps, target: 20, stable_window: 6s, scale_down_delay: 0s}\n",
		before: func(ctx context.Context, client *http.Client, host string) { requestEvenly(ctx, client, host+"/", 10) },
		after:  func(ctx context.Context, client *http.Client, host string) { requestEvenly(ctx, client, host+"/", 70) },
	},
	{
		metric: "concurrency", measure: "step from 3 to 24 in flight, 1 → 4 instances", source: "testdata/functions/echo",
		config: "standby: false\nautoscale: {max: 12, metric: concurrency, target: 6, stable_window: 6s, scale_down_delay: 0s}\n",
		args:   []string{"main:app"},
		before: func(ctx context.Context, client *http.Client, host string) {
			keepInFlight(ctx, client, host+"/sleep?seconds=0.3", 3)
		},
		after: func(ctx context.Context, client *http.Client, host string) {
			keepInFlight(ctx, client, host+"/sleep?seconds=0.3", 21)
		},
	},
}

// benchReaction measures the time from a step in load, at any moment between two ticks, to the start of the last instance
// that it needs, by systemd's own timestamps.
func benchReaction(ctx context.Context, l *lab) ([]result, error) {
	var results []result
	for _, r := range reactions {
		times, err := r.run(ctx, l)
		if err != nil {
			return results, err
		}
		all := result{Benchmark: "reaction", Measure: r.measure, Unit: "ms", Ours: spreadOf(times, 1000)}
		all = all.aiming(all.Ours.Median <= reactionTarget && all.Ours.Max <= reactionLimit, "≤ %d ms, always ≤ %d", reactionTarget, reactionLimit)
		sorted := slices.Sorted(slices.Values(times))
		late := result{Benchmark: "reaction", Measure: "  nine of ten within", Unit: "ms", Ours: single(sorted[(len(sorted)*9+9)/10-1] * 1000)}
		results = append(results, all, late)
	}
	return results, nil
}

func (r reaction) run(ctx context.Context, l *lab) ([]float64, error) {
	var (
		turn, mu sync.Mutex
		times    []float64
	)
	group, ctx := errgroup.WithContext(ctx)
	for n := range reactionFunctions {
		name := fmt.Sprintf("%s-%d", r.metric, n+1)
		if err := r.deploy(ctx, l, name); err != nil {
			return nil, err
		}
		group.Go(func() error {
			client, host := l.machine.Client(), "http://"+name+".localhost:8080"
			ctx, cancel := context.WithCancel(ctx)
			var load sync.WaitGroup
			defer load.Wait()
			defer cancel()
			load.Go(func() { r.before(ctx, client, host) })
			for range reactionSteps {
				took, err := r.step(ctx, l, name, &turn, client)
				if err != nil {
					return err
				}
				l.step("reaction: %s, %.0f ms", r.metric, took*1000)
				mu.Lock()
				times = append(times, took)
				mu.Unlock()
			}
			return nil
		})
	}
	return times, group.Wait()
}

func (r reaction) deploy(ctx context.Context, l *lab, name string) error {
	dir := "/srv/" + name
	if r.source != "" {
		if err := l.machine.CopyIn(ctx, filepath.Join(machine.Root(), r.source), dir); err != nil {
			return err
		}
	} else if _, err := l.run(ctx, "mkdir", dir); err != nil {
		return err
	}
	if err := l.machine.WriteFile(ctx, dir+"/jcloud.yml", []byte(r.config), 0o644); err != nil {
		return err
	}
	_, err := l.machine.RunIn(ctx, dir, "fnctl", append([]string{"deploy", "--name", name}, r.args...)...)
	return err
}

// step waits until the function has calmed down and makes one step in load. It returns the time until the last instance
// that is needed was started, in seconds.
func (r reaction) step(ctx context.Context, l *lab, name string, turn *sync.Mutex, client *http.Client) (float64, error) {
	if err := l.until(ctx, name+" has one instance", func() (bool, error) {
		out, err := l.run(ctx, "systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating,deactivating", "fn-"+name+"-00001@*.service")
		return strings.Count(out, "\n") == 1, err
	}); err != nil {
		return 0, err
	}
	turn.Lock()
	defer turn.Unlock()
	time.Sleep(time.Second + rand.N(activator.Tick)) // what was started for others has started
	loaded, cancel := context.WithCancel(ctx)
	var load sync.WaitGroup
	defer load.Wait()
	defer cancel()
	began := monotonic()
	load.Go(func() { r.after(loaded, client, "http://"+name+".localhost:8080") })
	var took float64
	err := l.until(ctx, name+" has the instances that it needs", func() (bool, error) {
		starts, err := l.starts(ctx, name, began)
		if err != nil || len(starts) < reactionNeeded-1 {
			return false, err
		}
		took = starts[reactionNeeded-2] - began
		return true, nil
	})
	return took, err
}

// starts is when the instances of a function were started that were since then, in order.
func (l *lab) starts(ctx context.Context, name string, since float64) ([]float64, error) {
	out, err := l.run(ctx, "systemctl", "show", "--property=InactiveExitTimestampMonotonic", "--value", "fn-"+name+"-00001@*.service")
	var starts []float64
	for _, field := range strings.Fields(out) {
		usec, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil, fmt.Errorf("read the start of an instance: %w", err)
		}
		if at := usec / 1e6; at > since {
			starts = append(starts, at)
		}
	}
	slices.Sort(starts)
	return starts, err
}

// monotonic is the clock of systemd's monotonic timestamps, in seconds: that of the kernel, which the machine shares.
func monotonic() float64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano()).Seconds()
}

// requestEvenly sends so many requests a second, whether they are answered or not.
func requestEvenly(ctx context.Context, client *http.Client, url string, perSecond int) {
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for ctx.Err() == nil {
		running.Go(func() { get(ctx, client, url) })
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// keepInFlight has so many requests in flight.
func keepInFlight(ctx context.Context, client *http.Client, url string, n int) {
	var running sync.WaitGroup
	defer running.Wait()
	for range n {
		running.Go(func() {
			for ctx.Err() == nil {
				get(ctx, client, url)
			}
		})
	}
}

// get is load: what comes of it, others look at.
func get(ctx context.Context, client *http.Client, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}
