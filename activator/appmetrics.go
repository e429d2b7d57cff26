package activator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/visitor"
)

const (
	// appInterval is how often instances are asked for their metrics.
	appInterval = 5 * time.Second
	// appTimeout bounds one scrape, appPageLimit the size of the answer, appsAtOnce how many instances are asked at a time.
	appTimeout   = 2 * time.Second
	appPageLimit = 1 << 20
	appsAtOnce   = 8
	// maxRedirections is how often a scrape follows where the app leads it.
	maxRedirections = 3
	// appSeriesLimit is how many series of one instance are published.
	appSeriesLimit = 1000
	// reservedPrefix begins the names of fnctl's own metrics. An app must not be able to pose as the gateway.
	reservedPrefix = "fnctl_"
)

// targetLabels are the labels that are added to every series of an app, here or by Prometheus. The app's own labels of these
// names are renamed.
var targetLabels = []model.LabelName{"function", "revision", "instance", "job"}

// AppMetrics scrapes the instances of functions with a metrics_path, and publishes their metrics on one page. Its methods may
// be called from several goroutines.
type AppMetrics struct {
	store platform.Store
	log   *slog.Logger

	pages   atomic.Pointer[map[platform.InstanceID]model.Vector]
	scrapes *prometheus.CounterVec
	dropped *prometheus.CounterVec

	mu sync.Mutex
	// logged has the revisions of which a failure was logged.
	logged map[deployed]bool
}

// deployed is a revision and the time at which it was made: a function that was removed may be deployed again, with numbers
// from 1.
type deployed struct {
	id platform.RevisionID
	at int64
}

// NewAppMetrics returns one without metrics yet. Its own counters go to the registry.
func NewAppMetrics(store platform.Store, registry prometheus.Registerer, log *slog.Logger) *AppMetrics {
	m := &AppMetrics{
		store: store,
		log:   log,
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fnctl_activator_app_scrapes_total",
			Help: "Scrapes of instances with a metrics_path, by how they ended.",
		}, []string{"result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fnctl_activator_app_series_dropped_total",
			Help: "Series of apps that were not taken over, at each scrape anew, by why.",
		}, []string{"reason"}),
		logged: map[deployed]bool{},
	}
	registry.MustRegister(m.scrapes, m.dropped)
	m.pages.Store(&map[platform.InstanceID]model.Vector{})
	return m
}

// Run scrapes the instances that ready lists, every five seconds until the context ends. They must be ready: a connection to
// an armed instance would start it.
func (m *AppMetrics) Run(ctx context.Context, ready func() []platform.InstanceID) error {
	ticker := time.NewTicker(appInterval)
	defer ticker.Stop()
	for {
		m.Scrape(ctx, ready())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Scrape scrapes those of the instances whose function has a metrics_path, and replaces the page by their metrics.
func (m *AppMetrics) Scrape(ctx context.Context, ready []platform.InstanceID) {
	var mu sync.Mutex
	pages := map[platform.InstanceID]model.Vector{}
	// Most machines have no function with a metrics_path: nothing is read for them.
	settings := sync.OnceValue(func() platform.Settings {
		settings, err := platform.LoadSettings(m.store.Paths)
		if err != nil {
			return platform.DefaultSettings()
		}
		return settings
	})
	revisions := map[platform.RevisionID]platform.Revision{}
	var group errgroup.Group
	group.SetLimit(appsAtOnce)
	for _, id := range ready {
		revision, known := revisions[id.Revision]
		if !known {
			// A revision that cannot be read is being removed, and has no path.
			revision, _ = m.store.Revision(id.Revision)
			revisions[id.Revision] = revision
		}
		if revision.Config.MetricsPath == "" {
			continue
		}
		group.Go(func() error {
			page, err := m.scrape(ctx, id, revision.Config, settings())
			m.scrapes.WithLabelValues(result(err)).Inc()
			if err != nil {
				m.logOnce(id, revision, err)
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			pages[id] = page
			return nil
		})
	}
	_ = group.Wait() // no goroutine returns an error
	m.pages.Store(&pages)
}

// logOnce logs that a revision has no metrics, unless it has before. The counter goes on.
func (m *AppMetrics) logOnce(id platform.InstanceID, revision platform.Revision, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := deployed{id.Revision, revision.Created.UnixNano()}
	if !m.logged[key] {
		m.logged[key] = true
		m.log.Warn("no metrics of the app, which is said once", "function", id.Revision.Function, "revision", id.Revision.String(),
			"instance", id.String(), "err", err)
	}
}

// scrape asks one instance, past the gateway: this is no request of a client, though it looks like one's.
func (m *AppMetrics) scrape(ctx context.Context, id platform.InstanceID, config platform.Config, settings platform.Settings) (model.Vector, error) {
	ctx, cancel := context.WithTimeout(ctx, appTimeout)
	defer cancel()
	asks, err := visitor.Of(settings, id.Revision.Function, config.Hosts)
	if err != nil {
		return nil, err
	}
	path := config.MetricsPath
	req, err := asks.Request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport: visitor.Transport(m.store.Paths.InstanceSocket(id), config.Protocol),
		// Every redirection leads to the same app: from /metrics to /metrics/, as is usual.
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) == maxRedirections {
				return errors.New("too many redirections")
			}
			req.URL.Scheme = "http" // what is said to be HTTPS is none on the app's socket
			return nil
		},
	}
	req.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	req.Header.Set("User-Agent", "fnctl-activator")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("scrape the app: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("scrape the app: %s answered %s", path, resp.Status)
	}
	return m.read(id, http.MaxBytesReader(nil, resp.Body, appPageLimit))
}

