package platform

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// metricRule is what a metric asks of its target.
type metricRule struct {
	metric Metric
	// target is the default, 0 where the user must give one.
	target float64
	// limit is the highest target that can be reached, 0 for no limit.
	limit float64
	// unit says what the target counts.
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

func metricNames() []string {
	names := make([]string, len(metricRules))
	for i, rule := range metricRules {
		names[i] = string(rule.metric)
	}
	return names
}

const (
	maxMetrics = 10
	maxQuery   = 4096
)

var (
	metricName = oneOf{metricNames(), func(s string) any { return Metric(s) }}
	promQL     = checkedText{check: checkQuery, pattern: `\S`, what: "a PromQL expression"}
)

// checkQuery leaves the language to Prometheus: each version knows more of it.
func checkQuery(query string) error {
	switch {
	case strings.TrimSpace(query) == "":
		return fmt.Errorf("must be a PromQL expression, got %s", quoted(query))
	case utf8.RuneCountInString(query) > maxQuery:
		return fmt.Errorf("must have at most %d characters", maxQuery)
	case strings.ContainsFunc(query, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }):
		return fmt.Errorf("must not contain control characters")
	}
	return nil
}

// metricEntry is what a file says of one metric: the section itself, or an item of the list. Its keys are those of
// metricKeys.
type metricEntry struct {
	MetricTarget
	*problems
	path string
	// at is where to report a key that is missing.
	at      *yaml.Node
	written map[string]*yaml.Node
}

func (e *metricEntry) report(key, format string, args ...any) {
	at := e.written[key]
	if at == nil {
		at = e.at
	}
	e.add(at.Line, at.Column, e.path+"."+key, format, args...)
}

// settle fills in the default target, and reports keys that are missing or too much.
func (e *metricEntry) settle() bool {
	rule := metricRules[slices.IndexFunc(metricRules, func(rule metricRule) bool { return rule.metric == e.Metric })]
	ok := true
	complain := func(key, format string, args ...any) {
		e.report(key, format, args...)
		ok = false
	}
	switch {
	case e.written["target"] == nil && rule.target == 0:
		complain("target", "required for the metric %s, in %s", rule.metric, rule.unit)
	case e.written["target"] == nil:
		e.Target = rule.target
	case rule.limit > 0 && e.Target > rule.limit:
		complain("target", "must be at most %v for the metric %s, in %s, got %v", rule.limit, rule.metric, rule.unit, e.Target)
	}
	switch given := e.written["query"] != nil; {
	case rule.queried && !given:
		complain("query", "required for the metric %s: %s", rule.metric, promQL.words())
	case given && !rule.queried:
		complain("query", "is for the metric %s, the metric is %s", MetricPrometheus, rule.metric)
	}
	return ok
}

// metricKeys are the keys of an item of autoscale.metrics.
var metricKeys = []struct {
	name string
	kind kind
	put  func(*MetricTarget, any)
}{
	{"metric", metricName, func(m *MetricTarget, decoded any) { m.Metric = decoded.(Metric) }},
	{"target", positive{}, func(m *MetricTarget, decoded any) { m.Target = decoded.(float64) }},
	{"query", promQL, func(m *MetricTarget, decoded any) { m.Query = decoded.(string) }},
}

func metricKeyNames() []string {
	names := make([]string, len(metricKeys))
	for i, k := range metricKeys {
		names[i] = k.name
	}
	return names
}

// metricList is a list of metrics, each with what metricKeys say.
type metricList struct{}

func (k metricList) decode(v configValue) (any, bool) {
	items := v.items()
	if v.node.Kind != yaml.SequenceNode {
		return v.mustBe(k.words())
	}
	if len(items) == 0 || len(items) > maxMetrics {
		v.problem("must be %s, got %d", k.words(), len(items))
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
			item.problem("the metric %s is in the list twice", metric.Metric)
			valid = false
		}
		metrics, ok = append(metrics, metric), ok && valid
	}
	return metrics, ok
}

func (metricList) item(v configValue) (MetricTarget, bool) {
	entry := metricEntry{problems: v.problems, path: v.path, at: v.at, written: map[string]*yaml.Node{}}
	ok := true
	isMapping := v.entries("a mapping with "+strings.Join(metricKeyNames(), ", "), func(name string, value configValue) {
		names := metricKeyNames()
		i := slices.Index(names, name)
		switch near := nearest(name, names); {
		case i >= 0 && isNull(value.node):
		case i >= 0:
			entry.written[name] = value.at
			decoded, valid := metricKeys[i].kind.decode(value)
			if valid {
				metricKeys[i].put(&entry.MetricTarget, decoded)
			}
			ok = ok && valid
		case near >= 0:
			value.problem("unknown key, did you mean %s?", names[near])
			ok = false
		default:
			value.problem("unknown key, known are %s", strings.Join(names, ", "))
			ok = false
		}
	})
	switch {
	case !isMapping || !ok:
		return entry.MetricTarget, false
	case entry.Metric == "":
		entry.report("metric", "required, %s", metricName.words())
		return entry.MetricTarget, false
	}
	return entry.MetricTarget, entry.settle()
}

func (metricList) schema() schema {
	properties := schema{}
	for _, k := range metricKeys {
		properties[k.name] = nullable(k.kind.schema())
	}
	item := schema{"type": "object", "properties": properties, "required": []string{"metric"}, "additionalProperties": false,
		"allOf": append(metricSchemas(), given("metric", notNull))}
	return schema{"type": []string{"array"}, "items": item, "minItems": 1, "maxItems": maxMetrics}
}

func (metricList) words() string {
	return fmt.Sprintf("a list of 1 to %d metrics, each with %s", maxMetrics, strings.Join(metricKeyNames(), ", "))
}

// metricSchemas are the rules between a metric, its target and its query.
func metricSchemas() []schema {
	var all []schema
	for _, rule := range metricRules {
		when := metricSchema(rule.metric)
		if rule.target == 0 {
			all = append(all, schema{"if": when, "then": given("target", notNull)})
		}
		if rule.limit > 0 {
			all = append(all, schema{"if": when, "then": schema{"properties": schema{"target": schema{"maximum": rule.limit}}}})
		}
		query := given("query", notNull)
		if !rule.queried {
			query = schema{"not": query}
		}
		all = append(all, schema{"if": when, "then": query})
	}
	return all
}

// metricSchema is the schema of an autoscale section that uses a metric, as it does by default with one of them.
func metricSchema(metric Metric) schema {
	if k, _ := configKeys.find("autoscale.metric"); k.initial == string(metric) {
		return schema{"type": "object", "properties": schema{"metric": schema{"enum": []any{metric, nil}}}}
	}
	return given("metric", schema{"const": metric})
}
