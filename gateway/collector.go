package gateway

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fnctl/fnctl/certificates"
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
	descInstanceUnread   = prometheus.NewDesc(platform.MetricInstanceUnread, "Requests that an instance which has stopped reading has not read.", append(revisionLabels[:2:2], "instance"), nil)
	descRetries          = prometheus.NewDesc(MetricRetries, "Requests that were sent again.", revisionLabels, nil)
	descAborted          = prometheus.NewDesc(MetricAborted, "Requests that broke off before their response was complete.", append(revisionLabels[:2:2], "reason"), nil)
	descReceived         = prometheus.NewDesc(MetricReceived, "Bytes of the contents of requests.", revisionLabels, nil)
	descSent             = prometheus.NewDesc(MetricSent, "Bytes of the contents of responses.", revisionLabels, nil)
	descConnections      = prometheus.NewDesc(MetricConnections, "Open connections of clients.", nil, nil)
	descServing          = prometheus.NewDesc(MetricServingSeconds, "Time with at least one request in flight.", []string{"function"}, nil)
	descBadRoutes        = prometheus.NewDesc(platform.MetricBadRoutes, "Functions whose route cannot be read.", nil, nil)
	descCertificates     = prometheus.NewDesc(MetricCertificateExpiry, "When the certificate of a host ends.", []string{"host"}, nil)
	descHostConflicts    = prometheus.NewDesc(MetricHostConflicts, "Hosts that a function claims and another has.", nil, nil)
)

// loadDescs are the metrics that the activator reads.
var loadDescs = []*prometheus.Desc{descStarted, descInFlight, descInFlightSeconds, descQueued, descInstanceInFlight, descInstanceUnread}

// collector reads the fleet when it is scraped.
type collector struct {
	fleet   *fleet
	routes  *routeFollower
	clients *clients
	// certificates are those that are served.
	certificates *certificates.Cache
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	others := []*prometheus.Desc{
		descRequests, descRetries, descAborted, descReceived, descSent, descServing, descConnections, descBadRoutes, descHostConflicts, descCertificates,
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
		for _, m := range collectPool(p) {
			ch <- m
		}
	}
	for host, pair := range c.certificates.All() {
		ch <- prometheus.MustNewConstMetric(descCertificates, prometheus.GaugeValue, float64(pair.Leaf().NotAfter.Unix()), host)
	}
	ch <- prometheus.MustNewConstMetric(descConnections, prometheus.GaugeValue, float64(c.clients.count()))
	ch <- prometheus.MustNewConstMetric(descBadRoutes, prometheus.GaugeValue, float64(c.routes.badCount.Load()))
	ch <- prometheus.MustNewConstMetric(descHostConflicts, prometheus.GaugeValue, float64(c.routes.conflictCount.Load()))
}

// activeCollector collects the load of the pools that have requests in flight, or were active within a time.
type activeCollector struct {
	fleet  *fleet
	within time.Duration
}

// Describe implements prometheus.Collector.
func (c activeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range loadDescs {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c activeCollector) Collect(ch chan<- prometheus.Metric) {
	since := time.Now().Add(-c.within)
	for _, p := range c.fleet.env.recent.list() {
		for _, m := range collectActive(p, since) {
			ch <- m
		}
	}
}

// collectPool reads all series of a pool at one moment.
func collectPool(p *pool) []prometheus.Metric {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := newSeries(p)
	s.addLoad(p, time.Now())
	s.addCounts(&p.counts)
	return s.metrics
}

// collectActive reads the load of a pool that has requests in flight or was active since a time.
func collectActive(p *pool, since time.Time) []prometheus.Metric {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.counts.isActive(now, since) {
		return nil
	}
	s := newSeries(p)
	s.addLoad(p, now)
	return s.metrics
}

// series collects the metrics of one revision.
type series struct {
	function, revision string
	metrics            []prometheus.Metric
}

func newSeries(p *pool) series {
	return series{function: p.revision.Function, revision: p.revision.String()}
}

// addLoad adds what the activator reads. The mutex of the pool is held.
func (s *series) addLoad(p *pool, now time.Time) {
	s.add(descStarted, prometheus.CounterValue, float64(p.counts.started))
	s.add(descInFlight, prometheus.GaugeValue, float64(p.counts.inFlight.n))
	s.add(descInFlightSeconds, prometheus.CounterValue, p.counts.inFlight.integral(now))
	s.add(descQueued, prometheus.GaugeValue, float64(p.waiters.Len()+p.peers.queued()))
	for key, n := range p.loads() {
		s.add(descInstanceInFlight, prometheus.GaugeValue, float64(n), strconv.Itoa(key.index), key.state)
	}
	for index, n := range p.unread() {
		s.add(descInstanceUnread, prometheus.GaugeValue, float64(n), strconv.Itoa(index))
	}
}

// addCounts adds what is counted besides. The mutex of the pool is held.
func (s *series) addCounts(c *counts) {
	if c.retries > 0 {
		s.add(descRetries, prometheus.CounterValue, float64(c.retries))
	}
	if c.received > 0 {
		s.add(descReceived, prometheus.CounterValue, float64(c.received))
	}
	if c.sent > 0 {
		s.add(descSent, prometheus.CounterValue, float64(c.sent))
	}
	for code, n := range c.codes {
		s.add(descRequests, prometheus.CounterValue, float64(n), strconv.Itoa(code))
	}
	for reason, n := range c.aborted {
		s.add(descAborted, prometheus.CounterValue, float64(n), string(reason))
	}
}

func (s *series) add(desc *prometheus.Desc, kind prometheus.ValueType, value float64, more ...string) {
	labels := append([]string{s.function, s.revision}, more...)
	s.metrics = append(s.metrics, prometheus.MustNewConstMetric(desc, kind, value, labels...))
}
