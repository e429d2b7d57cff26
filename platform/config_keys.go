package platform

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// draft is a configuration that is being read.
type draft struct {
	Config
	// query is autoscale.query.
	query string
	// revisionTimeout is autoscale.revision_timeout, an old second name of timeout.
	revisionTimeout time.Duration
}

func addHosts(d *draft, decoded any) {
	for _, host := range decoded.([]string) {
		if !slices.Contains(d.Hosts, host) {
			d.Hosts = append(d.Hosts, host)
		}
	}
}

const day = 24 * time.Hour

var (
	timeouts    = seconds{min: time.Second, max: 365 * day}
	windows     = seconds{min: 6 * time.Second, max: time.Hour}
	delays      = seconds{min: 0, max: time.Hour}
	limits      = seconds{min: 0, max: 365 * day}
	patience    = seconds{min: time.Second, max: time.Hour}
	graces      = seconds{min: time.Second, max: day}
	idleTimes   = seconds{min: 0, max: day}
	minimums    = integer{min: 0, max: unbounded, quoted: true}
	maximums    = integer{min: 1, max: unbounded, quoted: true}
	devicePaths = textList{checkedText{check: checkDevice, pattern: devicePattern.String(), what: "the path of a device"}}
	hostNames   = textList{checkedText{check: CheckHost, pattern: `^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`, what: "a host name"}}
)

