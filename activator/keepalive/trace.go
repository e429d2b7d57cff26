package keepalive

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Trace is how often each of many functions was called in each minute.
type Trace struct {
	Functions []Function
	Assumptions
}

// Assumptions are about what a trace does not tell.
type Assumptions struct {
	// ColdStart is the time that every start of an instance takes.
	ColdStart time.Duration
	// Spread is the part of its minute, from the beginning, in which a call falls; where, is drawn. With 0 all calls come at the
	// beginning of their minute.
	Spread time.Duration
	Seed   uint64
}

// DefaultAssumptions are those of ReadTrace: a cold start takes a second, and a call falls anywhere within its minute.
var DefaultAssumptions = Assumptions{ColdStart: time.Second, Spread: time.Minute, Seed: 1}

// Function is one function of a trace.
type Function struct {
	ID       string
	Trigger  string        // what called it: http, timer, queue…
	Duration time.Duration // of a call, the mean
	Memory   int64         // of an instance, in bytes
	Minutes  []Minute      // with calls, in order
}

// Minute is one minute of a function, in which there were calls.
type Minute struct{ Minute, Calls int }

// drawn is how many calls of a function in one minute are drawn. Of more, these stand for all: the gaps between them are seconds,
// and no policy is about seconds.
const drawn = 30

// span is from the first minute with a call to the end of the last one.
func (t Trace) span() (begin, end time.Duration) {
	first, last := -1, -1
	for _, f := range t.Functions {
		if n := len(f.Minutes); n > 0 {
			if m := f.Minutes[0].Minute; first < 0 || m < first {
				first = m
			}
			last = max(last, f.Minutes[n-1].Minute)
		}
	}
	if first < 0 {
		return 0, 0
	}
	return time.Duration(first) * time.Minute, time.Duration(last+1) * time.Minute
}

// eachCall draws the calls and hands them over in the order of their time. Those that are drawn stand for the same number each, or
// one more.
func (t Trace) eachCall(do func(at time.Duration, function, calls int)) {
	type call struct {
		at              time.Duration
		function, calls int
	}
	random := rand.New(rand.NewPCG(t.Seed, 0))
	next := make([]int, len(t.Functions)) // of each function's minutes
	begin, end := t.span()
	var calls []call
	for minute := begin; minute < end; minute += time.Minute {
		calls = calls[:0]
		for i, f := range t.Functions {
			if next[i] == len(f.Minutes) || time.Duration(f.Minutes[next[i]].Minute)*time.Minute != minute {
				continue
			}
			n := f.Minutes[next[i]].Calls
			next[i]++
			for j, k := 0, min(n, drawn); j < k; j++ {
				at := minute + time.Duration(random.Float64()*float64(t.Spread))
				calls = append(calls, call{at, i, (n + j) / k}) // which sum up to n
			}
		}
		slices.SortFunc(calls, func(a, b call) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.function, b.function)) })
		for _, c := range calls {
			do(c.at, c.function, c.calls)
		}
	}
}