// read returns the series of a page that may be published.
func (m *AppMetrics) read(id platform.InstanceID, page io.Reader) (model.Vector, error) {
	// A name outside of the legacy syntax could become a reserved one for a scraper that asks for escaped names.
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return nil, fmt.Errorf("read the app's metrics: %w", err)
	}
	var taken model.Vector
	seen := map[model.Fingerprint]bool{}
	for _, name := range slices.Sorted(maps.Keys(families)) {
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, families[name])
		if err != nil {
			return nil, fmt.Errorf("read the app's metrics: %w", err)
		}
		for _, sample := range samples {
			fingerprint := sample.Metric.Fingerprint()
			switch {
			case strings.HasPrefix(string(sample.Metric[model.MetricNameLabel]), reservedPrefix):
				m.drop("reserved")
			case seen[fingerprint]:
				m.drop("duplicate")
			case len(taken) == appSeriesLimit:
				m.drop("limit")
			default:
				seen[fingerprint] = true
				addTargetLabels(sample.Metric, id)
				taken = append(taken, sample)
			}
		}
	}
	return taken, nil
}

func (m *AppMetrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }

// addTargetLabels adds the labels of the instance as Prometheus adds those of a target: labels of the app with the same name
// get the prefix exported_.
func addTargetLabels(metric model.Metric, id platform.InstanceID) {
	for _, name := range targetLabels {
		value, has := metric[name]
		if !has {
			continue
		}
		delete(metric, name)
		renamed := model.ExportedLabelPrefix + name
		for _, taken := metric[renamed]; taken; _, taken = metric[renamed] {
			renamed = model.ExportedLabelPrefix + renamed
		}
		metric[renamed] = value
	}
	metric["function"] = model.LabelValue(id.Revision.Function)
	metric["revision"] = model.LabelValue(id.Revision.String())
	metric["instance"] = model.LabelValue(strconv.Itoa(id.Index))
}

// Handler serves the metrics of all apps.
func (m *AppMetrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.GathererFunc(m.gather), promhttp.HandlerOpts{})
}

// gather returns families without a type: two apps may give the same name to metrics of different types.
func (m *AppMetrics) gather() ([]*dto.MetricFamily, error) {
	byName := map[model.LabelValue]*dto.MetricFamily{}
	pages := *m.pages.Load()
	ids := slices.SortedFunc(maps.Keys(pages), func(a, b platform.InstanceID) int { return cmp.Compare(a.String(), b.String()) })
	for _, id := range ids {
		for _, sample := range pages[id] {
			name := sample.Metric[model.MetricNameLabel]
			if byName[name] == nil {
				byName[name] = &dto.MetricFamily{Name: (*string)(&name), Type: dto.MetricType_UNTYPED.Enum()}
			}
			byName[name].Metric = append(byName[name].Metric, untyped(sample))
		}
	}
	families := make([]*dto.MetricFamily, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		families = append(families, byName[name])
	}
	return families, nil
}

func untyped(sample *model.Sample) *dto.Metric {
	metric := &dto.Metric{Untyped: &dto.Untyped{Value: (*float64)(&sample.Value)}}
	for _, name := range slices.Sorted(maps.Keys(sample.Metric)) {
		if name != model.MetricNameLabel {
			value := sample.Metric[name]
			metric.Label = append(metric.Label, &dto.LabelPair{Name: (*string)(&name), Value: (*string)(&value)})
		}
	}
	return metric
}
