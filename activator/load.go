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

// Load is what the gateway has seen of one revision.
type Load struct {
	// Started counts the requests that have arrived since the gateway started.
	Started float64
	// InFlightSeconds is the integral of the requests in flight over time since the gateway started.
	InFlightSeconds float64
	// InFlight and Queued are the requests that are held or running, and those of them that are held.
	InFlight, Queued float64
	// Instances has the requests running on each instance that the gateway knows, by index.
	Instances map[int]InstanceLoad
}

// startedSince tells whether a request has arrived since an earlier report, or ever if there is none. A counter that went
// back is that of another gateway, which began at nothing.
func (l *Load) startedSince(before *Load) bool {
	if before == nil || l.Started < before.Started {
		return l.Started > 0
	}
	return l.Started > before.Started
}

// InstanceLoad is what the gateway has seen of one instance.
type InstanceLoad struct {
	InFlight float64
	// Ready instances have accepted a connection of the gateway's.
	Ready bool
	// Deaf instances run and leave unread what the gateway sends them.
	Deaf bool
	// Draining instances get no new request; the gateway has seen their socket go.
	Draining bool
}

// Source tells what load there is.
type Source interface {
	Load(ctx context.Context) (map[platform.RevisionID]*Load, error)
}

// GatewaySource asks the gateway itself, over its unix socket.
type GatewaySource struct {
	client *http.Client
	// lately limits the answers to revisions that were active, once all were told. It is not safe for concurrent use.
	lately bool
	known  bool
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
			DisableCompression: true, // nothing is to be saved on a unix socket
			DialContext:        platform.DialUnix(socket),
		},
	}}
}

// NewActiveGatewaySource returns the source behind a gateway's status socket that tells of all revisions the first time,
// and after every failure, and then of those only that are or were active lately. One that it does not mention is idle,
// and as it was when it was mentioned last. One goroutine at a time may use it.
func NewActiveGatewaySource(socket string) *GatewaySource {
	s := NewGatewaySource(socket)
	s.lately = true
	return s
}

// Load scrapes the gateway.
func (s *GatewaySource) Load(ctx context.Context) (map[platform.RevisionID]*Load, error) {
	page := "http://gateway/metrics"
	if s.known && s.lately {
		page += "?active=10s"
	}
	loads, err := s.scrape(ctx, page)
	if s.lately {
		s.known = err == nil
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

// setters store the value of a series; label gives the labels of the series.
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
			Ready:    seen.Ready || state == platform.Ready,
			Deaf:     seen.Deaf || state == platform.Deaf,
			Draining: seen.Draining || state == platform.Draining,
		}
	},
}

// value is that of a counter or a gauge, whichever it is.
func value(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}
