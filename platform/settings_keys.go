package platform

import "time"

var (
	waits  = seconds{min: time.Second, max: time.Hour}
	counts = integer{min: 1, max: unbounded}
)

// settingKeys are the keys of fnctl.yml.
var settingKeys = keys[Settings]{
	{
		path: "endpoint", doc: "The address of each function, with `{name}` in the place of its name. The gateway takes its host from it.",
		initial: "http://{name}.localhost:8080", example: "https://{name}.fn.example.com",
		kind: checkedText{check: checkEndpoint, what: "an address such as http://{name}.example.com"},
		put:  into(func(s *Settings) *string { return &s.Endpoint }),
	},
	{path: "metrics", doc: "Where the activator learns of load."},
	{
		path: "metrics.source", doc: "`gateway` asks the gateway itself, `prometheus` a Prometheus server that scrapes it.",
		initial: string(SourceGateway), example: string(SourcePrometheus),
		kind: oneOf{[]string{string(SourceGateway), string(SourcePrometheus)}, func(s string) any { return MetricsSource(s) }},
		put:  into(func(s *Settings) *MetricsSource { return &s.Metrics.Source }),
	},
	{
		path: "metrics.url", doc: "The address of the Prometheus server. Functions that scale by a query ask it whatever `source` is.",
		initial: "http://127.0.0.1:9090", example: "https://prometheus.example.com",
		kind: checkedText{check: checkServer, what: "the address of a Prometheus server, such as http://127.0.0.1:9090"},
		put:  into(func(s *Settings) *string { return &s.Metrics.URL }),
	},
	{path: "gateway", doc: "The limits of the gateway, and whom it believes."},
	{
		path: "gateway.max_queue", doc: "The most requests that wait for instances of one revision; more get a 503. A function's own `max_queue` in " +
			"[jcloud.yml](jcloud.yml.md) comes first.",
		initial: "1000", example: "200",
		kind: counts,
		put:  into(func(s *Settings) *int { return &s.Gateway.MaxQueue }),
	},
	{
		path: "gateway.max_buffered", doc: "Memory of the requests that wait, of all functions together; more get a 503.",
		initial: "64Mi", example: "256Mi",
		kind: byteSize{min: 1 << 20, max: 1 << 40},
		put:  into(func(s *Settings) *int64 { return &s.Gateway.MaxBuffered }),
	},
	{
		path: "gateway.max_connections", doc: "The most connections of clients at once.",
		initial: "32768", example: "100000",
		kind: counts,
		put:  into(func(s *Settings) *int { return &s.Gateway.MaxConnections }),
	},
	{
		path: "gateway.max_connections_per_address", doc: "The most connections of one address. Those over unix sockets and of trusted proxies don't " +
			"count. `0`: no limit.",
		initial: "4096", example: "100",
		kind: integer{min: 0, max: unbounded},
		put:  into(func(s *Settings) *int { return &s.Gateway.MaxConnectionsPerAddress }),
	},
	{
		path: "gateway.read_header_timeout", doc: "The time that a client has to send the head of a request.",
		initial: "10", example: "5s",
		kind: waits,
		put:  into(func(s *Settings) *time.Duration { return &s.Gateway.ReadHeaderTimeout }),
	},
	{
		path: "gateway.idle_timeout", doc: "How long an idle connection of a client is kept.",
		initial: "75", example: "5m",
		kind: waits,
		put:  into(func(s *Settings) *time.Duration { return &s.Gateway.IdleTimeout }),
	},
	{
		path: "gateway.max_header", doc: "The largest head of a request; a larger one gets a 431.",
		initial: "64Ki", example: "16Ki",
		kind: byteSize{min: 4 << 10, max: 1 << 20},
		put:  into(func(s *Settings) *int64 { return &s.Gateway.MaxHeader }),
	},
	{
		path: "gateway.drain_timeout", doc: "How long a gateway that is stopped or restarted waits for its requests before it cuts them.",
		initial: "90", example: "20s",
		kind: waits,
		put:  into(func(s *Settings) *time.Duration { return &s.Gateway.DrainTimeout }),
	},
	{
		path: "gateway.trusted_proxies", doc: "The proxies before the gateway, by address or prefix: their `X-Forwarded-*` headers are believed.",
		example: "[127.0.0.1, 10.0.0.0/8]",
		kind:    textList{checkedText{check: checkProxy, what: "an address or a prefix such as 10.0.0.0/8"}},
		put:     putProxies,
	},
	{
		path: "gateway.access_log", doc: "Which requests are written to the journal: all, those that ended with 500 or more or broke off, or none.",
		initial: string(AccessLogOn), example: string(AccessLogErrors),
		kind: accessLog,
		put:  into(func(s *Settings) *AccessLog { return &s.Gateway.AccessLog }),
	},
}
