package autoscaler_test

import (
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

func BenchmarkDecide(b *testing.B) {
	for name, delay := range map[string]time.Duration{"plain": 0, "delay": 30 * time.Second} {
		b.Run(name, func(b *testing.B) {
			cfg := autoscaler.DefaultConfig(autoscaler.RPS, 10)
			cfg.ScaleDownDelay = delay
			a := autoscaler.New(cfg, 1, start)
			now := start
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(cfg.Tick)
				a.Decide(now, busy(2, float64(now.Nanosecond()%50)))
			}
		})
	}
}

// One tick of 10,000 functions: the meters are read and everything is decided.
func BenchmarkTick10000(b *testing.B) {
	const functions = 10_000
	cfg := autoscaler.DefaultConfig(autoscaler.Concurrency, 6)
	scalers := make([]*autoscaler.Autoscaler, functions)
	meters := make([]*autoscaler.Meter, functions)
	for i := range scalers {
		scalers[i] = autoscaler.New(cfg, 1, start)
		meters[i] = autoscaler.NewMeter(cfg.StableWindow, cfg.PanicWindow)
	}
	now, tick := start, 0
	b.ReportAllocs()
	for b.Loop() {
		tick++
		now = now.Add(cfg.Tick)
		for i, a := range scalers {
			meters[i].Count(now, float64(tick*(i%10)))
			s := autoscaler.Sample{Ready: 1, Active: true}
			s.Stable, s.Panic, s.Valid = meters[i].Values(now)
			a.Decide(now, s)
		}
	}
}

func BenchmarkLinearAverage(b *testing.B) {
	w := autoscaler.NewLinearWindow(time.Minute, time.Second)
	for i := range 60 {
		w.Record(start.Add(time.Duration(i)*time.Second), float64(i))
	}
	now := start.Add(time.Minute)
	for b.Loop() {
		w.Average(now)
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	cfg := autoscaler.DefaultConfig(autoscaler.RPS, 10)
	a := autoscaler.New(cfg, 1, start)
	now := start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(cfg.Tick)
		a.Decide(now, busy(2, float64(now.Nanosecond()%50)))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
