package gateway

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fnctl/fnctl/gateway/admission"
	"github.com/fnctl/fnctl/gateway/secure"
	"github.com/fnctl/fnctl/platform"
)

// The metrics that the gateway exposes besides those of package platform, which the activator reads.
const (
	// MetricRequests counts the requests that ended. Labels: function, revision, code. 499: the client went away.
	MetricRequests = "fnctl_gateway_requests_total"
	// MetricRetries counts the requests that were sent again, because the instance had provably not read them.
	// Labels: function, revision.
	MetricRetries = "fnctl_gateway_retries_total"
	// MetricAborted counts the requests that broke off before their response was complete. Labels: function, revision,
	// reason (client, timeout, upstream, shutdown).
	MetricAborted = "fnctl_gateway_aborted_total"
	// MetricServingSeconds is the time in which a function had at least one request in flight, without those for its
	// documentation and health. Labels: function.
	MetricServingSeconds = "fnctl_gateway_serving_seconds_total"
	// MetricDuration is a histogram of whole requests, without WebSockets. Labels: function.
	MetricDuration = "fnctl_gateway_request_duration_seconds"
	// MetricFirstByte is a histogram of the time from the arrival of a request to the head of its response. Labels: function.
	MetricFirstByte = "fnctl_gateway_time_to_first_byte_seconds"
	// MetricQueueTime is a histogram of how long requests were held that were. Labels: function.
	MetricQueueTime = "fnctl_gateway_queue_time_seconds"
	// MetricReceived and MetricSent count the bytes of the contents of requests and responses. Labels: function, revision.
	MetricReceived = "fnctl_gateway_received_bytes_total"
	MetricSent     = "fnctl_gateway_sent_bytes_total"
	// MetricConnections is the number of open connections of clients.
	MetricConnections = "fnctl_gateway_connections"
	// MetricColdStart is a histogram of how long requests waited for an instance to start. Labels: function.
	MetricColdStart = "fnctl_gateway_cold_start_seconds"
	// MetricWakes counts what [platform.MetricWake] observes. Labels: function, from.
	MetricWakes = "fnctl_gateway_wakes_total"
	// MetricDenied counts the requests that did not come in to a function, and are none of its requests. Labels: function, reason.
	MetricDenied = "fnctl_gateway_denied_total"
	// MetricUnrouted counts the requests that reached no function. Labels: code.
	MetricUnrouted = "fnctl_gateway_unrouted_requests_total"
	// MetricHandshakes counts the handshakes of TLS that ended. Labels: outcome.
	MetricHandshakes = "fnctl_gateway_handshakes_total"
	// MetricCertificateExpiry is when the certificate of a host ends, in seconds since 1970. Labels: host.
	MetricCertificateExpiry = "fnctl_gateway_certificate_expiry_timestamp_seconds"
	// MetricHostConflicts is the number of hosts that a function claims and another has.
	MetricHostConflicts = "fnctl_gateway_host_conflicts"
)

// metrics are those that are counted where they happen. The others are collected from the pools when they are read
// (collector.go).
type metrics struct {
	duration   *prometheus.HistogramVec
	coldStart  *prometheus.HistogramVec
	wakes      *prometheus.CounterVec
	wake       *prometheus.HistogramVec
	firstByte  *prometheus.HistogramVec
	queueTime  *prometheus.HistogramVec
	unrouted   *prometheus.CounterVec
	handshakes *prometheus.CounterVec
	denied     *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    MetricDuration,
			Help:    "Duration of requests, from arrival to the last byte.",
			Buckets: []float64{.005, .025, .1, .25, 1, 2.5, 10, 60},
		}, []string{"function"}),
		coldStart: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    MetricColdStart,
			Help:    "Time that requests waited for an instance to start.",
			Buckets: []float64{.05, .1, .2, .4, .8, 2, 5, 20},
		}, []string{"function"}),
		wakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricWakes,
			Help: "Instances that a request had made ready, by the state that they were in.",
		}, []string{"function", "from"}),
		wake: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    platform.MetricWake,
			Help:    "Time from when a request has an instance made ready until that has read the beginning of one, by the state that it was in.",
			Buckets: []float64{.001, .002, .004, .008, .016, .05, .1, .2, .4, .8, 2, 5},
		}, []string{"function", "from"}),
		firstByte: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    MetricFirstByte,
			Help:    "Time from the arrival of a request to the head of its response.",
			Buckets: []float64{.005, .025, .1, .25, 1, 2.5, 10, 60},
		}, []string{"function"}),
		queueTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    MetricQueueTime,
			Help:    "Time that requests were held which had to wait for an instance.",
			Buckets: []float64{.005, .025, .1, .25, 1, 2.5, 10, 60},
		}, []string{"function"}),
		unrouted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricUnrouted,
			Help: "Requests that reached no function.",
		}, []string{"code"}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricHandshakes,
			Help: "Handshakes of TLS that ended.",
		}, []string{"outcome"}),
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricDenied,
			Help: "Requests that did not come in to a function, by the reason.",
		}, []string{"function", "reason"}),
	}
}

// register registers the metrics, and a collector of others.
func (m *metrics) register(r prometheus.Registerer, others prometheus.Collector) error {
	for _, each := range []prometheus.Collector{m.duration, m.coldStart, m.wakes, m.wake, m.firstByte, m.queueTime, m.unrouted, m.handshakes, m.denied, others} {
		if err := r.Register(each); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) function(name string) *function {
	return &function{
		name:      name,
		duration:  lazily(m.duration, name),
		coldStart: lazily(m.coldStart, name),
		firstByte: lazily(m.firstByte, name),
		queueTime: lazily(m.queueTime, name),
		woke: func(w wake) {
			m.wakes.WithLabelValues(name, string(w.from)).Inc()
			m.wake.WithLabelValues(name, string(w.from)).Observe(w.took.Seconds())
		},
		denied: func(reason admission.Reason) { m.denied.WithLabelValues(name, string(reason)).Inc() },
	}
}

func lazily(of *prometheus.HistogramVec, function string) func() prometheus.Observer {
	return sync.OnceValue(func() prometheus.Observer { return of.WithLabelValues(function) })
}

func (m *metrics) forget(function string) {
	for _, each := range []*prometheus.HistogramVec{m.duration, m.coldStart, m.firstByte, m.queueTime} {
		each.DeleteLabelValues(function)
	}
	for _, reason := range admission.Reasons {
		m.denied.DeleteLabelValues(function, string(reason))
	}
	for _, from := range wakeStates {
		m.wakes.DeleteLabelValues(function, string(from))
		m.wake.DeleteLabelValues(function, string(from))
	}
}

func (m *metrics) handshake(o secure.Outcome) { m.handshakes.WithLabelValues(string(o)).Inc() }

func (m *metrics) refused(code int) { m.unrouted.WithLabelValues(strconv.Itoa(code)).Inc() }
