package autoscaler

import (
	"math"
	"time"
)

// Metric names what is measured. The words are those of jcloud.yml.
type Metric string

// The metrics and the unit in which Sample and Config.Target give them.
const (
	RPS         Metric = "rps"         // requests started per second
	Concurrency Metric = "concurrency" // requests in flight, time-weighted mean
	CPU         Metric = "cpu"         // percent of the tier's cores, summed over ready instances
	Memory      Metric = "memory"      // MiB, summed over ready instances
	Prometheus  Metric = "prometheus"  // whatever the user's query yields, for the whole function
)

// measuresInstances reports whether the metric is unknown unless an instance is ready.
func (m Metric) measuresInstances() bool { return m == CPU || m == Memory }

// Config is what the decisions of one metric of one function depend on. Its zero fields are filled
// in as the comments say; values that make no sense are replaced, never refused.
type Config struct {
	Metric Metric

	// Target is what one instance should carry, in the unit of Metric; at least 0.01.
	Target float64
	// Total is what one instance can carry; 0 means Target. Only ExcessBurstCapacity uses it.
	Total float64
	// TargetBurstCapacity is the burst that ready instances should have room for; 0 and -1 switch
	// the calculation off, as in Knative.
	TargetBurstCapacity float64

	// PanicThreshold is how many times the present capacity the panic value must ask for; 0 means 2. Only Reference
	// follows it.
	PanicThreshold float64
	// MaxScaleUpRate bounds one decision to this multiple of the ready instances; 0 means 1000.
	MaxScaleUpRate float64
	// MaxScaleDownRate bounds one decision to this fraction of the ready instances; 0 means 2.
	MaxScaleDownRate float64

	StableWindow time.Duration // also how long panic lasts
	PanicWindow  time.Duration
	// ScaleDownDelay is how long a decision must be lower before it is followed.
	ScaleDownDelay time.Duration
	// ScaleToZeroAfter is how long there must have been no request before Min 0 takes effect;
	// 0 means the larger of StableWindow and ScaleDownDelay.
	ScaleToZeroAfter time.Duration
	// Tick is the interval of Decide, and the finest grain of ScaleDownDelay; 0 means 2 s.
	Tick time.Duration

	// ActivationScale is the least number of instances while there is any load; below 2 it does nothing.
	ActivationScale int
	// InitialScale is the least number of instances until that many have been ready once. Leave it
	// 0 for a revision that had them before this process started.
	InitialScale int
	Min          int
	Max          int // 0 is unlimited
	// Unreachable marks a revision that no route leads to: Min, InitialScale, ScaleDownDelay and
	// MaxScaleDownRate no longer hold it up.
	Unreachable bool

	// Tolerance is the fraction by which the load may exceed the target before another instance is
	// added. It damps noise only where growth begins; a growth goes to the full need.
	Tolerance float64
	// Reference makes Decide reproduce Knative's Scale() to the number: no tolerance, no bursts, panic
	// by PanicThreshold, instances on the way don't count, and the metric alone decides about zero.
	Reference bool
}

// DefaultConfig is what fnctl uses for metric m with target per instance; a target of 0 is the
// default of jcloud.yml (cpu 70, rps 10, concurrency 100; memory and prometheus have none).
func DefaultConfig(m Metric, target float64) Config {
	if target == 0 {
		target = map[Metric]float64{CPU: 70, RPS: 10, Concurrency: 100}[m]
	}
	return Config{
		Metric: m,
		Target: target,
		Total:  target, // target means target: no hidden utilization

		PanicThreshold:   2,    // Knative, panic-threshold-percentage
		MaxScaleUpRate:   1000, // Knative, max-scale-up-rate
		MaxScaleDownRate: 2,    // Knative, max-scale-down-rate

		StableWindow:   120 * time.Second, // jcloud.yml: stable_window = timeout
		PanicWindow:    defaultPanicWindow(m, target),
		ScaleDownDelay: 30 * time.Second, // jcloud.yml: scale_down_delay
		Tick:           200 * time.Millisecond,

		Min:       1,   // jcloud.yml: autoscale.min
		Max:       10,  // jcloud.yml: autoscale.max
		Tolerance: 0.1, // Kubernetes' HorizontalPodAutoscaler
	}
}

// defaultPanicWindow is as short as the metric's noise allows. In-flight requests are a level, which two
// ticks establish. Arrivals are counts: twenty at the target distinguish twice the target from
// chance, and higher ones are certain sooner (Meter.Burst). CPU comes in bursts (garbage collection, one
// expensive request) that aren't load; memory and queries are slow by themselves.
func defaultPanicWindow(m Metric, target float64) time.Duration {
	switch m {
	case Concurrency:
		return 400 * time.Millisecond
	case RPS:
		seconds := min(max(20/target, 1), 6)
		return time.Duration(seconds * float64(time.Second))
	case CPU:
		return 2 * time.Second
	default:
		return 3 * time.Second
	}
}

// KnativeConfig is Knative Serving's behaviour out of the box (config-autoscaler): 70 % target
// utilization, 60 s and 6 s windows, a tick of 2 s. A target of 0 is its default, 100 requests in
// flight or 200 a second.
func KnativeConfig(m Metric, target float64) Config {
	if target == 0 {
		target = map[Metric]float64{RPS: 200, Concurrency: 100}[m]
	}
	return Config{
		Metric:              m,
		Target:              max(minTarget, target*0.7),
		Total:               target,
		TargetBurstCapacity: 211,
		PanicThreshold:      2,
		MaxScaleUpRate:      1000,
		MaxScaleDownRate:    2,
		StableWindow:        60 * time.Second,
		PanicWindow:         6 * time.Second,
		Tick:                knativeTick,
		Reference:           true,
	}
}

const (
	minTarget   = 0.01 // Knative, autoscaling.TargetMin
	knativeTick = 2 * time.Second
	// maxInstances keeps every count far from overflow, whatever the value of a metric.
	maxInstances = 1 << 20
)

// sane fills in what is missing and replaces what makes no sense.
func (c Config) sane() Config {
	c.Target = max(minTarget, positive(c.Target, minTarget))
	c.Total = positive(c.Total, c.Target)
	if !finite(c.TargetBurstCapacity) {
		c.TargetBurstCapacity = 0
	}
	c.PanicThreshold = positive(c.PanicThreshold, 2)
	c.MaxScaleUpRate = max(1, positive(c.MaxScaleUpRate, 1000))
	c.MaxScaleDownRate = max(1, positive(c.MaxScaleDownRate, 2))
	c.Tolerance = positive(c.Tolerance, 0)

	c.StableWindow = max(0, c.StableWindow)
	c.ScaleDownDelay = max(0, c.ScaleDownDelay)
	if c.ScaleToZeroAfter <= 0 {
		c.ScaleToZeroAfter = max(c.StableWindow, c.ScaleDownDelay)
	}
	if c.Tick <= 0 {
		c.Tick = knativeTick
	}

	c.ActivationScale = count(c.ActivationScale)
	c.InitialScale = count(c.InitialScale)
	c.Min = count(c.Min)
	if c.Max = count(c.Max); c.Max > 0 {
		c.Max = max(c.Min, c.Max)
	}
	return c
}

// bounds gives the least and the greatest allowed number of instances.
func (c *Config) bounds() (least, most int) {
	least, most = c.Min, c.Max
	if c.Unreachable {
		least = 0
	}
	if most == 0 {
		most = maxInstances
	}
	return least, most
}

func positive(v, otherwise float64) float64 {
	if v > 0 && finite(v) {
		return v
	}
	return otherwise
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func count(n int) int { return min(max(n, 0), maxInstances) }
