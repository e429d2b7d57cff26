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
)

// metricRule is what a metric asks of its target.
type metricRule struct {
	metric Metric
	// target is the default, 0 where the user must give one.
	target float64
	// limit is the highest target that can be reached, 0 for no limit.
	limit float64
	// unit says what the target counts.
	unit string
}

var metricRules = []metricRule{
	{metric: MetricCPU, target: 70, limit: 100, unit: "percent of the tier's cores"},
	{metric: MetricMemory, unit: "MiB"},
	{metric: MetricRPS, target: 10, unit: "requests per second"},
	{metric: MetricConcurrency, target: 100, unit: "requests in flight"},
}

func metricNames() []string {
	names := make([]string, len(metricRules))
	for i, rule := range metricRules {
		names[i] = string(rule.metric)
	}
	return names
}

// Autoscale says how many instances run, and by which metric.
type Autoscale struct {
	// Min is the number of instances that always run; 0 lets the function scale to zero.
	Min int `json:"min"`
	// Max is the highest number of instances, at least 1 and at least Min.
	Max    int    `json:"max"`
	Metric Metric `json:"metric"`
	// Target is the value of the metric to aim at, as an average per instance, in the metric's unit. It is positive.
	Target float64 `json:"target"`
	// StableWindow is the time over which the metric is averaged, 6 s to 1 h.
	StableWindow time.Duration `json:"stable_window"`
	// ScaleDownDelay is how long the load must be lower before instances are stopped, 0 to 1 h.
	ScaleDownDelay time.Duration `json:"scale_down_delay"`
}

type plainAutoscale Autoscale

type autoscaleJSON struct {
	plainAutoscale
	StableWindow   durationText `json:"stable_window"`
	ScaleDownDelay durationText `json:"scale_down_delay"`
}

// MarshalJSON writes the durations as strings such as "120s".
func (a Autoscale) MarshalJSON() ([]byte, error) {
	return json.Marshal(autoscaleJSON{plainAutoscale(a), durationText(a.StableWindow), durationText(a.ScaleDownDelay)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Autoscale) UnmarshalJSON(data []byte) error {
	decoded := autoscaleJSON{plainAutoscale(*a), durationText(a.StableWindow), durationText(a.ScaleDownDelay)}
	if err := json.Unmarshal(data, &decoded); err != nil {
		return fmt.Errorf("decode autoscale: %w", err)
	}
	*a = Autoscale(decoded.plainAutoscale)
	a.StableWindow, a.ScaleDownDelay = time.Duration(decoded.StableWindow), time.Duration(decoded.ScaleDownDelay)
	return nil
}
