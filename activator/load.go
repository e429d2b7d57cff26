package activator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/fnctl/fnctl/platform"
)

// Tick is how often the activator asks for the load and decides: a step in load waits for it before instances start.
const Tick = 200 * time.Millisecond

// Load is what the gateway has seen of one revision.
type Load struct {
	// Started is a counter of the requests that have arrived since the gateway started.
	Started float64
	// InFlightSeconds is the integral of the requests in flight over time since the gateway started.
	InFlightSeconds float64
	// InFlight is the number of requests that are held or running, Queued that of those that are held.
	InFlight, Queued float64
	// Instances has the load of each instance that the gateway knows, by index.
	Instances map[int]InstanceLoad
}

// startedSince reports whether a request has arrived since an earlier report, or ever if there is none. A counter that went
// back belongs to another gateway, which began at 0.
func (l *Load) startedSince(before *Load) bool {
	if before == nil || l.Started < before.Started {
		return l.Started > 0
	}
	return l.Started > before.Started
}

// InstanceLoad is what the gateway has seen of one instance.
type InstanceLoad struct {
	// InFlight is the number of requests that it has, Unread that of those which it has not read, if it has stopped reading.
	InFlight, Unread float64
	// Ready is true if the instance has accepted a connection of the gateway's.
	Ready bool
	// Deaf is true if the instance runs and leaves unread what the gateway sends to it.
	Deaf bool
	// Resting is true if the gateway has taken note that the instance may be frozen, and has nothing on it.
	Resting bool
	// Draining is true if the gateway has seen the instance's socket go, and sends it no new request.
	Draining bool
}

// Source reports what load there is.
type Source interface {
	// Load returns the load by revision. A revision that it leaves out is idle, and its counters are as last reported.
	Load(ctx context.Context) (map[platform.RevisionID]*Load, error)
}

// DatedSource is a Source that reports the load as it was at some time before.
type DatedSource interface {
	Source
	// LoadAt is Load, and the time at which the load was so.
	LoadAt(ctx context.Context) (map[platform.RevisionID]*Load, time.Time, error)
}

// GatewaySource asks the gateway itself, over its unix socket.
type GatewaySource struct {
	client *http.Client
	// recentOnly limits the answers to revisions that were active recently, once knowsAll is true: the last answer came.
	recentOnly bool
	knowsAll   bool
}

// scrapeTimeout bounds one scrape; scrapeLimit is the largest page that is read.
const (
	scrapeTimeout = 3 * time.Second
	scrapeLimit   = 256 << 20
)

// NewGatewaySource returns the source behind a gateway's status socket.
func NewGatewaySource(socket string) *GatewaySource {
	return &GatewaySource{client: &http.Client{
		Timeout: scrapeTimeout,
		Transport: &http.Transport{
			MaxIdleConns:       1,
			DisableCompression: true, // it would save nothing on a unix socket
			DialContext:        platform.DialUnix(socket),
		},
	}}
}

// NewActiveGatewaySource returns the source behind a gateway's status socket that reports all revisions the first time and
// after every failure, and otherwise only those that are active or were so recently. A revision that it leaves out is idle,
// and as it was when it was last reported. It is not safe for concurrent use.
func NewActiveGatewaySource(socket string) *GatewaySource {
	s := NewGatewaySource(socket)
	s.recentOnly = true
	return s
}

// Load implements Source: it scrapes the gateway.
func (s *GatewaySource) Load(ctx context.Context) (map[platform.RevisionID]*Load, error) {
	page := "http://gateway/metrics"
	if s.knowsAll && s.recentOnly {
		page += "?active=10s"
	}
	loads, err := s.scrape(ctx, page)
	if s.recentOnly {
		s.knowsAll = err == nil
	}
	return loads, err
}

func (s *GatewaySource) scrape(ctx context.Context, page string) (map[platform.RevisionID]*Load, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("scrape the gateway: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("scrape the gateway: it answered %s", resp.Status)
	}
	return ParseLoad(io.LimitReader(resp.Body, scrapeLimit))
}

// ParseLoad reads a gateway's metrics in Prometheus' text format.
func ParseLoad(page io.Reader) (map[platform.RevisionID]*Load, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's metrics: %w", err)
	}
	loads := map[platform.RevisionID]*Load{}
	for name, set := range setters {
		for _, m := range families[name].GetMetric() {
			id, err := platform.ParseRevisionID(label(m, "revision"))
			if err != nil {
				return nil, fmt.Errorf("read the gateway's metrics: %s: %w", name, err)
			}
			if loads[id] == nil {
				loads[id] = newLoad()
			}
			set(loads[id], value(m), func(name string) string { return label(m, name) })
		}
	}
	return loads, nil
}

func newLoad() *Load { return &Load{Instances: map[int]InstanceLoad{}} }

// setters has, by the name of a metric, how to store the value of a series; label returns the labels of the series.
var setters = map[string]func(l *Load, value float64, label func(string) string){
	platform.MetricRequestsStarted: func(l *Load, value float64, _ func(string) string) { l.Started = value },
	platform.MetricInFlightSeconds: func(l *Load, value float64, _ func(string) string) { l.InFlightSeconds = value },
	platform.MetricInFlight:        func(l *Load, value float64, _ func(string) string) { l.InFlight = value },
	platform.MetricQueued:          func(l *Load, value float64, _ func(string) string) { l.Queued = value },
	platform.MetricInstanceInFlight: func(l *Load, value float64, label func(string) string) {
		index, err := strconv.Atoi(label("instance"))
		if err != nil {
			return
		}
		state := platform.InstanceState(label("state"))
		// An index may be there twice: as the instance that has it, and as an earlier one that still drains.
		seen := l.Instances[index]
		l.Instances[index] = InstanceLoad{
			InFlight: seen.InFlight + value,
			Unread:   seen.Unread,
			Ready:    seen.Ready || state == platform.Ready,
			Deaf:     seen.Deaf || state == platform.Deaf,
			Resting:  seen.Resting || state == platform.Standby,
			Draining: seen.Draining || state == platform.Draining,
		}
	},
	platform.MetricInstanceUnread: func(l *Load, value float64, label func(string) string) {
		if index, err := strconv.Atoi(label("instance")); err == nil {
			seen := l.Instances[index]
			seen.Unread += value
			l.Instances[index] = seen
		}
	},
}

// value returns the value of a counter or a gauge.
func value(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}
