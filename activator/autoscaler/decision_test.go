package autoscaler_test

import (
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

func TestExplanation(t *testing.T) {
	rps := autoscaler.Decision{
		Desired: 3, Unbounded: 3, Valid: true, Reason: autoscaler.ReasonStable, Metric: autoscaler.RPS,
		Stable: 23.44, Panic: 31, Target: 10, StableWindow: time.Minute, PanicWindow: 400 * time.Millisecond,
	}
	with := func(change func(*autoscaler.Decision)) autoscaler.Decision {
		d := rps
		change(&d)
		return d
	}
	for _, c := range []struct {
		decision autoscaler.Decision
		want     string
	}{
		{rps, "3 instances: 23.4 rps / 10 per instance over 60 s"},
		{with(func(d *autoscaler.Decision) {
			d.Panicking, d.PanicUntil = true, time.Date(2026, 3, 1, 14, 3, 20, 0, time.UTC)
		}), "3 instances: 23.4 rps / 10 per instance over 60 s; none is stopped before 14:03:20"},
		{with(func(d *autoscaler.Decision) { d.Reason, d.ByPanicValue, d.Desired = autoscaler.ReasonSurge, true, 4 }),
			"4 instances: 31 rps / 10 per instance over 400 ms"},
		{with(func(d *autoscaler.Decision) { d.Metric, d.Stable, d.Target = autoscaler.CPU, 78, 40; d.Desired = 2 }),
			"2 instances: 78 % cpu / 40 % per instance over 60 s"},
		{with(func(d *autoscaler.Decision) {
			d.Metric, d.Reason, d.Desired = autoscaler.Concurrency, autoscaler.ReasonMax, 2
		}),
			"2 instances: 23.4 in flight / 10 per instance over 60 s; max, wants 3"},
		{with(func(d *autoscaler.Decision) { d.Metric, d.Target = autoscaler.Memory, 0.25 }),
			"3 instances: 23.4 MiB / 0.25 MiB per instance over 60 s"},
		{with(func(d *autoscaler.Decision) { d.Reason, d.Stable, d.Desired = autoscaler.ReasonActive, 0, 1 }),
			"1 instance: 0 rps / 10 per instance over 60 s; one stays until requests have ceased"},
		{with(func(d *autoscaler.Decision) {
			d.Reason, d.Desired, d.IdleFor = autoscaler.ReasonIdle, 0, 150*time.Second
		}), "0 instances: no request for 2m30s"},
		{with(func(d *autoscaler.Decision) { d.Reason, d.Desired = autoscaler.ReasonIdle, 0 }), "0 instances: no request yet"},
		{with(func(d *autoscaler.Decision) { d.Valid, d.Reason = false, autoscaler.ReasonNoData }),
			"3 instances: no data, keeping the last decision"},
		{with(func(d *autoscaler.Decision) { d.Valid, d.First, d.Reason = false, true, autoscaler.ReasonNoData }),
			"3 instances: nothing is measured yet, keeping what there is"},
	} {
		if got := c.decision.Explanation(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestCombine(t *testing.T) {
	until := start.Add(time.Minute)
	rps := autoscaler.Decision{Desired: 2, Metric: autoscaler.RPS, Panicking: true, PanicUntil: until}
	cpu := autoscaler.Decision{Desired: 5, Metric: autoscaler.CPU, Settled: true}
	memory := autoscaler.Decision{Desired: 5, Metric: autoscaler.Memory, Settled: true}

	d := autoscaler.Combine(rps, cpu, memory)
	if d.Desired != 5 || d.Metric != autoscaler.CPU {
		t.Errorf("%d by %s, want 5 by cpu", d.Desired, d.Metric)
	}
	if !d.Panicking || !d.PanicUntil.Equal(until) || d.Settled {
		t.Errorf("panicking = %v until %v, settled = %v", d.Panicking, d.PanicUntil, d.Settled)
	}
	if !autoscaler.Combine(cpu, memory).Settled {
		t.Error("not settled although all are")
	}
	if d := autoscaler.Combine(); d.Desired != 0 {
		t.Errorf("nothing combined gives %d", d.Desired)
	}
}
