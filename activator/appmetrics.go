package activator

import (
	"cmp"
	"context"
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
)

const (
	// appInterval is how often instances are asked for their metrics.
	appInterval = 5 * time.Second
	// appTimeout bounds one question, appPageLimit the size of the answer, appsAtOnce how many are asked at the same time.
	appTimeout   = 2 * time.Second
	appPageLimit = 1 << 20
	appsAtOnce   = 8
	// appSeriesLimit is how many series of an instance are taken over.
	appSeriesLimit = 1000
	// reservedPrefix begins the names of fnctl's own metrics. An app must not be able to pass for the gateway.
	reservedPrefix = "fnctl_"
)

// targetLabels are added to every series of an app, or by Prometheus. Labels of its own with these names are renamed.
var targetLabels = []model.LabelName{"function", "revision", "instance", "job"}

// AppMetrics asks the instances of functions with a metrics_path for what they tell of themselves, and tells it again.
type AppMetrics struct {
	paths platform.Paths
	store platform.Store
	log   *slog.Logger

	pages   atomic.Pointer[map[platform.InstanceID]model.Vector]
	scrapes *prometheus.CounterVec
	dropped *prometheus.CounterVec

	mu sync.Mutex
	// complained has the revisions of which a failure was logged.
	complained map[deployed]bool
}

// deployed is a revision, and when it was made: a function that was removed may come again and count from 1.
type deployed struct {
	id platform.RevisionID
	at int64
}

// NewAppMetrics makes one. What it counts of itself goes to the registry.
func NewAppMetrics(paths platform.Paths, registry prometheus.Registerer, log *slog.Logger) *AppMetrics {
	m := &AppMetrics{
		paths: paths,
		store: platform.Store{Paths: paths},
		log:   log,
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fnctl_activator_app_scrapes_total",
			Help: "Scrapes of instances with a metrics_path, by how they ended.",
		}, []string{"result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fnctl_activator_app_series_dropped_total",
			Help: "Series of apps that were not taken over, at each scrape anew, by why.",
		}, []string{"reason"}),
		complained: map[deployed]bool{},
	}
	registry.MustRegister(m.scrapes, m.dropped)
	m.pages.Store(&map[platform.InstanceID]model.Vector{})
	return m
}

// Run scrapes the instances that are ready, every five seconds until the context ends. To connect to one that is only
// armed would start it.
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

// Scrape asks those of the instances whose function has a metrics_path. What it told of others before is forgotten.
func (m *AppMetrics) Scrape(ctx context.Context, ready []platform.InstanceID) {
	var mu sync.Mutex
	pages := map[platform.InstanceID]model.Vector{}
	revisions := map[platform.RevisionID]platform.Revision{}
	var group errgroup.Group
	group.SetLimit(appsAtOnce)
	for _, id := range ready {
		revision, known := revisions[id.Revision]
		if !known {
			// One that cannot be read is being removed, and has no path.
			revision, _ = m.store.Revision(id.Revision)
			revisions[id.Revision] = revision
		}
		if revision.Config.MetricsPath == "" {
			continue
		}
		group.Go(func() error {
			page, err := m.scrape(ctx, id, revision.Config.MetricsPath)
			m.scrapes.WithLabelValues(result(err)).Inc()
			if err != nil {
				m.complain(id, revision, err)
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			pages[id] = page
			return nil
		})
	}
	_ = group.Wait() // each has dealt with its error
	m.pages.Store(&pages)
}

// complain logs once that a revision has no metrics. The counter goes on.
func (m *AppMetrics) complain(id platform.InstanceID, revision platform.Revision, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := deployed{id.Revision, revision.Created.UnixNano()}
	if !m.complained[key] {
		m.complained[key] = true
		m.log.Warn("no metrics of the app, which is said once", "function", id.Revision.Function, "revision", id.Revision.String(),
			"instance", id.String(), "err", err)
	}
}

// scrape asks one instance, past the gateway: it is no request of a client, and keeps nothing from draining.
func (m *AppMetrics) scrape(ctx context.Context, id platform.InstanceID, path string) (model.Vector, error) {
	ctx, cancel := context.WithTimeout(ctx, appTimeout)
	defer cancel()
	// Wherever a redirection leads, it leads to the same app: from /metrics to /metrics/, as is usual.
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		DialContext:        platform.DialUnix(m.paths.InstanceSocket(id)),
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
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

// read takes over the series of a page.
func (m *AppMetrics) read(id platform.InstanceID, page io.Reader) (model.Vector, error) {
	// A name beyond the classic ones could become a reserved one, where a scraper asks for it to be escaped.
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
				target(sample.Metric, id)
				taken = append(taken, sample)
			}
		}
	}
	return taken, nil
}

func (m *AppMetrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }

// target adds the labels of the instance as Prometheus adds those of a target: the series' own get the prefix exported_.
func target(metric model.Metric, id platform.InstanceID) {
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

// gather makes families without a type: two apps may well give one name to metrics of two types.
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
