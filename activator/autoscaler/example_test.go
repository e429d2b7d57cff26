package autoscaler_test

import (
	"fmt"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

// A function that scales by requests in flight, and the tick in which 24 clients arrive.
func Example() {
	cfg := autoscaler.DefaultConfig(autoscaler.Concurrency, 6)
	cfg.Min, cfg.Max = 0, 10
	now := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)

	scaler := autoscaler.New(cfg, 0, now)
	meter := autoscaler.NewMeter(cfg.StableWindow, cfg.PanicWindow)
	meter.Count(now, 0) // request-seconds in flight, from the gateway

	now = now.Add(cfg.Tick)
	meter.Count(now, 24*cfg.Tick.Seconds())
	sample := autoscaler.Sample{Ready: 0, Starting: 1, Active: true}
	sample.Stable, sample.Panic, sample.Valid = meter.Values(now)

	decision := scaler.Decide(now, sample)
	fmt.Println(decision.Desired, decision.Reason)
	fmt.Println(decision.Explanation())
	// Output:
	// 4 stable
	// 4 instances: 24 in flight / 6 per instance over 120 s; none is stopped before 14:02:00
}
