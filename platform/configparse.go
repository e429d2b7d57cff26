package platform

import (
	"cmp"
	"fmt"
	"time"

	"github.com/fnctl/fnctl/platform/keys"
)

// ParseConfig reads a jcloud.yml; the file is only for messages. The error joins all errors of the file in their order,
// each a *keys.Error.
func ParseConfig(file string, data []byte) (Config, error) {
	r := configRecord{configTable.Read(file, data)}
	r.check()
	if err := r.Err(); err != nil {
		return Config{}, err
	}
	return r.Values.Config, nil
}

// DefaultConfig is the configuration of a function without a jcloud.yml. The caller may change it.
func DefaultConfig() Config {
	config, err := ParseConfig("", nil)
	if err != nil {
		panic(fmt.Sprintf("platform: the default configuration is invalid: %v", err))
	}
	return config
}

// configRecord is a jcloud.yml that was read key by key. It has the rules between several keys.
type configRecord struct{ *keys.Record[draft] }

// check checks what several keys say together, and sets the defaults that depend on others.
func (r configRecord) check() {
	r.checkTimeout()
	r.checkMetrics()
	r.checkCounts()
	r.checkPrivate()
	r.checkRuntime()
	r.checkProtocol()
	r.setIsolation()
	r.checkAdmission()
}

// minIdleDefault is the least that the default of autoscale.scale_to_zero_after is if nothing but timeout says how long a window
// is: who asks every five minutes is not to find a cold start each time.
const minIdleDefault = Duration(6 * time.Minute)

func (r configRecord) checkTimeout() {
	c, old := &r.Values.Config, "autoscale.revision_timeout"
	if r.Has(old) && r.Valid("timeout") {
		if r.Has("timeout") && c.Timeout != r.Values.revisionTimeout {
			r.Report(old, "is another name of timeout, which is %s: give one of them", keys.FormatDuration(time.Duration(c.Timeout)))
		}
		c.Timeout = r.Values.revisionTimeout
	}
	r.checkWithin("response_start_timeout", c.ResponseStartTimeout, "timeout", c.Timeout)
	r.checkWithin("idle_timeout", c.IdleTimeout, "timeout", c.Timeout)
	r.checkStart()
	if !r.Has("autoscale.stable_window") {
		c.Autoscale.StableWindow = min(max(c.Timeout, windows.Min), windows.Max)
	}
	if !r.Has("autoscale.scale_to_zero_after") {
		c.Autoscale.ScaleToZeroAfter = c.Autoscale.StableWindow
		if !r.Has("autoscale.stable_window") {
			c.Autoscale.ScaleToZeroAfter = max(c.Autoscale.StableWindow, minIdleDefault)
		}
	}
}

// checkStart sets the limits of a start. Each is the default of the other.
func (r configRecord) checkStart() {
	c := &r.Values.Config
	if !r.Has("healthcheck.timeout") {
		c.Healthcheck.Timeout = max(healthTimeout(c.Timeout), c.StartTimeout)
	}
	if !r.Has("start_timeout") {
		c.StartTimeout = c.Healthcheck.Timeout
	}
	r.checkWithin("start_timeout", c.StartTimeout, "healthcheck.timeout", c.Healthcheck.Timeout)
}

// checkWithin reports a limit that is longer than another one, which would always come first.
func (r configRecord) checkWithin(path string, limit Duration, other string, otherLimit Duration) {
	if r.Has(path) && r.Valid(other, path) && limit > otherLimit {
		r.Report(path, "must be at most %s, which is %s, got %s: raise %s, or lower this", other,
			keys.FormatDuration(time.Duration(otherLimit)), keys.FormatDuration(time.Duration(limit)), other)
	}
}

// checkMetrics makes one list of the two ways to write metrics.
func (r configRecord) checkMetrics() {
	if !r.Valid("autoscale.metric", "autoscale.target", "autoscale.query", "autoscale.metrics") {
		return
	}
	autoscale := &r.Values.Autoscale
	if len(autoscale.Metrics) == 0 {
		metric := MetricTarget{autoscale.Metric, autoscale.Target, r.Values.query}
		checkMetric(singleMetric{r}, &metric)
		autoscale.Metrics = []MetricTarget{metric}
	}
	autoscale.Metric, autoscale.Target = autoscale.Metrics[0].Metric, autoscale.Metrics[0].Target
}

