package platform

import (
	"cmp"
	"slices"

	"gopkg.in/yaml.v3"
)

// ParseConfig reads a jcloud.yml; the file is only for messages. The error joins all errors of the file in their order,
// each a *ConfigError.
func ParseConfig(file string, data []byte) (Config, error) {
	d := decoder{problems: &problems{file: file}, written: map[string]*yaml.Node{}, broken: map[string]bool{}}
	d.putDefaults()
	root := d.parseYAML(data)
	if root != nil {
		d.section("", configValue{d.problems, "", root, root})
	}
	d.settle()
	if err := d.err(); err != nil {
		return Config{}, err
	}
	return d.draft.Config, nil
}

// decoder fills a draft with what a file says.
type decoder struct {
	*problems
	draft draft
	// written has the keys that the file sets, and where.
	written map[string]*yaml.Node
	// broken has the keys that it sets to something invalid, without their aliases.
	broken map[string]bool
}

func (d *decoder) putDefaults() {
	for _, k := range configKeys {
		if k.initial == "" {
			continue
		}
		node := yaml.Node{Kind: yaml.ScalarNode, Value: k.initial, Line: 1, Column: 1}
		if decoded, ok := k.kind.decode(configValue{d.problems, k.path, &node, &node}); ok {
			k.put(&d.draft, decoded)
		}
	}
}

func (d *decoder) section(section string, v configValue) {
	isMapping := v.entries("a mapping of keys to values", func(name string, entry configValue) {
		if k, known := findKey(entry.path); known && k.section() == section {
			d.key(k, entry)
		} else if near := nearestKey(section, name); near != "" {
			entry.problem("unknown key, did you mean %s?", near)
		} else {
			entry.problem("unknown key, known are %s", keyNames(section))
		}
	})
	if isMapping && section != "" {
		d.written[section] = v.at
	}
}

func (d *decoder) key(k configKey, v configValue) {
	switch {
	case isNull(v.node):
		if k.null != nil {
			k.put(&d.draft, k.null)
		}
	case k.kind == nil:
		d.section(k.path, v)
	default:
		d.written[k.path] = v.at
		if decoded, ok := k.kind.decode(v); ok {
			k.put(&d.draft, decoded)
		} else {
			d.broken[cmp.Or(k.alias, k.path)] = true
		}
	}
}

// settle checks what several keys say together, and works out the defaults that depend on others.
func (d *decoder) settle() {
	for _, pair := range exclusive {
		if d.has(pair.first) && d.has(pair.second) {
			d.report(pair.second, "cannot be used together with %s", pair.first)
		}
	}
	d.settleTimeout()
	d.settleMetrics()
	d.settleCounts()
}

func (d *decoder) has(path string) bool { return d.written[path] != nil }

// sound says that none of the keys is broken: a rule about a broken one would only repeat what is wrong with it.
func (d *decoder) sound(paths ...string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool { return d.broken[path] })
}

func (d *decoder) report(path, format string, args ...any) {
	d.add(d.written[path].Line, d.written[path].Column, path, format, args...)
}

func (d *decoder) settleTimeout() {
	c, old := &d.draft.Config, "autoscale.revision_timeout"
	if d.has(old) && d.sound("timeout") {
		if d.has("timeout") && c.Timeout != d.draft.revisionTimeout {
			d.report(old, "is another name of timeout, which is %s: give one of them", formatDuration(c.Timeout))
		}
		c.Timeout = d.draft.revisionTimeout
	}
	if !d.has("autoscale.stable_window") {
		c.Autoscale.StableWindow = min(max(c.Timeout, windows.min), windows.max)
	}
	if !d.has("autoscale.scale_to_zero_after") {
		c.Autoscale.ScaleToZeroAfter = c.Autoscale.StableWindow
	}
}

// settleMetrics makes one list of the two ways to write metrics.
func (d *decoder) settleMetrics() {
	if !d.sound("autoscale.metric", "autoscale.target", "autoscale.query", "autoscale.metrics") {
		return
	}
	autoscale := &d.draft.Autoscale
	if len(autoscale.Metrics) == 0 {
		entry := metricEntry{
			MetricTarget: MetricTarget{autoscale.Metric, autoscale.Target, d.draft.query},
			problems:     d.problems, path: "autoscale", at: d.written["autoscale.metric"], written: map[string]*yaml.Node{},
		}
		for _, name := range metricKeyNames() {
			entry.written[name] = d.written["autoscale."+name]
		}
		entry.settle()
		autoscale.Metrics = []MetricTarget{entry.MetricTarget}
	}
	autoscale.Metric, autoscale.Target = autoscale.Metrics[0].Metric, autoscale.Metrics[0].Target
}

func (d *decoder) settleCounts() {
	c := d.draft.Config
	if c.Autoscale.Min > c.Autoscale.Max && d.sound("autoscale.min", "autoscale.max") {
		// The default of min is never above max: one of its two names is written.
		path := "autoscale.min"
		if !d.has(path) {
			path = "autoscale_min"
		}
		d.report(path, "must be at most autoscale.max, which is %d, got %d", c.Autoscale.Max, c.Autoscale.Min)
	}
	if d.sound("minAvailable", "autoscale.max") && c.MinAvailable > c.Autoscale.Max {
		d.report("minAvailable", "must be at most autoscale.max, which is %d, got %d", c.Autoscale.Max, c.MinAvailable)
	}
	if d.has("command") && d.has("workers") && c.Workers > 1 {
		d.report("workers", "is for an app, a command starts its own processes")
	}
}
