package platform

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Config is the content of a jcloud.yml, with every default filled in.
type Config struct {
	// Name is the name of the function, "" if the file leaves it to the command line.
	Name string `json:"name,omitempty"`
	// App is the Python application, module:attr. At most one of App and Command is set.
	App string `json:"app,omitempty"`
	// Command is the argument vector of a program of its own.
	Command []string `json:"command,omitempty"`
	// Runtime runs the app; "" means that it is still to be found out.
	Runtime Runtime `json:"runtime,omitempty"`
	// SystemPackages reports whether an app with requirements sees the Python packages of the machine, too.
	SystemPackages bool `json:"system_packages"`
	// Instance is the tier of each instance.
	Instance Tier `json:"instance"`
	// Healthcheck is the condition for the revision to get traffic.
	Healthcheck Healthcheck `json:"healthcheck"`
	// StartTimeout is how long an instance may take from its start until it accepts and reads requests, before it is replaced;
	// 1 s to 1 h, and not more than Healthcheck.Timeout. It is never 0 in what was read.
	StartTimeout Duration `json:"start_timeout,omitempty"`
	// StopTimeout is how long an instance may take to end, from SIGTERM on, before it is killed. It is never 0 in what was read.
	StopTimeout Duration `json:"stop_timeout,omitempty"`
	// BackgroundTimeout bounds how long an instance that has no request is left alone because it works; 0: not at all.
	BackgroundTimeout Duration `json:"background_timeout"`
	// DiskSize is the size of the function's persistent directory in bytes, 0 for none.
	DiskSize int64 `json:"disk_size"`
	// Isolation is how far instances are confined.
	Isolation Isolation `json:"isolation"`
	// Network is the network that instances can reach.
	Network Network `json:"network"`
	// ExecutableMemory reports whether instances may make code in memory.
	ExecutableMemory bool `json:"executable_memory"`
	// Devices are the paths of the devices that instances may open.
	Devices []string `json:"devices,omitempty"`
	// ReadOnlyPaths are files and directories of the machine that instances see besides what all functions do.
	ReadOnlyPaths []string  `json:"read_only_paths,omitempty"`
	Autoscale     Autoscale `json:"autoscale"`
	// Workers is the number of worker processes in each instance, at least 1.
	Workers int `json:"workers"`
	Limits
	// Protocol is the protocol of the app.
	Protocol Protocol          `json:"protocol,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	// Hosts are rules by which requests reach the function, each a HostRule.
	Hosts []string `json:"hosts,omitempty"`
	// StripPrefix reports whether the app gets paths without that of the rule in Hosts.
	StripPrefix bool              `json:"strip_prefix,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	// MetricsPath is where each instance serves metrics of its own, "" for nowhere.
	MetricsPath string `json:"metrics_path,omitempty"`
	// Expose reports whether the gateway serves the function to the outside.
	Expose bool `json:"expose"`
	Admission
	// MinAvailable is the number of instances that must stay ready while a revision replaces another.
	MinAvailable int `json:"min_available"`
	Timeouts
}

const diskCreditsPerGB = 0.104

// BaseCreditsPerHour is the price of the function while it serves nothing, by Jina AI Cloud's formula: the hourly rate of
// the tier for each of the minimum of instances, and 0.104 credits per GB of disk.
func (c Config) BaseCreditsPerHour() float64 {
	return float64(c.Autoscale.Min)*c.Instance.CreditsPerHour + float64(c.DiskSize)/gigabyte*diskCreditsPerGB
}

// ScaledBy is what the number of instances follows: the metrics of autoscale and, where an instance works on a limited number
// of requests, the requests in flight against that limit. The others wait for an instance, and what waits is load, whatever
// the metric.
func (c Config) ScaledBy() []MetricTarget {
	metrics, limit := c.Autoscale.Metrics, float64(c.Concurrency)
	follows := func(m MetricTarget) bool { return m.Metric == MetricConcurrency && m.Target <= limit }
	if limit == 0 || slices.ContainsFunc(metrics, follows) {
		return metrics
	}
	return append(slices.Clone(metrics), MetricTarget{Metric: MetricConcurrency, Target: limit})
}

// ServingCredits is the price of serving requests for some time, on top of the base credits whatever the minimum is.
func (c Config) ServingCredits(serving time.Duration) float64 {
	return c.Instance.CreditsPerHour * serving.Hours()
}

// UnmarshalJSON reads a configuration, also one that an older version wrote: what that didn't know has its default.
func (c *Config) UnmarshalJSON(data []byte) error {
	type plain Config // without this method
	decoded := plain(*c)
	decoded.SystemPackages, decoded.BackgroundTimeout = true, defaultBackgroundTimeout
	if err := json.Unmarshal(data, &decoded); err != nil {
		return fmt.Errorf("decode configuration: %w", err)
	}
	*c = Config(decoded)
	c.Timeouts.setDefaults()
	c.setIsolationDefaults()
	c.Protocol = cmp.Or(c.Protocol, HTTP1)
	c.Healthcheck.Timeout = cmp.Or(c.Healthcheck.Timeout, healthTimeout(c.Timeout))
	c.StopTimeout = cmp.Or(c.StopTimeout, defaultStopTimeout)
	// Healthcheck.Timeout of an older version had no least default.
	c.StartTimeout = cmp.Or(c.StartTimeout, max(c.Healthcheck.Timeout, minStartDefault))
	return nil
}

// setIsolationDefaults sets what a configuration means that was written before there were profiles.
func (c *Config) setIsolationDefaults() {
	if c.Isolation == "" {
		c.Isolation, c.Network, c.ExecutableMemory = IsolationDefault, NetworkHost, true
	}
}
