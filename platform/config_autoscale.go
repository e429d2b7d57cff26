package platform

import (
	"encoding/json"
	"fmt"
	"time"
)

// Metric is what the number of instances follows.
type Metric string

// The metrics. A target is an average per instance.
const (
	// MetricCPU is the processor time in use, in percent of the tier's cores.
	MetricCPU Metric = "cpu"
	// MetricMemory is the memory in use, in MiB.
	MetricMemory Metric = "memory"
	// MetricRPS is the number of requests per second.
	MetricRPS Metric = "rps"
	// MetricConcurrency is the number of requests in flight.
	MetricConcurrency Metric = "concurrency"
	// MetricPrometheus is what a query yields for the function as a whole.
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

// Autoscale says how many instances run, and by which metric.
type Autoscale struct {
	// Min is the number of instances that always run; 0 lets the function scale to zero.
	Min int `json:"min"`
	// Max is the highest number of instances, at least 1 and at least Min.
	Max int `json:"max"`
	// Metric and Target are those of the first of Metrics.
	Metric Metric  `json:"metric"`
	Target float64 `json:"target"`
	// Metrics has one entry at least. Where there are several, the one that asks for most instances counts.
	Metrics []MetricTarget `json:"metrics"`
	// StableWindow is the time over which the metric is averaged, 6 s to 1 h.
	StableWindow time.Duration `json:"stable_window"`
	// ScaleDownDelay is how long the load must be lower before instances are stopped, 0 to 1 h.
	ScaleDownDelay time.Duration `json:"scale_down_delay"`
	// ScaleToZeroAfter is how long there must have been no request before the last instance is stopped, where Min is 0;
	// 0 to 24 h.
	ScaleToZeroAfter time.Duration `json:"scale_to_zero_after"`
}

type plainAutoscale Autoscale

type autoscaleJSON struct {
	plainAutoscale
	StableWindow     durationText  `json:"stable_window"`
	ScaleDownDelay   durationText  `json:"scale_down_delay"`
	ScaleToZeroAfter *durationText `json:"scale_to_zero_after"`
}

// MarshalJSON writes the durations as strings such as "120s".
func (a Autoscale) MarshalJSON() ([]byte, error) {
	zero := durationText(a.ScaleToZeroAfter)
	return json.Marshal(autoscaleJSON{plainAutoscale(a), durationText(a.StableWindow), durationText(a.ScaleDownDelay), &zero})
}

// UnmarshalJSON reads what MarshalJSON writes, and what it wrote before there was more than one metric.
func (a *Autoscale) UnmarshalJSON(data []byte) error {
	decoded := autoscaleJSON{plainAutoscale(*a), durationText(a.StableWindow), durationText(a.ScaleDownDelay), nil}
	decoded.Metrics = nil
	if err := json.Unmarshal(data, &decoded); err != nil {
		return fmt.Errorf("decode autoscale: %w", err)
	}
	*a = Autoscale(decoded.plainAutoscale)
	a.StableWindow, a.ScaleDownDelay = time.Duration(decoded.StableWindow), time.Duration(decoded.ScaleDownDelay)
	a.ScaleToZeroAfter = a.StableWindow
	if decoded.ScaleToZeroAfter != nil {
		a.ScaleToZeroAfter = time.Duration(*decoded.ScaleToZeroAfter)
	}
	if len(a.Metrics) == 0 {
		a.Metrics = []MetricTarget{{Metric: a.Metric, Target: a.Target}}
	}
	return nil
}
