package activator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fnctl/fnctl/platform"
)

// metrics is what the activator tells of itself. What it tells of each revision is read from the last status.
type metrics struct {
	registry *prometheus.Registry
	ticks    prometheus.Histogram
	actions  *prometheus.CounterVec
	scrapes  *prometheus.CounterVec
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
	}
	m.registry.MustRegister(m.ticks, m.actions, m.scrapes)
	return m
}

func (m *metrics) tick(d time.Duration) { m.ticks.Observe(d.Seconds()) }

func (m *metrics) action(done action) { m.actions.WithLabelValues(done.verb, result(done.err)).Inc() }

func (m *metrics) scrape(err error) { m.scrapes.WithLabelValues(result(err)).Inc() }

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

var (
	revisionLabels = []string{"function", "revision"}
	desiredDesc    = prometheus.NewDesc("fnctl_activator_desired_instances", "Instances that the revision should have.", revisionLabels, nil)
	valueDesc      = prometheus.NewDesc("fnctl_activator_metric_value", "Average of the revision's metric over the stable window.", append(revisionLabels, "metric"), nil)
	targetDesc     = prometheus.NewDesc("fnctl_activator_metric_target", "What one instance should have of the revision's metric.", append(revisionLabels, "metric"), nil)
	instancesDesc  = prometheus.NewDesc("fnctl_activator_instances", "Instances of the revision by state.", append(revisionLabels, "state"), nil)
)

// statusCollector turns the last status into metrics.
type statusCollector struct{ activator *Activator }

// Describe implements prometheus.Collector.
func (statusCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{desiredDesc, valueDesc, targetDesc, instancesDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c statusCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range c.activator.Status() {
		function, revision := s.Revision.Function, s.Revision.String()
		gauge(desiredDesc, float64(s.Desired), function, revision)
		gauge(valueDesc, s.Value, function, revision, string(s.Metric))
		gauge(targetDesc, s.Target, function, revision, string(s.Metric))
		count := map[platform.InstanceState]int{}
		for _, state := range s.Instances {
			count[state]++
		}
		for _, state := range []platform.InstanceState{platform.Armed, platform.Starting, platform.Ready, platform.Draining, platform.Failed} {
			gauge(instancesDesc, float64(count[state]), function, revision, string(state))
		}
	}
}
