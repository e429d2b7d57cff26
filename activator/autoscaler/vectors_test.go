package autoscaler_test

import (
	"encoding/json"
	"flag"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

var vectorFile = flag.String("vectors", "", "run TestVectors with this `file` instead of testdata/kpa_*.json")

// A vector is a configuration and the steps it is taken through, or a window and what is written
// to it. Times are in seconds since the creation.
type vector struct {
	Name   string
	Source string
	Config fields
	Window fields
	Steps  []fields
}

// fields are read by name, so that a file may leave out what it doesn't care about.
type fields map[string]any

func (f fields) number(name string, otherwise float64) float64 {
	if v, ok := f[name].(float64); ok {
		return v
	}
	return otherwise
}

func (f fields) bool(name string, otherwise bool) bool {
	if v, ok := f[name].(bool); ok {
		return v
	}
	return otherwise
}

func (f fields) seconds(name string, otherwise float64) time.Duration {
	return time.Duration(math.Round(f.number(name, otherwise) * 1e9))
}

func (f fields) has(name string) bool { return f[name] != nil }

// vectorBase is on a boundary of every grain that a vector may use.
var vectorBase = time.Unix(1_800_000_000, 0).UTC()

func TestVectors(t *testing.T) {
	files := []string{"testdata/kpa_vectors.json", "testdata/kpa_more.json"}
	if *vectorFile != "" {
		files = []string{*vectorFile}
	}
	for _, file := range files {
		for _, v := range readVectors(t, file) {
			t.Run(v.Name, func(t *testing.T) {
				if v.Source != "" {
					t.Logf("source: %s", v.Source)
				}
				if v.Window != nil {
					runWindow(t, v)
				} else {
					runDecisions(t, v)
				}
			})
		}
	}
}

func readVectors(t *testing.T, file string) []vector {
	t.Helper()
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) && !filepath.IsAbs(file) { // perhaps as seen from where go test was called
		data, err = os.ReadFile(filepath.Join("../..", file))
	}
	if err != nil {
		t.Fatal(err)
	}
	var content struct{ Vectors []vector }
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	if len(content.Vectors) == 0 {
		t.Fatalf("%s has no vectors", file)
	}
	return content.Vectors
}

func runDecisions(t *testing.T, v vector) {
	a := autoscaler.New(vectorConfig(v.Config), int(v.Config.number("ready_at_start", 0)), vectorBase)
	checks := 0
	for i, step := range v.Steps {
		ready, known := step["ready"]
		uncounted := known && ready == nil
		if changed, ok := step["config"].(map[string]any); ok {
			maps.Copy(v.Config, changed)
			a.Update(vectorConfig(v.Config))
		}
		d := a.Decide(vectorBase.Add(step.seconds("t_s", 0)), autoscaler.Sample{
			Ready:    int(step.number("ready", 0)),
			Starting: int(step.number("starting", 0)),
			Stable:   step.number("stable", 0),
			Panic:    step.number("panic", 0),
			Valid:    step.bool("valid", !uncounted && (step.has("stable") || step.has("panic"))),
		})
		checks += checkDecision(t, i, step, d)
	}
	if checks == 0 {
		t.Errorf("nothing to check in %d steps: no want_scale, want_ebc, want_panic or want_valid", len(v.Steps))
	}
}

func checkDecision(t *testing.T, i int, step fields, d autoscaler.Decision) (checks int) {
	t.Helper()
	valid := step.bool("want_valid", true)
	if step.has("want_valid") {
		checks++
		if d.Valid != valid {
			t.Errorf("step %d: valid = %v, want %v", i, d.Valid, valid)
		}
	}
	if want := int(step.number("want_scale", 0)); step.has("want_scale") && valid {
		checks++
		if d.Desired != want {
			t.Errorf("step %d: desired = %d, want %d (%s)", i, d.Desired, want, d.Explanation())
		}
	}
	if want := step.number("want_ebc", 0); step.has("want_ebc") && valid {
		checks++
		if math.Abs(float64(d.ExcessBurstCapacity)-want) > 1 { // their tolerance
			t.Errorf("step %d: excess burst capacity = %d, want %v ± 1", i, d.ExcessBurstCapacity, want)
		}
	}
	if want := step.bool("want_panic", false); step.has("want_panic") {
		checks++
		if d.Panicking != want {
			t.Errorf("step %d: panicking = %v, want %v", i, d.Panicking, want)
		}
	}
	return checks
}

