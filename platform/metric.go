package platform

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fnctl/fnctl/platform/keys"
)

// metricRule has the conditions of a metric for its target.
type metricRule struct {
	metric Metric
	// target is the default, 0 where the user must give one.
	target float64
	// limit is the highest target that can be reached, 0 for no limit.
	limit float64
	// unit is the unit of the target.
	unit string
	// queried metrics have a query.
	queried bool
}

var metricRules = []metricRule{
	{metric: MetricCPU, target: 70, limit: 100, unit: "percent of the tier's cores"},
	{metric: MetricMemory, unit: "MiB"},
	{metric: MetricRPS, target: 10, unit: "requests per second"},
	{metric: MetricConcurrency, target: 100, unit: "requests in flight"},
	{metric: MetricPrometheus, unit: "the unit of the query", queried: true},
}

// defaultMetric is the metric of a jcloud.yml that names none.
const defaultMetric = MetricCPU

const (
	maxMetrics = 10
	maxQuery   = 4096
)

var (
	metricNames = keys.EnumOf(metrics()...)
	queries     = keys.Text[string]{Parse: keys.Checked(checkQuery), Pattern: `\S`, What: "a PromQL expression"}
)

func metrics() []Metric {
	metrics := make([]Metric, len(metricRules))
	for i, rule := range metricRules {
		metrics[i] = rule.metric
	}
	return metrics
}

// defaultTargets are the default targets in words.
func defaultTargets() string {
	var words, required []string
	for _, rule := range metricRules {
		if rule.target == 0 {
			required = append(required, string(rule.metric))
			continue
		}
		words = append(words, fmt.Sprintf("%s %v", rule.metric, rule.target))
	}
	return strings.Join(words, ", ") + ", required for " + strings.Join(required, " and ")
}

// checkQuery leaves the language to Prometheus: each version knows more of it.
func checkQuery(query string) error {
	switch {
	case strings.TrimSpace(query) == "":
		return fmt.Errorf("must be a PromQL expression, got %s", keys.Quote(query))
	case utf8.RuneCountInString(query) > maxQuery:
		return fmt.Errorf("must have at most %d characters", maxQuery)
	case strings.ContainsFunc(query, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }):
		return fmt.Errorf("must not contain control characters")
	}
	return nil
}

// metricRecord is where a metric was read: the section autoscale, or an item of autoscale.metrics. Its keys are those of
// metricTable.
type metricRecord interface {
	// Has reports whether a key is written.
	Has(key string) bool
	// Report adds an error about a key, written or not.
	Report(key, format string, args ...any)
}

// checkMetric fills in the default target, and reports keys that are missing or too much.
func checkMetric(r metricRecord, m *MetricTarget) (ok bool) {
	rule := metricRules[slices.IndexFunc(metricRules, func(rule metricRule) bool { return rule.metric == m.Metric })]
	ok = true
	report := func(key, format string, args ...any) {
		r.Report(key, format, args...)
		ok = false
	}
	switch {
	case !r.Has("target") && rule.target == 0:
		report("target", "required for the metric %s, in %s", rule.metric, rule.unit)
	case !r.Has("target"):
		m.Target = rule.target
	case rule.limit > 0 && m.Target > rule.limit:
		report("target", "must be at most %v for the metric %s, in %s, got %v", rule.limit, rule.metric, rule.unit, m.Target)
	}
	switch given := r.Has("query"); {
	case rule.queried && !given:
		report("query", "required for the metric %s: %s", rule.metric, queries.Describe())
	case given && !rule.queried:
		report("query", "is for the metric %s, the metric is %s", MetricPrometheus, rule.metric)
	}
	return ok
}

// metricTable has the keys of an item of autoscale.metrics.
var metricTable = &keys.Table[MetricTarget]{Keys: []keys.Key[MetricTarget]{
	{Path: "metric", Bind: func(m *MetricTarget) keys.Value { return keys.Bind(&m.Metric, metricNames) }},
	{Path: "target", Bind: func(m *MetricTarget) keys.Value { return keys.Bind(&m.Target, keys.Positive{}) }},
	{Path: "query", Bind: func(m *MetricTarget) keys.Value { return keys.Bind(&m.Query, queries) }},
}}

// metricList is a list of metrics, each a mapping with the keys of metricTable.
type metricList struct{}

// Decode implements keys.Kind.
func (k metricList) Decode(n keys.Node) ([]MetricTarget, bool) {
	if !n.IsList() {
		n.MustBe(k.Describe())
		return nil, false
	}
	items := n.Items()
	if len(items) == 0 || len(items) > maxMetrics {
		n.Report("must be %s, got %d", k.Describe(), len(items))
		return nil, false
	}
	metrics, ok := []MetricTarget{}, true
	for _, item := range items {
		metric, valid := k.item(item)
		// Two queries are two metrics; the same one twice is a mistake.
		twice := slices.ContainsFunc(metrics, func(other MetricTarget) bool {
			return other.Metric == metric.Metric && other.Query == metric.Query
		})
		if valid && twice {
			item.Report("the metric %s is in the list twice", metric.Metric)
			valid = false
		}
		metrics, ok = append(metrics, metric), ok && valid
	}
	return metrics, ok
}

func (metricList) item(n keys.Node) (MetricTarget, bool) {
	r, ok := metricTable.ReadItem(n)
	switch {
	case !ok:
		return r.Values, false
	case r.Values.Metric == "":
		r.Report("metric", "required, %s", metricNames.Describe())
		return r.Values, false
	}
	ok = checkMetric(r, &r.Values)
	return r.Values, ok
}

// Schema implements keys.Kind.
func (metricList) Schema() keys.Schema {
	item := metricTable.ItemSchema()
	item["required"] = []string{"metric"}
	item["allOf"] = append(metricSchemas(), keys.Given("metric"))
	return keys.Schema{"type": []string{"array"}, "items": item, "minItems": 1, "maxItems": maxMetrics}
}

// Describe implements keys.Kind.
func (metricList) Describe() string {
	return fmt.Sprintf("a list of 1 to %d metrics, each with %s", maxMetrics, metricTable.Names())
}

// metricSchemas are the rules between a metric, its target and its query.
func metricSchemas() []keys.Schema {
	var all []keys.Schema
	for _, rule := range metricRules {
		when := metricSchema(rule.metric)
		if rule.target == 0 {
			all = append(all, keys.Schema{"if": when, "then": keys.Given("target")})
		}
		if rule.limit > 0 {
			limited := keys.Schema{"properties": keys.Schema{"target": keys.Schema{"maximum": rule.limit}}}
			all = append(all, keys.Schema{"if": when, "then": limited})
		}
		query := keys.Given("query")
		if !rule.queried {
			query = keys.Schema{"not": query}
		}
		all = append(all, keys.Schema{"if": when, "then": query})
	}
	return all
}

// metricSchema is the schema of a mapping that uses a metric, as it does by default with one of them.
func metricSchema(metric Metric) keys.Schema {
	if metric == defaultMetric {
		return keys.Schema{"type": "object", "properties": keys.Schema{"metric": keys.Schema{"enum": []any{metric, nil}}}}
	}
	return keys.GivenAs("metric", keys.Schema{"const": metric})
}
