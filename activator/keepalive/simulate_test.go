package keepalive_test

import (
	"math"
	"os"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/keepalive"
)

const gb = 1 << 30

// instant is a trace in which all calls come at the beginning of their minute, and take no time.
func instant(functions ...keepalive.Function) keepalive.Trace {
	return keepalive.Trace{Functions: functions}
}

func once(minutes ...int) (all []keepalive.Minute) {
	for _, m := range minutes {
		all = append(all, keepalive.Minute{Minute: m, Calls: 1})
	}
	return all
}

func TestSimulate(t *testing.T) {
	two := instant(
		keepalive.Function{ID: "a", Memory: 2 * gb, Minutes: once(0, 2, 5, 9)},
		keepalive.Function{ID: "b", Memory: 1 * gb, Minutes: once(1, 6, 8)},
	)
	busy := instant(
		keepalive.Function{ID: "a", Memory: 1 * gb, Duration: 150 * time.Second, Minutes: once(0)},
		keepalive.Function{ID: "b", Memory: 1 * gb, Minutes: once(1, 3)},
		keepalive.Function{ID: "c", Memory: 1 * gb, Minutes: once(2, 4)},
	)
	slow := instant(keepalive.Function{ID: "a", Memory: gb, Minutes: []keepalive.Minute{
		{Minute: 0, Calls: 5}, {Minute: 1, Calls: 2}, {Minute: 2, Calls: 1},
	}})
	slow.ColdStart = 2 * time.Minute
	for _, test := range []struct {
		name   string
		trace  keepalive.Trace
		policy keepalive.Policy
		memory int64
		want   keepalive.Result
	}{
		{
			"three minutes: a is kept but for minutes 8 to 9, b but for 4 to 6", two, keepalive.Fixed(3 * time.Minute), 0,
			keepalive.Result{Calls: 7, ColdStarts: 4, WarmStarts: 3, PeakMemory: 3 * gb, MeanMemory: (9*2 + 3 + 4) * gb / 10, Expirations: 2},
		},
		{
			"for ever", two, keepalive.LeastRecentlyUsed(), 0,
			keepalive.Result{Calls: 7, ColdStarts: 2, WarmStarts: 5, PeakMemory: 3 * gb, MeanMemory: (10*2 + 9) * gb / 10},
		},
		{
			"room for one: each evicts the other", two, keepalive.LeastRecentlyUsed(), 2 * gb,
			keepalive.Result{Calls: 7, ColdStarts: 5, WarmStarts: 2, PeakMemory: 2 * gb, MeanMemory: (6*2 + 1 + 3) * gb / 10, Evictions: 4},
		},
		{
			"a start evicts nobody who is busy, and is not refused", busy, keepalive.LeastRecentlyUsed(), gb,
			keepalive.Result{Calls: 5, ColdStarts: 5, PeakMemory: 2 * gb, MeanMemory: (1 + 2 + 2 + 1 + 1) * gb / 5, Evictions: 4},
		},
		{
			"a cold start takes two minutes, in which others wait", slow, keepalive.Fixed(time.Minute), 0,
			keepalive.Result{Calls: 8, ColdStarts: 1, Waited: 6, WarmStarts: 1, PeakMemory: gb, MeanMemory: gb},
		},
		{
			"for ever, in standby after three minutes: a is woken in minutes 5 and 9, b in 6", two, keepalive.Policy{StandbyAfter: 3 * time.Minute}, 0,
			keepalive.Result{Calls: 7, ColdStarts: 2, WarmStarts: 5, Wakes: 3, PeakMemory: 3 * gb, MeanMemory: (10*2 + 9) * gb / 10},
		},
		{"nothing", keepalive.Trace{}, keepalive.Knative(), 0, keepalive.Result{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := keepalive.Simulate(test.trace, test.policy, test.memory); got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// A start that takes no time makes nobody wait, in whatever order calls are drawn; and those that are not drawn count, too.
func TestSimulateInOrder(t *testing.T) {
	trace := instant(keepalive.Function{ID: "a", Memory: gb, Minutes: []keepalive.Minute{{Minute: 3, Calls: 500}}})
	trace.Spread = time.Minute
	got := keepalive.Simulate(trace, keepalive.LeastRecentlyUsed(), 0)
	if got.Calls != 500 || got.ColdStarts != 1 || got.WarmStarts != 499 || got.Waited != 0 {
		t.Errorf("%+v, want one cold start and 499 warm ones", got)
	}
}

func azure(t *testing.T, name string) keepalive.Trace {
	t.Helper()
	file, err := os.Open("../../testdata/traces/" + name + ".csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	trace, err := keepalive.ReadTrace(file)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// TestAnchors has numbers of the day that were counted without a simulator (testdata/traces/README.md): one instance a function,
// minute resolution, cold is a first use or a gap above so many minutes.
func TestAnchors(t *testing.T) {
	for _, anchor := range []struct {
		minutes, cold int
		ofActive      float64 // cold starts, of minutes with calls
		always        float64 // functions of which all calls are cold
		idle          float64 // function-minutes with an instance and without calls
	}{
		{1, 25_907, 0.294, 0.422, 0.045},
		{5, 5_831, 0.066, 0.275, 0.140},
		{10, 3_364, 0.038, 0.245, 0.177},
		{60, 800, 0.0091, 0.128, 0.312},
	} {
		trace := azure(t, "azure2019-d01-400")
		trace.Assumptions = keepalive.Assumptions{}
		active, always := 0, 0
		keep := keepalive.Fixed(time.Duration(anchor.minutes) * time.Minute)
		for i := range trace.Functions {
			f := &trace.Functions[i]
			f.Duration, f.Memory = 0, gb
			active += len(f.Minutes)
			if r := keepalive.Simulate(instant(*f), keep, 0); r.ColdStarts == r.Calls {
				always++
			}
		}
		got := keepalive.Simulate(trace, keep, 0)
		if got.ColdStarts != anchor.cold {
			t.Errorf("%d minutes: %d cold starts, want %d", anchor.minutes, got.ColdStarts, anchor.cold)
		}
		total := float64(len(trace.Functions))
		// An instance goes so long after the beginning of its last minute with calls, not after its end: a minute for each.
		idle := float64(got.MeanMemory)/gb/total + float64(got.ColdStarts-active)/total/1440
		for _, share := range []struct {
			name                 string
			got, want, tolerance float64
		}{
			{"cold of active minutes", float64(got.ColdStarts) / float64(active), anchor.ofActive, 0.0005},
			{"functions always cold", float64(always) / total, anchor.always, 0.00051},
			{"idle but warm", idle, anchor.idle, 0.001},
		} {
			if math.Abs(share.got-share.want) > share.tolerance {
				t.Errorf("%d minutes: %s %.4f, want %.4f", anchor.minutes, share.name, share.got, share.want)
			}
		}
	}
}

// The policy was tuned on the day only.
func TestTraces(t *testing.T) {
	for _, name := range []string{"azure2019-d01-400", "azure2019-8h-500"} {
		for seed := range uint64(2) {
			trace := azure(t, name)
			trace.Seed += seed
			knative := keepalive.Simulate(trace, keepalive.Knative(), 0)
			ours := keepalive.Simulate(trace, keepalive.GreedyDual(keepalive.DefaultHalfLife), knative.PeakMemory)
			recent := keepalive.Simulate(trace, keepalive.LeastRecentlyUsed(), knative.PeakMemory)
			t.Logf("%s, seed %d\nKnative %+v\nours    %+v\nLRU     %+v", name, trace.Seed, knative, ours, recent)
			if ours.ColdStarts*10 > knative.ColdStarts {
				t.Errorf("%s: %d cold starts, Knative has %d: not a tenth", name, ours.ColdStarts, knative.ColdStarts)
			}
			if ours.PeakMemory > knative.PeakMemory {
				t.Errorf("%s: peak memory %d, Knative's is %d", name, ours.PeakMemory, knative.PeakMemory)
			}
			if ours.ColdStarts >= recent.ColdStarts {
				t.Errorf("%s: %d cold starts, least recently used has %d", name, ours.ColdStarts, recent.ColdStarts)
			}
			for _, r := range []keepalive.Result{knative, ours, recent} {
				if r.ColdStarts+r.WarmStarts+r.Waited != r.Calls {
					t.Errorf("%s: calls are lost: %+v", name, r)
				}
			}
		}
	}
}

func TestSimulateIsDeterministic(t *testing.T) {
	trace := azure(t, "azure2019-8h-500")
	trace.Functions = trace.Functions[:100]
	run := func() keepalive.Result { return keepalive.Simulate(trace, keepalive.GreedyDual(time.Hour), 5*gb) }
	first := run()
	if again := run(); again != first || first.Evictions == 0 {
		t.Errorf("another result, or no evictions: %+v, then %+v", first, again)
	}
	trace.Seed++
	if other := run(); other == first {
		t.Errorf("the seed changes nothing: %+v", first)
	}
}
