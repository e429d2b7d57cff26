package platform

import (
	"cmp"
	"time"

	"gopkg.in/yaml.v3"
)

// ParseConfig reads a jcloud.yml; the file is only for messages. The error joins all errors of the file in their order,
// each a *ConfigError.
func ParseConfig(file string, data []byte) (Config, error) {
	d := configDecoder{newDecoder(file, configKeys)}
	d.read(data)
	d.settle()
	if err := d.err(); err != nil {
		return Config{}, err
	}
	return d.draft.Config, nil
}

// configDecoder knows what the keys of jcloud.yml say together.
type configDecoder struct{ *decoder[draft] }

// settle checks what several keys say together, and works out the defaults that depend on others.
func (d configDecoder) settle() {
	for _, pair := range exclusive {
		if d.has(pair.first) && d.has(pair.second) {
			d.report(pair.second, "cannot be used together with %s", pair.first)
		}
	}
	d.settleTimeout()
	d.settleMetrics()
	d.settleCounts()
	d.settleRuntime()
	d.settleProtocol()
	d.settleIsolation()
}

func (d configDecoder) settleTimeout() {
	c, old := &d.draft.Config, "autoscale.revision_timeout"
	if d.has(old) && d.sound("timeout") {
		if d.has("timeout") && c.Timeout != d.draft.revisionTimeout {
			d.report(old, "is another name of timeout, which is %s: give one of them", formatDuration(c.Timeout))
		}
		c.Timeout = d.draft.revisionTimeout
	}
	d.withinTimeout("response_start_timeout", c.ResponseStartTimeout)
	d.withinTimeout("idle_timeout", c.IdleTimeout)
	if !d.has("healthcheck.timeout") {
		c.Healthcheck.Timeout = healthTimeout(c.Timeout)
	}
	if !d.has("autoscale.stable_window") {
		c.Autoscale.StableWindow = min(max(c.Timeout, windows.min), windows.max)
	}
	if !d.has("autoscale.scale_to_zero_after") {
		c.Autoscale.ScaleToZeroAfter = c.Autoscale.StableWindow
	}
}

// withinTimeout refuses a limit that the timeout would always come before.
func (d configDecoder) withinTimeout(path string, limit time.Duration) {
	if timeout := d.draft.Timeout; d.has(path) && d.sound("timeout", path) && limit > timeout {
		d.report(path, "must be at most timeout, which is %s, got %s: raise timeout, or lower this",
			formatDuration(timeout), formatDuration(limit))
	}
}

// settleMetrics makes one list of the two ways to write metrics.
func (d configDecoder) settleMetrics() {
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

func (d configDecoder) settleCounts() {
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

func (d configDecoder) settleRuntime() {
	if !d.has("runtime") || !d.sound("runtime") {
		return
	}
	switch runtime := d.draft.Runtime; {
	case d.has("command") && runtime.IsServer():
		d.report("runtime", "%s runs an app, not a command: use socket or port", runtime)
	case d.has("app") && !runtime.IsServer():
		d.report("runtime", "%s is for a command, not for an app: use uvicorn, hypercorn, granian or gunicorn", runtime)
	}
}

func (d configDecoder) settleProtocol() {
	if !d.has("app") || !d.has("protocol") || !d.sound("protocol", "runtime") {
		return
	}
	if err := d.draft.Protocol.CheckFor(cmp.Or(d.draft.Runtime, RuntimeUvicorn)); err != nil {
		d.report("protocol", "%v", err)
	}
}
