package gateway

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fnctl/fnctl/platform"
)

var (
	revisionLabels = []string{"function", "revision"}

	descRequests         = prometheus.NewDesc(MetricRequests, "Requests that ended, by status code.", append(revisionLabels[:2:2], "code"), nil)
	descStarted          = prometheus.NewDesc(platform.MetricRequestsStarted, "Requests that arrived.", revisionLabels, nil)
	descInFlight         = prometheus.NewDesc(platform.MetricInFlight, "Requests held or running.", revisionLabels, nil)
	descInFlightSeconds  = prometheus.NewDesc(platform.MetricInFlightSeconds, "Integral of the requests in flight over time.", revisionLabels, nil)
	descQueued           = prometheus.NewDesc(platform.MetricQueued, "Requests held until an instance may take them.", revisionLabels, nil)
	descInstanceInFlight = prometheus.NewDesc(platform.MetricInstanceInFlight, "Requests running on an instance.", append(revisionLabels[:2:2], "instance", "state"), nil)
	descRetries          = prometheus.NewDesc(MetricRetries, "Requests that were sent again.", revisionLabels, nil)
	descAborted          = prometheus.NewDesc(MetricAborted, "Requests that broke off before their response was complete.", append(revisionLabels[:2:2], "reason"), nil)
	descReceived         = prometheus.NewDesc(MetricReceived, "Bytes of the contents of requests.", revisionLabels, nil)
	descSent             = prometheus.NewDesc(MetricSent, "Bytes of the contents of responses.", revisionLabels, nil)
	descConnections      = prometheus.NewDesc(MetricConnections, "Open connections of clients.", nil, nil)
	descServing          = prometheus.NewDesc(MetricServingSeconds, "Time with at least one request in flight.", []string{"function"}, nil)
	descBadRoutes        = prometheus.NewDesc(platform.MetricBadRoutes, "Functions whose route cannot be read.", nil, nil)
	descHostConflicts    = prometheus.NewDesc(MetricHostConflicts, "Hosts that a function claims and another has.", nil, nil)
)

// loadDescs are what the activator needs to know.
var loadDescs = []*prometheus.Desc{descStarted, descInFlight, descInFlightSeconds, descQueued, descInstanceInFlight}

// collector reads the fleet when it is scraped.
type collector struct {
	fleet   *fleet
	routes  *routes
	clients *clients
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	others := []*prometheus.Desc{
		descRequests, descRetries, descAborted, descReceived, descSent, descServing, descConnections, descBadRoutes, descHostConflicts,
	}
	for _, desc := range slices.Concat(loadDescs, others) {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	functions, pools := c.fleet.survey()
	now := time.Now()
	for _, f := range functions {
		ch <- prometheus.MustNewConstMetric(descServing, prometheus.CounterValue, f.servingSeconds(now), f.name)
	}
	for _, p := range pools {
		for _, m := range p.collect() {
			ch <- m
		}
	}
	ch <- prometheus.MustNewConstMetric(descConnections, prometheus.GaugeValue, float64(c.clients.count()))
	ch <- prometheus.MustNewConstMetric(descBadRoutes, prometheus.GaugeValue, float64(c.routes.badCount.Load()))
	ch <- prometheus.MustNewConstMetric(descHostConflicts, prometheus.GaugeValue, float64(c.routes.conflictCount.Load()))
}

// collect reads all series of a pool at one moment.
func (p *pool) collect() []prometheus.Metric {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.newSeries()
	p.collectLoad(&s, time.Now())
	if p.retries > 0 {
		s.add(descRetries, prometheus.CounterValue, float64(p.retries))
	}
	if p.received > 0 {
		s.add(descReceived, prometheus.CounterValue, float64(p.received))
	}
	if p.sent > 0 {
		s.add(descSent, prometheus.CounterValue, float64(p.sent))
	}
	for code, n := range p.codes {
		s.add(descRequests, prometheus.CounterValue, float64(n), strconv.Itoa(code))
	}
	for why, n := range p.aborted {
		s.add(descAborted, prometheus.CounterValue, float64(n), string(why))
	}
	return s.metrics
}

// collectLoad reads what the activator needs to know.
func (p *pool) collectLoad(s *series, now time.Time) {
	s.add(descStarted, prometheus.CounterValue, float64(p.started))
	s.add(descInFlight, prometheus.GaugeValue, float64(p.inFlight.n))
	s.add(descInFlightSeconds, prometheus.CounterValue, p.inFlight.integral(now))
	s.add(descQueued, prometheus.GaugeValue, float64(p.queued()))
	for key, n := range p.byInstance() {
		s.add(descInstanceInFlight, prometheus.GaugeValue, float64(n), strconv.Itoa(key.index), key.state)
	}
}

func (p *pool) newSeries() series {
	return series{function: p.revision.Function, revision: p.revision.String()}
}

// series collects the metrics of one revision.
type series struct {
	function, revision string
	metrics            []prometheus.Metric
}

func (s *series) add(desc *prometheus.Desc, kind prometheus.ValueType, value float64, more ...string) {
	labels := append([]string{s.function, s.revision}, more...)
	s.metrics = append(s.metrics, prometheus.MustNewConstMetric(desc, kind, value, labels...))
}

type instanceKey struct {
	index int
	state string
}

// byInstance adds up what is in flight. An index can be there twice: as the instance that has it, and as an earlier one
// that still drains.
func (p *pool) byInstance() map[instanceKey]int {
	sums := make(map[instanceKey]int, len(p.instances))
	for _, inst := range p.instances {
		sums[instanceKey{index: inst.id.Index, state: inst.state.label()}] += inst.load()
	}
	p.addElsewhere(sums)
	return sums
}