// configKeys are the keys of jcloud.yml.
var configKeys = keys[draft]{
	{
		path: "name", doc: "Name of the function. `--name` comes first; without either it is the name of the app's directory.",
		example: "shop",
		kind:    checkedText{check: CheckName, pattern: namePattern.String(), what: "a name such as shop"},
		put:     into(func(d *draft) *string { return &d.Name }),
	},
	{
		path: "app", doc: "The Python application to serve, ASGI or WSGI, such as `main:app`. An app on the command line comes first.",
		example: "main:app",
		kind:    checkedText{check: checkApp, pattern: `^[^\s:]+:[^\s:]+$`, what: "an app such as main:app"},
		put:     into(func(d *draft) *string { return &d.App }),
	},
	{
		path: "command", doc: "The program to run instead of an `app`: one of the app's files, or one of the machine, such as `node`.",
		example: "[./server, --verbose]",
		kind:    argv{},
		put:     into(func(d *draft) *[]string { return &d.Command }),
	},
	{
		path: "runtime", doc: "What runs the app: a server for an `app`, or for a `command` how it gets its connections: as `socket` or `port`. " +
			"See [runtimes.md](runtimes.md).",
		initialWords: "found out by `fnctl deploy`", example: "gunicorn",
		kind: oneOf{runtimeNames(), func(s string) any { return Runtime(s) }},
		put:  into(func(d *draft) *Runtime { return &d.Runtime }),
	},
	{
		path: "system_packages", doc: "Whether the Python packages of the machine are visible beside those of `requirements.txt`.",
		initial: "true", example: "false",
		kind: boolean{},
		put:  into(func(d *draft) *bool { return &d.SystemPackages }),
	},
	{
		path: "protocol", doc: "What the program speaks: HTTP/1.1, or HTTP/2 without TLS, which gRPC needs. `h2c` is for a `command`, or an `app` with " +
			"`runtime: hypercorn`.",
		initial: string(HTTP1), example: "h2c",
		kind: oneOf{protocolNames(), func(s string) any { return Protocol(s) }},
		put:  into(func(d *draft) *Protocol { return &d.Protocol }),
	},
	{
		path: "instance", doc: "Tier of each instance: its processor time, memory and price.",
		initial: "C3", example: "C4",
		kind: oneOf{tierNames(), func(s string) any { tier, _ := TierByName(s); return tier }},
		put:  into(func(d *draft) *Tier { return &d.Instance }),
	},
	{
		path: "timeout", doc: "Limit of a whole request, answered with 504 when it is over; a WebSocket is closed.",
		initial: "120", example: "5m",
		kind: timeouts,
		put:  into(func(d *draft) *time.Duration { return &d.Timeout }),
	},
	{
		path: "response_start_timeout", doc: "Limit of the time until an instance begins to answer, then 504. `0`: only `timeout` counts. Not more than `timeout`.",
		initial: "0", example: "20",
		kind: limits,
		put:  into(func(d *draft) *time.Duration { return &d.ResponseStartTimeout }),
	},
	{
		path: "idle_timeout", doc: "How long a response that has begun may pause, or a WebSocket be silent in both directions, before it is cut. `0`: no limit. " +
			"Not more than `timeout`.",
		initial: "0", example: "60",
		kind: limits,
		put:  into(func(d *draft) *time.Duration { return &d.IdleTimeout }),
	},
	{
		path: "liveness_timeout", doc: "How long a request may lie unread at an instance that was ready before the instance gets no more and is replaced.",
		initial: "10", example: "30s",
		kind: patience,
		put:  into(func(d *draft) *time.Duration { return &d.LivenessTimeout }),
	},
	{
		path: "drain_grace", doc: "How long WebSockets and event streams of an instance that is taken out of use are kept before they are closed.",
		initial: "30", example: "5m",
		kind: graces,
		put:  into(func(d *draft) *time.Duration { return &d.DrainGrace }),
	},
	{path: "healthcheck", doc: "What an instance must do before its revision gets traffic; [deploys.md](deploys.md#healthy) has when it is asked."},
	{
		path: "healthcheck.path", doc: "This path must answer with 2xx; it is asked again until it does. Without it, any answer will do.",
		example: "/health",
		kind:    checkedText{check: checkHealthPath, pattern: urlPathPattern.String(), what: "a path such as /health"},
		put:     into(func(d *draft) *string { return &d.Healthcheck.Path }),
	},
	{
		path: "healthcheck.timeout", doc: "How long an instance may take until it is healthy, from its start on.",
		initialWords: "`timeout`, at most 1 h", example: "5m",
		kind: patience,
		put:  into(func(d *draft) *time.Duration { return &d.Healthcheck.Timeout }),
	},
	{
		path: "disk_size", doc: "Size of the persistent directory `JCLOUD_WORKSPACE`, enforced where the file system has project quotas " +
			"([isolation.md](isolation.md)). `0` or `null`: no directory.",
		initial: "1G", null: int64(0), example: "512Mi",
		kind: byteSize{max: maxSize, zero: "no disk"},
		put:  into(func(d *draft) *int64 { return &d.DiskSize }),
	},
	{
		path: "isolation", doc: "How far instances are confined; [isolation.md](isolation.md) says by what. `strict` takes the network and executable memory, " +
			"unless the next keys give them.",
		initial: string(IsolationDefault), example: "strict",
		kind: oneOf{[]string{string(IsolationDefault), string(IsolationStrict)}, func(s string) any { return Isolation(s) }},
		put:  into(func(d *draft) *Isolation { return &d.Isolation }),
	},
	{
		path: "network", doc: "What instances can reach: the network of the machine (`host`), or nothing but a loopback of their own (`none`).",
		initialWords: "`host`, with `isolation: strict` `none`", example: "none",
		kind: oneOf{[]string{string(NetworkHost), string(NetworkNone)}, func(s string) any { return Network(s) }},
		put:  into(func(d *draft) *Network { return &d.Network }),
	},
	{
		path: "executable_memory", doc: "Whether instances may write code into memory and run it, as just-in-time compilers do: Node.js, Java, PyPy, numba.",
		initialWords: "`true`, with `isolation: strict` `false`", example: "true",
		kind: boolean{},
		put:  into(func(d *draft) *bool { return &d.ExecutableMemory }),
	},
	{
		path: "devices", doc: "Devices that instances may open. They get the groups of those that are not for everybody.",
		example: "[/dev/kvm]",
		kind:    devicePaths,
		put:     into(func(d *draft) *[]string { return &d.Devices }),
	},
	{path: "autoscale", doc: "How many instances run."},
	{
		path: "autoscale.min", doc: "Instances that always run. `0` is serverless: the first request starts one.",
		initial: "1", example: "0",
		kind: minimums,
		put:  into(func(d *draft) *int { return &d.Autoscale.Min }),
	},
	{
		path: "autoscale.max", doc: "The most instances that run. Not less than `min`.",
		initial: "10", example: "3",
		kind: maximums,
		put:  into(func(d *draft) *int { return &d.Autoscale.Max }),
	},
	{
		path: "autoscale.metric", doc: "What the number of instances follows.",
		initial: "cpu", example: "rps",
		kind: metricName,
		put:  into(func(d *draft) *Metric { return &d.Autoscale.Metric }),
	},
	{
		path: "autoscale.target", doc: "What each instance should have of the metric, on average.",
		initialWords: targetWords(), example: "40",
		kind: positive{},
		put:  into(func(d *draft) *float64 { return &d.Autoscale.Target }),
	},
	{
		path: "autoscale.query", doc: "What to ask Prometheus, for the metric `prometheus`; it must yield one number for the whole function.",
		initialWords: "required for prometheus", example: "sum(shop_orders_waiting), metric: prometheus, target: 20",
		kind: promQL,
		put:  into(func(d *draft) *string { return &d.query }),
	},
	{
		path: "autoscale.metrics", doc: "Several metrics instead of `metric`, `target` and `query`: the one that asks for most instances counts.",
		example: "[{metric: cpu, target: 80}, {metric: rps, target: 20}]",
		kind:    metricList{},
		put:     into(func(d *draft) *[]MetricTarget { return &d.Autoscale.Metrics }),
	},
	{
		path: "autoscale.stable_window", doc: "Time over which the metric is averaged.",
		initialWords: "`timeout`, within 6 s and 1 h", example: "60",
		kind: windows,
		put:  into(func(d *draft) *time.Duration { return &d.Autoscale.StableWindow }),
	},
	{
		path: "autoscale.scale_down_delay", doc: "How long the load must be lower before instances are stopped.",
		initial: "30s", example: "2m",
		kind: delays,
		put:  into(func(d *draft) *time.Duration { return &d.Autoscale.ScaleDownDelay }),
	},
	{
		path: "autoscale.scale_to_zero_after", doc: "How long there must be no request before the last instance is stopped, with `min: 0`.",
		initialWords: "`stable_window`", example: "10m",
		kind: idleTimes,
		put:  into(func(d *draft) *time.Duration { return &d.Autoscale.ScaleToZeroAfter }),
	},
	{
		path: "autoscale.revision_timeout", example: "300", alias: "timeout", kind: timeouts,
		put: into(func(d *draft) *time.Duration { return &d.revisionTimeout }),
	},
	{
		path: "autoscale_min", example: "0", alias: "autoscale.min", kind: minimums,
		put: into(func(d *draft) *int { return &d.Autoscale.Min }),
	},
	{
		path: "autoscale_max", example: "3", alias: "autoscale.max", kind: maximums,
		put: into(func(d *draft) *int { return &d.Autoscale.Max }),
	},
	{
		path: "workers", doc: "Worker processes in each instance. Only for an `app`.",
		initial: "1", example: "2",
		kind: integer{min: 1, max: 64},
		put:  into(func(d *draft) *int { return &d.Workers }),
	},
	{
		path: "concurrency", doc: "The most requests that an instance works on at once; the others wait. `0`: no limit.",
		initial: "0", example: "20",
		kind: integer{min: 0, max: 10000},
		put:  into(func(d *draft) *int { return &d.Concurrency }),
	},
	{
		path: "max_queue", doc: "The most requests that wait for an instance; more get a 503 at once. `0`: what the platform allows (`gateway.max_queue` in " +
			"[fnctl.yml](fnctl.yml.md)).",
		initial: "0", example: "50",
		kind: integer{min: 0, max: unbounded},
		put:  into(func(d *draft) *int { return &d.MaxQueue }),
	},
	{
		path: "max_body", doc: "The largest body of a request; a larger one gets a 413. `0`: no limit.",
		initial: "0", example: "10M",
		kind: byteSize{max: maxSize, zero: "no limit"},
		put:  into(func(d *draft) *int64 { return &d.MaxBody }),
	},
	{
		path: "env", doc: "Environment variables. Everybody who may read the file sees them: give secrets with `--secret`.",
		example: "{LOG_LEVEL: debug}",
		kind:    dictionary{CheckEnvName, checkEnvValue, envNameSchema(), "a mapping of environment variables to texts"},
		put:     into(func(d *draft) *map[string]string { return &d.Env }),
	},
	{
		path: "hosts", doc: "Host names of the function, besides the one that it gets from its name.",
		example: "[shop.example.com]",
		kind:    hostNames, put: addHosts,
	},
	{path: "custom_dns", example: "shop.example.com", alias: "hosts", kind: hostNames, put: addHosts},
	{
		path: "labels", doc: "Labels to tell functions apart. They say nothing to fnctl.",
		example: "{team: web}",
		kind:    dictionary{checkLabelName, checkLabelValue, schema{"pattern": labelPattern.String()}, "a mapping of labels to texts"},
		put:     into(func(d *draft) *map[string]string { return &d.Labels }),
	},
	{
		path: "metrics_path", doc: "Where each instance serves metrics of its own, in Prometheus' text format.",
		example: "/metrics",
		kind:    checkedText{check: checkMetricsPath, pattern: urlPathPattern.String(), what: "a path such as /metrics"},
		put:     into(func(d *draft) *string { return &d.MetricsPath }),
	},
	{
		path: "expose", doc: "Whether the gateway serves the function. `false`: only `fnctl invoke` and its socket reach it.",
		initial: "true", example: "false",
		kind: boolean{},
		put:  into(func(d *draft) *bool { return &d.Expose }),
	},
	{
		path: "minAvailable", doc: "Instances that stay ready while a new revision takes over. Not more than `autoscale.max`.",
		initial: "0", example: "1",
		kind: integer{min: 0, max: unbounded},
		put:  into(func(d *draft) *int { return &d.MinAvailable }),
	},
}

// targetWords are the default targets.
func targetWords() string {
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

// exclusive are pairs of keys that say the same thing in two ways. The second one is reported.
var exclusive = []struct{ first, second string }{
	{"app", "command"},
	{"autoscale", "autoscale_min"},
	{"autoscale", "autoscale_max"},
	{"autoscale.metric", "autoscale.metrics"},
	{"autoscale.target", "autoscale.metrics"},
	{"autoscale.query", "autoscale.metrics"},
}

func checkMetricsPath(path string) error {
	if !urlPathPattern.MatchString(path) {
		return fmt.Errorf("must be the path of a URL such as /metrics, got %s", quoted(path))
	}
	return nil
}

var labelPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$`)

func checkLabelName(name string) error {
	if !labelPattern.MatchString(name) {
		return errors.New("the name of a label has 1 to 63 letters, digits, dots, slashes, hyphens and underscores, the first and the last a letter or digit")
	}
	return nil
}

func checkLabelValue(value string) error {
	const limit = 253
	if len(value) > limit {
		return fmt.Errorf("a label has at most %d characters, got %d", limit, len(value))
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return errors.New("a label must not contain control characters")
	}
	return nil
}
