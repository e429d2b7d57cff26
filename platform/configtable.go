package platform

import (
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform/keys"
)

// draft is a configuration that is being read.
type draft struct {
	Config
	// query is autoscale.query.
	query string
	// revisionTimeout is autoscale.revision_timeout, an old second name of timeout.
	revisionTimeout Duration
	// The sections of Admission, each of which counts if it is written.
	auth      Auth
	usersFile string
	rateLimit RateLimit
	cors      CORS
}

// addedHosts adds host names to those that are there, each once.
type addedHosts struct {
	keys.List[string]
	hosts *[]string
}

// Set implements keys.Value.
func (h addedHosts) Set(n keys.Node) bool {
	hosts, ok := h.Decode(n)
	if !ok {
		return false
	}
	for _, host := range hosts {
		if !slices.Contains(*h.hosts, host) {
			*h.hosts = append(*h.hosts, host)
		}
	}
	return true
}

// negated stores the opposite of a boolean.
type negated struct {
	keys.Boolean
	variable *bool
}

// Set implements keys.Value.
func (b negated) Set(n keys.Node) bool {
	value, ok := b.Decode(n)
	if ok {
		*b.variable = !value
	}
	return ok
}

var (
	timeouts         = keys.Seconds[Duration]{Min: Duration(time.Second), Max: Duration(365 * keys.Day)}
	windows          = keys.Seconds[Duration]{Min: Duration(6 * time.Second), Max: Duration(time.Hour)}
	delays           = keys.Seconds[Duration]{Min: 0, Max: Duration(time.Hour)}
	innerTimeouts    = keys.Seconds[Duration]{Min: 0, Max: Duration(365 * keys.Day)}
	livenessTimeouts = keys.Seconds[Duration]{Min: Duration(time.Second), Max: Duration(time.Hour)}
	graces           = keys.Seconds[Duration]{Min: Duration(time.Second), Max: Duration(keys.Day)}
	idleTimes        = keys.Seconds[Duration]{Min: 0, Max: Duration(keys.Day)}
	minimums         = keys.Integer{Min: 0, Max: keys.Unbounded, Quoted: true}
	maximums         = keys.Integer{Min: 1, Max: keys.Unbounded, Quoted: true}
)

