package activator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/fnctl/fnctl/platform"
)

const (
	// promTimeout bounds one query, also in Prometheus itself.
	promTimeout = 2 * time.Second
	// promMaxAge is how old a scrape of the gateway may be. Prometheus itself would go on for five minutes.
	promMaxAge = 10 * time.Second
	// promLimit is the largest answer that is read.
	promLimit = 32 << 20
	// promScraped is the name of the series in the answer to loadQuery that has the time of the scrape.
	promScraped = "scraped"
)

// loadQuery asks for all metrics at once, so that they are of one scrape. An instant query dates its series to the time of the
// query; timestamp() of a series that the gateway always has yields the time of the scrape.
var loadQuery = fmt.Sprintf(`{__name__=~"%s"} or label_replace(timestamp(%s), "__name__", "%s", "", "")`,
	strings.Join(loadMetrics(), "|"), platform.MetricBadRoutes, promScraped)

func loadMetrics() []string {
	var names []string
	for name := range setters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// PrometheusSource asks a Prometheus server that scrapes the gateway. Its load is that of the last scrape. It is safe for
// concurrent use.
type PrometheusSource struct{ api promv1.API }

// NewPrometheusSource returns the source behind the address of a Prometheus server.
func NewPrometheusSource(address string) (*PrometheusSource, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}
	client, err := api.NewClient(api.Config{Address: address, RoundTripper: limited{transport}})
	if err != nil {
		return nil, fmt.Errorf("make a client of prometheus: %w", err)
	}
	return &PrometheusSource{promv1.NewAPI(client)}, nil
}

// limited bounds the size of responses: client_golang reads them to the end.
type limited struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > promLimit { // known before it is read
		resp.Body.Close()
		return nil, errors.New("the answer is too large")
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, promLimit)
	return resp, nil
}

// Load returns the load as of the last scrape of the gateway. The error is ErrNotScraped if there was none.
func (s *PrometheusSource) Load(ctx context.Context) (map[platform.RevisionID]*Load, error) {
	loads, _, err := s.LoadAt(ctx)
	return loads, err
}

// LoadAt is Load, and when the gateway was scraped. The load doesn't show later events, such as that an instance's socket has
// gone; rates of counters have to be taken over these times.
func (s *PrometheusSource) LoadAt(ctx context.Context) (map[platform.RevisionID]*Load, time.Time, error) {
	now := time.Now()
	value, err := s.ask(ctx, loadQuery, now)
	if err != nil {
		return nil, time.Time{}, err
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, time.Time{}, fmt.Errorf("ask prometheus: got %s, want a vector", kindOf(value))
	}
	at, err := scrapedAt(vector, now)
	if err != nil {
		return nil, time.Time{}, err
	}
	loads, err := readLoads(vector)
	return loads, at, err
}

// ErrNotScraped is the error when Prometheus has no metrics of the gateway, which is not the same as no load.
var ErrNotScraped = errors.New("prometheus has no metrics of the gateway: it isn't scraped, or the scrape fails")

// scrapedAt returns when the gateway was scraped. It refuses the metrics of two gateways, or of one under two names: they must
// not be mixed.
func scrapedAt(vector model.Vector, now time.Time) (time.Time, error) {
	var scraped model.Vector
	for _, sample := range vector {
		if sample.Metric[model.MetricNameLabel] == promScraped {
			scraped = append(scraped, sample)
		}
	}
	switch {
	case len(scraped) == 0:
		return time.Time{}, ErrNotScraped
	case len(scraped) > 1:
		return time.Time{}, fmt.Errorf("prometheus has metrics of %d gateways, of which one must be left: %s", len(scraped), targets(scraped))
	}
	at := time.UnixMilli(int64(math.Round(float64(scraped[0].Value) * 1000)))
	if age := now.Sub(at); age > promMaxAge || age < -promMaxAge {
		return time.Time{}, fmt.Errorf("prometheus last scraped the gateway at %v, which is too far from now", at.Format(time.DateTime))
	}
	return at, nil
}

func targets(vector model.Vector) string {
	var names []string
	for _, sample := range vector {
		delete(sample.Metric, model.MetricNameLabel)
		names = append(names, sample.Metric.String())
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func readLoads(vector model.Vector) (map[platform.RevisionID]*Load, error) {
	loads := map[platform.RevisionID]*Load{}
	for _, sample := range vector {
		set := setters[string(sample.Metric[model.MetricNameLabel])]
		if set == nil {
			continue
		}
		id, err := platform.ParseRevisionID(string(sample.Metric["revision"]))
		if err != nil {
			return nil, fmt.Errorf("read the gateway's metrics in prometheus: %s: %w", sample.Metric, err)
		}
		if !usable(float64(sample.Value)) {
			return nil, fmt.Errorf("read the gateway's metrics in prometheus: %s is %v", sample.Metric, sample.Value)
		}
		if loads[id] == nil {
			loads[id] = newLoad()
		}
		set(loads[id], float64(sample.Value), func(name string) string { return ownLabel(sample.Metric, name) })
	}
	return loads, nil
}

// ownLabel returns a label as the gateway gave it: without honor_labels, Prometheus renames labels that a target has too.
func ownLabel(metric model.Metric, name string) string {
	if renamed, ok := metric[model.LabelName(model.ExportedLabelPrefix+name)]; ok {
		return string(renamed)
	}
	return string(metric[model.LabelName(name)])
}

// usable reports whether a number can be a load.
func usable(value float64) bool { return value >= 0 && !math.IsInf(value, 1) }

// Query evaluates a PromQL expression that yields one number: a scalar, or a vector of one element.
func (s *PrometheusSource) Query(ctx context.Context, query string) (float64, error) {
	value, err := s.ask(ctx, query, time.Now())
	if err != nil {
		return 0, err
	}
	var number model.SampleValue
	switch value := value.(type) {
	case *model.Scalar:
		number = value.Value
	case model.Vector:
		switch len(value) {
		case 0:
			return 0, errors.New("the query yields nothing; where that means 0, add: or vector(0)")
		case 1:
			number = value[0].Value
		default:
			return 0, fmt.Errorf("the query yields %d numbers, such as %s and %s: put sum() or max() around it", len(value), value[0].Metric, value[1].Metric)
		}
	default:
		return 0, fmt.Errorf("the query yields %s, want a number", kindOf(value))
	}
	if math.IsNaN(float64(number)) || math.IsInf(float64(number), 0) {
		return 0, fmt.Errorf("the query yields %v", number)
	}
	return float64(number), nil
}

func kindOf(value model.Value) string {
	if value == nil {
		return "nothing"
	}
	return "a " + value.Type().String()
}

// ask evaluates an expression. An answer with warnings may lack a part, so ask returns an error instead.
func (s *PrometheusSource) ask(ctx context.Context, query string, at time.Time) (model.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, promTimeout)
	defer cancel()
	value, warnings, _, err := s.api.Query(ctx, query, at, promv1.WithTimeout(promTimeout))
	if err != nil {
		return nil, fmt.Errorf("ask prometheus: %w", err)
	}
	// Before version 3, notes on the style of a query are among the warnings.
	warnings = slices.DeleteFunc(warnings, func(text string) bool { return strings.HasPrefix(text, "PromQL info:") })
	if len(warnings) > 0 {
		return nil, fmt.Errorf("ask prometheus: it warns: %s", strings.Join(warnings, "; "))
	}
	return value, nil
}