func vectorConfig(f fields) autoscaler.Config {
	metric, _ := f["metric"].(string)
	target := f.number("target", 100)
	return autoscaler.Config{
		Metric:              autoscaler.Metric(metric),
		Target:              target,
		Total:               f.number("total", target),
		TargetBurstCapacity: f.number("tbc", 0),
		PanicThreshold:      f.number("panic_threshold", 2),
		MaxScaleUpRate:      f.number("max_scale_up_rate", 1000),
		MaxScaleDownRate:    f.number("max_scale_down_rate", 2),
		StableWindow:        f.seconds("stable_window_s", 60),
		PanicWindow:         f.seconds("panic_window_s", 6),
		ScaleDownDelay:      f.seconds("scale_down_delay_s", 0),
		Tick:                f.seconds("tick_s", 2),
		ActivationScale:     int(f.number("activation_scale", 0)),
		InitialScale:        int(f.number("initial_scale", 0)),
		Min:                 int(f.number("min", f.number("min_scale", 0))),
		Max:                 int(f.number("max", f.number("max_scale", 0))),
		Unreachable:         !f.bool("reachable", true),
		Reference:           true,
	}
}

func TestVectorFieldsAreKnown(t *testing.T) {
	known := []string{
		"metric", "target", "total", "tbc", "panic_threshold", "max_scale_up_rate", "max_scale_down_rate",
		"stable_window_s", "panic_window_s", "scale_down_delay_s", "tick_s", "activation_scale", "initial_scale",
		"min", "min_scale", "max", "max_scale", "reachable", "ready_at_start",
	}
	for _, file := range []string{"testdata/kpa_vectors.json", "testdata/kpa_more.json"} {
		for _, v := range readVectors(t, file) {
			for name := range v.Config {
				if !slices.Contains(known, name) {
					t.Errorf("%s: %s: unknown field %s", file, v.Name, name)
				}
			}
		}
	}
}

// window is what both kinds have in common.
type window interface {
	Record(now time.Time, v float64)
	Average(now time.Time) float64
	Resize(now time.Time, window time.Duration)
	NoData(now time.Time) bool
}

func runWindow(t *testing.T, v vector) {
	size, grain := v.Window.seconds("window_s", 60), v.Window.seconds("granularity_s", 1)
	var w window = autoscaler.NewLinearWindow(size, grain)
	if v.Window["algorithm"] == "weighted-exponential" {
		w = autoscaler.NewExponentialWindow(size, grain)
	}
	checks := 0
	for i, step := range v.Steps {
		now := vectorBase.Add(step.seconds("t_s", 0))
		if step.has("resize_s") {
			w.Resize(now, step.seconds("resize_s", 0))
		}
		if step.has("record") {
			w.Record(now, step.number("record", 0))
		}
		if step.has("want_average") {
			checks++
			want := step.number("want_average", 0)
			if got := w.Average(now); !(math.Abs(got-want) <= step.number("tolerance", 1e-9)) { // not for NaN either
				t.Errorf("step %d at %v s: average = %v, want %v", i, step["t_s"], got, want)
			}
		}
		if step.has("want_no_data") {
			checks++
			if got := w.NoData(now); got != step.bool("want_no_data", false) {
				t.Errorf("step %d at %v s: no data = %v", i, step["t_s"], got)
			}
		}
	}
	if checks == 0 {
		t.Errorf("nothing to check in %d steps: no want_average or want_no_data", len(v.Steps))
	}
}
