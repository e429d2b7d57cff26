package platform

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/fnctl/fnctl/platform/keys"
)

// Metric names the measure that the number of instances follows.
type Metric string

// The metrics. A target is an average per instance.
const (
	// MetricCPU is the processor time in use, in percent of the tier's cores, or of the machine's if it has fewer.
	MetricCPU Metric = "cpu"
	// MetricMemory is the memory in use, in MiB.
	MetricMemory Metric = "memory"
	// MetricRPS is the number of requests per second.
	MetricRPS Metric = "rps"
	// MetricConcurrency is the number of requests in flight.
	MetricConcurrency Metric = "concurrency"
	// MetricPrometheus is the result of a query for the function as a whole.
	MetricPrometheus Metric = "prometheus"
)

// MetricTarget is one metric that the number of instances follows.
type MetricTarget struct {
	Metric Metric `json:"metric"`
	// Target is the value of the metric to aim at, as an average per instance, in the metric's unit. It is positive.
	Target float64 `json:"target"`
	// Query is the PromQL expression of MetricPrometheus; it yields one number. Other metrics have none.
	Query string `json:"query,omitempty"`
}

// Autoscale has the bounds of the number of instances, and the metrics that it follows.
type Autoscale struct {
	// Min is the number of instances that always run; 0 lets the function scale to zero.
	Min int `json:"min"`
	// Max is the highest number of instances, at least 1 and at least Min.
	Max int `json:"max"`
	// Single is true if there is never more than one instance of the function at a time, of whichever revision: Max is 1, and what
	// takes the place of another starts when that has ended.
	Single bool `json:"single,omitempty"`
	// Standby is how many instances that have nothing to do are frozen at most, instead of stopped; 0: none.
	Standby int `json:"standby,omitempty"`
	// Metric and Target are those of the first of Metrics.
	Metric Metric  `json:"metric"`
	Target float64 `json:"target"`
	// Metrics has one entry at least. Where there are several, the one that asks for most instances counts.
	Metrics []MetricTarget `json:"metrics"`
	// StableWindow is the time over which the metric is averaged, 6 s to 1 h.
	StableWindow Duration `json:"stable_window"`
	// ScaleDownDelay is how long the load must be lower before instances are stopped, 0 to 1 h.
	ScaleDownDelay Duration `json:"scale_down_delay"`
	// ScaleToZeroAfter is how long there must have been no request before the last instance is stopped, where Min is 0;
	// 0 to 24 h.
	ScaleToZeroAfter Duration `json:"scale_to_zero_after"`
}

// UnmarshalJSON reads an autoscale, also one that was written before there was more than one metric.
func (a *Autoscale) UnmarshalJSON(data []byte) error {
	type plain Autoscale // without this method
	const missing = -1
	decoded := plain(*a)
	decoded.Metrics, decoded.ScaleToZeroAfter = nil, missing
	if err := json.Unmarshal(data, &decoded); err != nil {
		return fmt.Errorf("decode autoscale: %w", err)
	}
	*a = Autoscale(decoded)
	if a.ScaleToZeroAfter == missing {
		a.ScaleToZeroAfter = a.StableWindow
	}
	if len(a.Metrics) == 0 {
		a.Metrics = []MetricTarget{{Metric: a.Metric, Target: a.Target}}
	}
	return nil
}

// standbyCount is a number of instances in standby: true is as many as there is memory for, false none.
type standbyCount struct{}

// Decode implements keys.Kind.
func (k standbyCount) Decode(n keys.Node) (int, bool) {
	if all, ok := n.Bool(); ok {
		if all {
			return keys.Unbounded, true
		}
		return 0, true
	}
	count, ok := n.Number()
	if !ok || count != math.Trunc(count) || count < 0 || count > keys.Unbounded {
		n.MustBe(k.Describe())
		return 0, false
	}
	return int(count), true
}

// Schema implements keys.Kind.
func (standbyCount) Schema() keys.Schema {
	return keys.Schema{"type": []string{"boolean", "integer"}, "minimum": 0}
}

// Describe implements keys.Kind.
func (standbyCount) Describe() string { return "true, false or a number of instances" }