// configTable has the keys of jcloud.yml.
var configTable = &keys.Table[draft]{Keys: slices.Concat([]keys.Key[draft]{
	{
		Path: "name", Doc: "Name of the function. `--name` comes first; without either it is the name of the app's directory.",
		Example: "shop",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.Name, functionNames) },
	},
	{
		Path: "app", Doc: "The Python application to serve, ASGI or WSGI, such as `main:app`. An app on the command line comes first.",
		Example: "main:app",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.App, appNames) },
	},
	{
		Path: "command", Doc: "The program to run instead of an `app`: one of the app's files, or one of the machine, such as `node`.",
		Example: "[./server, --verbose]",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.Command, keys.Command{}) },
	},
	{
		Path: "runtime", Doc: "What runs the app: a server for an `app`, or for a `command` how it gets its connections: as `socket` or `port`. " +
			"See [runtimes.md](runtimes.md).",
		DefaultText: "found out by `fnctl deploy`", Example: "gunicorn",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Runtime, keys.EnumOf(runtimes...)) },
	},
	{
		Path: "system_packages", Doc: "Whether the Python packages of the machine are visible beside those of `requirements.txt`.",
		Default: "true", Example: "false",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.SystemPackages, keys.Boolean{}) },
	},
	{
		Path: "protocol", Doc: "What the program speaks: HTTP/1.1, or HTTP/2 without TLS, which gRPC needs. `h2c` is for a `command`, or an `app` with " +
			"`runtime: hypercorn`.",
		Default: string(HTTP1), Example: "h2c",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Protocol, keys.EnumOf(protocols...)) },
	},
	{
		Path: "instance", Doc: "Tier of each instance: its processor time, memory and price.",
		Default: "C3", Example: "C4",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Instance, tierNames) },
	},
	{
		Path: "timeout", Doc: "Limit of a whole request, answered with 504 when it is over; a WebSocket is closed.",
		Default: "120", Example: "5m",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Timeout, timeouts) },
	},
	{
		Path: "response_start_timeout", Doc: "Limit of the time until an instance begins to answer what it has got, then 504: not while the client still sends. " +
			"`0`: only `timeout` counts. Not more than `timeout`.",
		Default: "0", Example: "20",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.ResponseStartTimeout, innerTimeouts) },
	},
	{
		Path: "idle_timeout", Doc: "How long a response that has begun may pause, or a WebSocket be silent in both directions, before it is cut. `0`: no limit. " +
			"Not more than `timeout`.",
		Default: "0", Example: "60",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.IdleTimeout, innerTimeouts) },
	},
	{
		Path: "liveness_timeout", Doc: "How long a request may lie unread at an instance that was ready before the instance gets no more and is replaced.",
		Default: "10", Example: "30s",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.LivenessTimeout, livenessTimeouts) },
	},
	{
		Path: "drain_grace", Doc: "How long WebSockets and event streams of an instance that is taken out of use are kept before they are closed.",
		Default: "30", Example: "5m",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.DrainGrace, graces) },
	},
	{Path: "healthcheck", Doc: "What an instance must do before its revision gets traffic; [deploys.md](deploys.md#healthy) has when it is asked."},
	{
		Path: "healthcheck.path", Doc: "This path must answer with 2xx; it is asked again until it does. Without it, any answer will do.",
		Example: "/health",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.Healthcheck.Path, urlPath("/health")) },
	},
	{
		Path: "healthcheck.timeout", Doc: "How long an instance may take until it is healthy, from its start on.",
		DefaultText: "`timeout`, within 30 s and 1 h", Example: "5m",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Healthcheck.Timeout, startTimeouts) },
	},
	{
		Path: "start_timeout", Doc: "How long an instance may take from its start until it reads requests, whenever it is started, before another one takes its " +
			"place. Each further try has twice as long. Not more than `healthcheck.timeout`.",
		DefaultText: "`healthcheck.timeout`", Example: "3m",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.StartTimeout, startTimeouts) },
	},
	{
		Path: "background_timeout", Doc: "How long an instance that has no request any more may go on working, and is neither stopped nor counts as idle " +
			"([background.md](background.md)). `0`: not at all.",
		Default: "15m", Example: "2h",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.BackgroundTimeout, idleTimes) },
	},
	{
		Path: "stop_timeout", Doc: "How long an instance may take to end, from SIGTERM on, before it is killed.",
		Default: "20", Example: "2m",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.StopTimeout, startTimeouts) },
	},
	{
		Path: "overlap", Doc: "Whether an instance may start before the one whose place it takes has ended. `false` is for an app that holds what only one can " +
			"hold: there is one instance at most, and requests wait while it is replaced ([deploys.md](deploys.md#one-at-a-time)).",
		Default: "true", Example: "false",
		Bind: func(d *draft) keys.Value { return negated{variable: &d.Autoscale.Single} },
	},
	{
		Path: "standby", Doc: "How many instances that are out of use are frozen instead of stopped, as far as there is memory: they wake within " +
			"milliseconds ([standby.md](standby.md)). `true`: as many as there are. With `overlap: false` or `expose: false` none ever is.",
		Default: "true", Example: "false",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.Standby, standbyCount{}) },
	},
	{
		Path: "disk_size", Doc: "Size of the persistent directory `JCLOUD_WORKSPACE`, enforced where the file system has project quotas " +
			"([isolation.md](isolation.md)). `0` or `null`: no directory.",
		Default: "1G", Null: func(d *draft) { d.DiskSize = 0 }, Example: "512Mi",
		Bind: func(d *draft) keys.Value {
			return keys.Bind(&d.DiskSize, keys.Size{Max: keys.MaxSize, Zero: "no disk"})
		},
	},
	{
		Path: "isolation", Doc: "How far instances are confined; [isolation.md](isolation.md) says by what. `strict` takes the network and executable memory, " +
			"unless the next keys give them.",
		Default: string(IsolationDefault), Example: "strict",
		Bind: func(d *draft) keys.Value {
			return keys.Bind(&d.Isolation, keys.EnumOf(IsolationDefault, IsolationStrict))
		},
	},
	{
		Path: "network", Doc: "What instances can reach: the network of the machine (`host`); its loopback and the public internet, but no private network (`internet`, " +
			"[isolation.md](isolation.md#private-networks)); or nothing but a loopback of their own (`none`).",
		DefaultText: "`host`, with `isolation: strict` `none`", Example: "none",
		Bind: func(d *draft) keys.Value {
			return keys.Bind(&d.Network, keys.EnumOf(NetworkHost, NetworkInternet, NetworkNone))
		},
	},
	{
		Path: "executable_memory", Doc: "Whether instances may write code into memory and run it, as just-in-time compilers do: Node.js, Java, PyPy, numba.",
		DefaultText: "`true`, with `isolation: strict` `false`", Example: "true",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.ExecutableMemory, keys.Boolean{}) },
	},
	{
		Path: "devices", Doc: "Devices that instances may open. They get the groups of those that are not for everybody.",
		Example: "[/dev/kvm]",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.Devices, devicePaths) },
	},
	{
		Path: "read_only_paths", Doc: "Files and directories of the machine that instances may read though they are below `/home`, `/root` or another place that functions do not see.",
		Example: "[/home/media/models]",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.ReadOnlyPaths, readOnlyPaths) },
	},
	{Path: "autoscale", Doc: "How many instances run.", Rules: metricSchemas()},
	{
		Path: "autoscale.min", Doc: "Instances that always run. `0` is serverless: the first request starts one.",
		Default: "1", Example: "0",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.Min, minimums) },
	},
	{
		Path: "autoscale.max", Doc: "The most instances that run. Not less than `min`.",
		Default: "10", Example: "3",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.Max, maximums) },
	},
	{
		Path: "autoscale.metric", Doc: "What the number of instances follows.",
		Default: string(defaultMetric), Example: "rps",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.Metric, metricNames) },
	},
	{
		Path: "autoscale.target", Doc: "What each instance should have of the metric, on average.",
		DefaultText: defaultTargets(), Example: "40",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.Target, keys.Positive{}) },
	},
	{
		Path: "autoscale.query", Doc: "What to ask Prometheus, for the metric `prometheus`; it must yield one number for the whole function.",
		DefaultText: "required for prometheus", Example: "sum(shop_orders_waiting), metric: prometheus, target: 20",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.query, queries) },
	},
	{
		Path: "autoscale.metrics", Doc: "Several metrics instead of `metric`, `target` and `query`: the one that asks for most instances counts.",
		Example: "[{metric: cpu, target: 80}, {metric: rps, target: 20}]",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.Metrics, metricList{}) },
	},
	{
		Path: "autoscale.stable_window", Doc: "Time over which the metric is averaged.",
		DefaultText: "`timeout`, within 6 s and 1 h", Example: "60",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.StableWindow, windows) },
	},
	{
		Path: "autoscale.scale_down_delay", Doc: "How long the load must be lower before instances are taken out of use.",
		Default: "30s", Example: "2m",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.ScaleDownDelay, delays) },
	},
	{
		Path: "autoscale.scale_to_zero_after", Doc: "How long there must be no request before the last instance is taken out of use, with `min: 0`.",
		DefaultText: "`stable_window` if that is given, else `timeout`, at least 6 min", Example: "10m",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.ScaleToZeroAfter, idleTimes) },
	},
	{
		Path: "autoscale.revision_timeout", Example: "300", Alias: "timeout", Bind: func(d *draft) keys.Value { return keys.Bind(&d.revisionTimeout, timeouts) },
	},
	{
		Path: "autoscale_min", Example: "0", Alias: "autoscale.min", Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.Min, minimums) },
	},
	{
		Path: "autoscale_max", Example: "3", Alias: "autoscale.max", Bind: func(d *draft) keys.Value { return keys.Bind(&d.Autoscale.Max, maximums) },
	},
	{
		Path: "workers", Doc: "Worker processes in each instance. Only for an `app`.",
		Default: "1", Example: "2",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Workers, keys.Integer{Min: 1, Max: 64}) },
	},
	{
		Path: "concurrency", Doc: "The most requests that an instance works on at once; the others wait. `0`: no limit.",
		Default: "0", Example: "20",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Concurrency, keys.Integer{Min: 0, Max: 10000}) },
	},
	{
		Path: "max_queue", Doc: "The most requests that wait for an instance; more get a 503 at once. `0`: what the platform allows (`gateway.max_queue` in " +
			"[fnctl.yml](fnctl.yml.md)).",
		Default: "0", Example: "50",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.MaxQueue, keys.Integer{Min: 0, Max: keys.Unbounded}) },
	},
	{
		Path: "max_body", Doc: "The largest body of a request; a larger one gets a 413. `0`: no limit.",
		Default: "0", Example: "10M",
		Bind: func(d *draft) keys.Value {
			return keys.Bind(&d.MaxBody, keys.Size{Max: keys.MaxSize, Zero: "no limit"})
		},
	},
	{
		Path: "env", Doc: "Environment variables. Everybody who may read the file sees them: give secrets with `--secret`.",
		Example: "{LOG_LEVEL: debug}",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.Env, envVariables) },
	},
	{
		Path: "hosts", Doc: "Hosts of the function, besides the one that it gets from its name: names, `*.NAME`, `*`, each also with a path " +
			"([traffic.md](traffic.md#hosts)).",
		Example: "[shop.example.com, '*.shop.example.com', www.example.com/shop]",
		Bind:    func(d *draft) keys.Value { return addedHosts{hostRules, &d.Hosts} },
	},
	{Path: "custom_dns", Example: "shop.example.com", Alias: "hosts", Bind: func(d *draft) keys.Value { return addedHosts{hostRules, &d.Hosts} }},
	{
		Path: "strip_prefix", Doc: "Whether the app gets paths without that of the host in `hosts` by which a request came; `X-Forwarded-Prefix` has it.",
		Default: "false", Example: "true",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.StripPrefix, keys.Boolean{}) },
	},
	{
		Path: "labels", Doc: "Labels to tell functions apart. They say nothing to fnctl.",
		Example: "{team: web}",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.Labels, labels) },
	},
	{
		Path: "metrics_path", Doc: "Where each instance serves metrics of its own, in Prometheus' text format.",
		Example: "/metrics",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.MetricsPath, urlPath("/metrics")) },
	},
	{
		Path: "expose", Doc: "Whether the gateway serves the function. `false`: only `fnctl invoke` and its socket reach it.",
		Default: "true", Example: "false",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Expose, keys.Boolean{}) },
	},
	{
		Path: "minAvailable", Doc: "Instances that stay ready while a new revision takes over. Not more than `autoscale.max`.",
		Default: "0", Example: "1",
		Bind: func(d *draft) keys.Value {
			return keys.Bind(&d.MinAvailable, keys.Integer{Min: 0, Max: keys.Unbounded})
		},
	},
}, admissionKeys), Exclusive: []keys.Pair{
	{First: "app", Second: "command"},
	{First: "autoscale", Second: "autoscale_min"},
	{First: "autoscale", Second: "autoscale_max"},
	{First: "autoscale.metric", Second: "autoscale.metrics"},
	{First: "autoscale.target", Second: "autoscale.metrics"},
	{First: "autoscale.query", Second: "autoscale.metrics"},
}}

// ConfigSchema returns the JSON Schema (draft 2020-12) of jcloud.yml, for editors. What it accepts can still be refused
// by ParseConfig, where keys contradict each other; what it refuses is refused.
func ConfigSchema() []byte {
	return configTable.Schema("jcloud.yml", "Configuration of a function of fnctl.")
}

// ConfigManual describes the keys of jcloud.yml.
func ConfigManual() []keys.Manual { return configTable.Manual() }
