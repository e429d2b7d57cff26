package activator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// metrics has what the activator counts of itself. The metrics of each revision are read from its last status.
type metrics struct {
	registry *prometheus.Registry
	ticks    prometheus.Histogram
	actions  *prometheus.CounterVec
	scrapes  *prometheus.CounterVec
	decided  *prometheus.CounterVec
	startup  prometheus.Histogram
	awake    prometheus.Gauge
	refused  prometheus.Counter
	// standbyBytes and evictions are about instances in standby.
	standbyBytes   prometheus.Gauge
	standbySwapped prometheus.Gauge
	evictions      *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		ticks: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "fnctl_activator_tick_duration_seconds",
			Help:    "Time of one round of looking, deciding and acting.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1},
		}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fnctl_activator_actions_total",
			Help: "Changes of instances that have ended, by what was done and how it ended.",
		}, []string{"action", "result"}),
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fnctl_activator_scrapes_total",
			Help: "Scrapes of the gateway, by how they ended.",
		}, []string{"result"}),
		decided: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fnctl_activator_decisions_total",
			Help: "Changes of the number of instances that are wanted, by the rule that settled it.",
		}, []string{"reason"}),
		startup: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "fnctl_activator_ready_seconds",
			Help:    "Time from the start of an instance to its first accepted connection.",
			Buckets: []float64{.05, .1, .2, .3, .5, 1, 2, 5, 10, 30},
		}),
		awake: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fnctl_activator_awake_revisions",
			Help: "Revisions that were looked at in the last tick.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fnctl_activator_refused_starts_total",
			Help: "Starts of instances that the host had no memory for, at each tick anew.",
		}),
		standbyBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fnctl_activator_standby_bytes",
			Help: "Memory of the instances in standby when they were frozen, without what is in swap.",
		}),
		standbySwapped: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fnctl_activator_standby_swapped_bytes",
			Help: "Memory of the instances in standby that is in swap.",
		}),
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fnctl_activator_evictions_total",
			Help: "Instances in standby that were stopped for their memory, by why: budget (more than their share), memory (the machine has little left), pressure (processes wait for memory) or start (another one needs it).",
		}, []string{"reason"}),
	}
	m.registry.MustRegister(m.ticks, m.actions, m.scrapes, m.decided, m.startup, m.awake, m.refused, m.standbyBytes, m.standbySwapped, m.evictions)
	return m
}

// tick counts a tick, and how many revisions were awake in it.
func (m *metrics) tick(d time.Duration, awake int) {
	m.ticks.Observe(d.Seconds())
	m.awake.Set(float64(awake))
}

// action counts an action that has ended.
func (m *metrics) action(done action) {
	m.actions.WithLabelValues(done.verb, result(done.err)).Inc()
	if done.verb == actionProbe && done.err == nil {
		m.startup.Observe(done.took.Seconds())
	}
}

func (m *metrics) decision(d autoscaler.Decision) { m.decided.WithLabelValues(string(d.Reason)).Inc() }

func (m *metrics) scrape(err error) { m.scrapes.WithLabelValues(result(err)).Inc() }

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var (
	revisionLabels = []string{"function", "revision"}
	desiredDesc    = prometheus.NewDesc("fnctl_activator_desired_instances", "Instances that the revision should have.", revisionLabels, nil)
	panicDesc      = prometheus.NewDesc("fnctl_activator_metric_panic_value", "Average of the revision's metric over the panic window.", append(revisionLabels, "metric"), nil)
	panickingDesc  = prometheus.NewDesc("fnctl_activator_panicking", "1 while the revision is not scaled down because of a surge.", revisionLabels, nil)
	refusedDesc    = prometheus.NewDesc("fnctl_activator_refused_instances", "Instances of the revision that the host has no memory for.", revisionLabels, nil)
	valueDesc      = prometheus.NewDesc("fnctl_activator_metric_value", "Average of the revision's metric over the stable window.", append(revisionLabels, "metric"), nil)
	targetDesc     = prometheus.NewDesc("fnctl_activator_metric_target", "What one instance should have of the revision's metric.", append(revisionLabels, "metric"), nil)
	instancesDesc  = prometheus.NewDesc("fnctl_activator_instances", "Instances of the revision by state.", append(revisionLabels, "state"), nil)
)

// statusCollector turns the last status into metrics.
type statusCollector struct{ statuses *statusCache }

// Describe implements prometheus.Collector.
func (statusCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{desiredDesc, valueDesc, panicDesc, targetDesc, panickingDesc, refusedDesc, instancesDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c statusCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range c.statuses.list() {
		function, revision := s.Revision.Function, s.Revision.String()
		gauge(desiredDesc, float64(s.Desired), function, revision)
		gauge(valueDesc, s.Value, function, revision, string(s.Metric))
		gauge(panicDesc, s.Panic, function, revision, string(s.Metric))
		gauge(panickingDesc, boolean(s.Panicking), function, revision)
		gauge(refusedDesc, float64(s.Refused), function, revision)
		gauge(targetDesc, s.Target, function, revision, string(s.Metric))
		count := map[platform.InstanceState]int{}
		for _, state := range s.Instances {
			count[state]++
		}
		for _, state := range platform.InstanceStates {
			gauge(instancesDesc, float64(count[state]), function, revision, string(state))
		}
	}
}