// singleMetric is the metric that autoscale.metric, autoscale.target and autoscale.query are about.
type singleMetric struct{ r configRecord }

// Has implements metricRecord.
func (m singleMetric) Has(key string) bool { return m.r.Has("autoscale." + key) }

// Report implements metricRecord. A key that is missing is reported at autoscale.metric, which asks for it.
func (m singleMetric) Report(key, format string, args ...any) {
	at := key
	if !m.Has(key) {
		at = "metric"
	}
	m.r.ReportAt("autoscale."+at, "autoscale."+key, format, args...)
}

// checkSingle sets the most instances of a function that has one at a time, and that none of them sleeps.
func (r configRecord) checkSingle() {
	c := &r.Values.Config
	if !c.Autoscale.Single || !r.Valid("overlap") {
		return
	}
	for _, path := range []string{"autoscale.max", "autoscale_max"} {
		if r.Has(path) && r.Valid(path) && c.Autoscale.Max > 1 {
			r.Report(path, "must be 1 with overlap: false, got %d: two instances would hold what only one can", c.Autoscale.Max)
		}
	}
	r.neverAsleep("overlap: false: while one sleeps, nothing else may listen for requests")
	c.Autoscale.Max = 1
}

// checkPrivate sets that no instance sleeps of a function that the gateway doesn't serve.
func (r configRecord) checkPrivate() {
	if !r.Values.Expose {
		r.neverAsleep("expose: false: only the gateway wakes one that sleeps")
	}
}

// neverAsleep sets that no instance sleeps, for a reason, and reports that one may.
func (r configRecord) neverAsleep(why string) {
	if r.Has("standby") && r.Valid("standby") && r.Values.Autoscale.Standby > 0 {
		r.Report("standby", "must be false with %s", why)
	}
	r.Values.Autoscale.Standby = 0
}

func (r configRecord) checkCounts() {
	r.checkSingle()
	c := r.Values.Config
	if c.Autoscale.Min > c.Autoscale.Max && r.Valid("autoscale.min", "autoscale.max") {
		// The default of min is never above max: one of its two names is written.
		path := "autoscale.min"
		if !r.Has(path) {
			path = "autoscale_min"
		}
		r.Report(path, "must be at most autoscale.max, which is %d, got %d", c.Autoscale.Max, c.Autoscale.Min)
	}
	if r.Valid("minAvailable", "autoscale.max") && c.MinAvailable > c.Autoscale.Max {
		r.Report("minAvailable", "must be at most autoscale.max, which is %d, got %d", c.Autoscale.Max, c.MinAvailable)
	}
	if r.Has("command") && r.Has("workers") && c.Workers > 1 {
		r.Report("workers", "is for an app, a command starts its own processes")
	}
}

func (r configRecord) checkRuntime() {
	if !r.Has("runtime") || !r.Valid("runtime") {
		return
	}
	switch runtime := r.Values.Runtime; {
	case r.Has("command") && runtime.IsServer():
		r.Report("runtime", "%s runs an app, not a command: use socket or port", runtime)
	case r.Has("app") && !runtime.IsServer():
		r.Report("runtime", "%s is for a command, not for an app: use uvicorn, hypercorn, granian or gunicorn", runtime)
	}
}

func (r configRecord) checkProtocol() {
	if !r.Has("app") || !r.Has("protocol") || !r.Valid("protocol", "runtime") {
		return
	}
	if err := r.Values.Protocol.CheckFor(cmp.Or(r.Values.Runtime, RuntimeUvicorn)); err != nil {
		r.Report("protocol", "%v", err)
	}
}

// setIsolation takes from an instance what the profile takes, unless a key gives it.
func (r configRecord) setIsolation() {
	c := &r.Values.Config
	strict := c.Isolation == IsolationStrict
	if !r.Has("network") {
		c.Network = NetworkHost
		if strict {
			c.Network = NetworkNone
		}
	}
	if !r.Has("executable_memory") {
		c.ExecutableMemory = !strict
	}
}
