package platform

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"
)

// Config is what a jcloud.yml says, with every default filled in.
type Config struct {
	// Name is the name of the function, "" if the file leaves it to the command line.
	Name string `json:"name,omitempty"`
	// App is the Python application, module:attr. At most one of App and Command is set.
	App string `json:"app,omitempty"`
	// Command is the argument vector of a program of its own.
	Command []string `json:"command,omitempty"`
	// Runtime is what runs the app, "" to find that out.
	Runtime Runtime `json:"runtime,omitempty"`
	// SystemPackages tells that an app with requirements sees the Python packages of the machine, too.
	SystemPackages bool `json:"system_packages"`
	// Instance is the tier of each instance.
	Instance Tier `json:"instance"`
	// Timeout bounds a whole request. At least a second; a string such as "120s" in JSON.
	Timeout time.Duration `json:"timeout"`
	// ResponseStartTimeout bounds the time from handing a request to an instance until the head of its response, 0 for no
	// limit but Timeout.
	ResponseStartTimeout time.Duration `json:"response_start_timeout,omitempty"`
	// IdleTimeout bounds the time in which an instance sends nothing of a response that has begun, or in which a WebSocket
	// is silent in both directions, 0 for no limit.
	IdleTimeout time.Duration `json:"idle_timeout,omitempty"`
	// LivenessTimeout is how long a request may lie unread in the socket of an instance that was ready, before the
	// instance counts as deaf and is replaced.
	LivenessTimeout time.Duration `json:"liveness_timeout,omitempty"`
	// DrainGrace is how long WebSockets and event streams of an instance that is drained are kept.
	DrainGrace time.Duration `json:"drain_grace,omitempty"`
	// Healthcheck is what an instance must do before its revision gets traffic.
	Healthcheck Healthcheck `json:"healthcheck"`
	// DiskSize is the size of the function's persistent directory in bytes, 0 for none.
	DiskSize int64 `json:"disk_size"`
	// Isolation is how far instances are confined.
	Isolation Isolation `json:"isolation"`
	// Network is what instances can reach.
	Network Network `json:"network"`
	// ExecutableMemory says whether instances may make code in memory.
	ExecutableMemory bool `json:"executable_memory"`
	// Devices are the paths of the devices that instances may open.
	Devices   []string  `json:"devices,omitempty"`
	Autoscale Autoscale `json:"autoscale"`
	// Workers is the number of worker processes in each instance, at least 1.
	Workers int `json:"workers"`
	// Concurrency is the hard limit of requests in flight per instance, 0 for none.
	Concurrency int `json:"concurrency"`
	// MaxBody is the size of the largest body of a request in bytes, 0 for no limit.
	MaxBody int64 `json:"max_body,omitempty"`
	// MaxQueue is the most requests that wait for an instance, 0 for what the platform's settings say.
	MaxQueue int `json:"max_queue,omitempty"`
	// Protocol is what the app speaks.
	Protocol Protocol          `json:"protocol,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Hosts    []string          `json:"hosts,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	// MetricsPath is where each instance serves metrics of its own, "" for nowhere.
	MetricsPath string `json:"metrics_path,omitempty"`
	// Expose says whether the gateway serves the function to the outside.
	Expose bool `json:"expose"`
	// MinAvailable is the number of instances that must stay ready while a revision replaces another.
	MinAvailable int `json:"min_available"`
}

// The defaults of what a configuration of an older version doesn't say.
const (
	DefaultLivenessTimeout = 10 * time.Second
	DefaultDrainGrace      = 30 * time.Second
)

// DefaultConfig is the configuration of a function without a jcloud.yml. The caller may change it.
func DefaultConfig() Config {
	config, err := ParseConfig("", nil)
	if err != nil {
		panic(fmt.Sprintf("platform: the default configuration is invalid: %v", err))
	}
	return config
}

const (
	gigabyte         = 1e9
	diskCreditsPerGB = 0.104
)

// BaseCreditsPerHour is the price of the function while it serves nothing, by Jina AI Cloud's formula: the hourly rate of
// the tier for each of the minimum of instances, and 0.104 credits per GB of disk.
func (c Config) BaseCreditsPerHour() float64 {
	return float64(c.Autoscale.Min)*c.Instance.CreditsPerHour + float64(c.DiskSize)/gigabyte*diskCreditsPerGB
}

// ServingCredits is the price of serving requests for some time, on top of the base credits whatever the minimum is.
func (c Config) ServingCredits(serving time.Duration) float64 {
	return c.Instance.CreditsPerHour * serving.Hours()
}

// plainConfig is a Config without its methods: the JSON of a Config is that of its fields, with durations as text.
type plainConfig Config

type configJSON struct {
	plainConfig
	Timeout              durationText `json:"timeout"`
	ResponseStartTimeout durationText `json:"response_start_timeout,omitempty"`
	IdleTimeout          durationText `json:"idle_timeout,omitempty"`
	LivenessTimeout      durationText `json:"liveness_timeout,omitempty"`
	DrainGrace           durationText `json:"drain_grace,omitempty"`
}

func configJSONOf(c Config) configJSON {
	return configJSON{
		plainConfig: plainConfig(c), Timeout: durationText(c.Timeout),
		ResponseStartTimeout: durationText(c.ResponseStartTimeout), IdleTimeout: durationText(c.IdleTimeout),
		LivenessTimeout: durationText(c.LivenessTimeout), DrainGrace: durationText(c.DrainGrace),
	}
}

func (j configJSON) config() Config {
	c := Config(j.plainConfig)
	c.Timeout = time.Duration(j.Timeout)
	c.ResponseStartTimeout, c.IdleTimeout = time.Duration(j.ResponseStartTimeout), time.Duration(j.IdleTimeout)
	c.LivenessTimeout = cmp.Or(time.Duration(j.LivenessTimeout), DefaultLivenessTimeout)
	c.DrainGrace = cmp.Or(time.Duration(j.DrainGrace), DefaultDrainGrace)
	c.Protocol = cmp.Or(c.Protocol, HTTP1)
	c.Healthcheck.Timeout = cmp.Or(c.Healthcheck.Timeout, healthTimeout(c.Timeout))
	return c
}

// MarshalJSON writes the configuration with its durations as strings such as "120s".
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(configJSONOf(c))
}

// UnmarshalJSON reads what MarshalJSON writes, and what older versions wrote: what they didn't know has its default.
func (c *Config) UnmarshalJSON(data []byte) error {
	decoded := configJSONOf(*c)
	decoded.SystemPackages = true
	if err := json.Unmarshal(data, &decoded); err != nil {
		return fmt.Errorf("decode configuration: %w", err)
	}
	*c = decoded.config()
	c.isolationOfBefore()
	return nil
}

// durationText is a duration whose text is in whole seconds where it has no smaller part: "120s", "1.5s".
type durationText time.Duration

func (t durationText) MarshalText() ([]byte, error) {
	return []byte(formatDuration(time.Duration(t))), nil
}

func (t *durationText) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*t = durationText(d)
	return err
}

func formatDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}
