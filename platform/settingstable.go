package platform

import (
	"time"

	"github.com/fnctl/fnctl/platform/keys"
)

var (
	waits  = keys.Seconds[time.Duration]{Min: time.Second, Max: time.Hour}
	counts = keys.Integer{Min: 1, Max: keys.Unbounded}
)

// settingsTable has the keys of fnctl.yml.
var settingsTable = &keys.Table[Settings]{Keys: []keys.Key[Settings]{
	{
		Path: "endpoint", Doc: "The address of each function, with `{name}` in the place of its name. The gateway takes its host from it.",
		Default: "http://{name}.localhost:8080", Example: "https://{name}.fn.example.com",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Endpoint, endpoints) },
	},
	{Path: "metrics", Doc: "Where the activator learns of load."},
	{
		Path: "metrics.source", Doc: "`gateway` asks the gateway itself, `prometheus` a Prometheus server that scrapes it.",
		Default: string(SourceGateway), Example: string(SourcePrometheus),
		Bind: func(s *Settings) keys.Value {
			return keys.Bind(&s.Metrics.Source, keys.EnumOf(SourceGateway, SourcePrometheus))
		},
	},
	{
		Path: "metrics.url", Doc: "The address of the Prometheus server. Functions that scale by a query ask it whatever `source` is.",
		Default: "http://127.0.0.1:9090", Example: "https://prometheus.example.com",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Metrics.URL, servers) },
	},
	{Path: "gateway", Doc: "The limits of the gateway, and whom it believes."},
	{
		Path: "gateway.max_queue", Doc: "The most requests that wait for instances of one revision; more get a 503. A function's own `max_queue` in " +
			"[jcloud.yml](jcloud.yml.md) comes first.",
		Default: "1000", Example: "200",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Gateway.MaxQueue, counts) },
	},
	{
		Path: "gateway.max_buffered", Doc: "Memory of the requests that wait, of all functions together; more get a 503. " +
			"At most half of it is for content that slow clients send or read.",
		Default: "64Mi", Example: "256Mi",
		Bind: func(s *Settings) keys.Value {
			return keys.Bind(&s.Gateway.MaxBuffered, keys.Size{Min: 1 << 20, Max: 1 << 40})
		},
	},
	{
		Path: "gateway.max_connections", Doc: "The most connections of clients at once. Requests of HTTP/2 that run on one beside another count, too; more get a 503.",
		Default: "32768", Example: "100000",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Gateway.MaxConnections, counts) },
	},
	{
		Path: "gateway.max_connections_per_address", Doc: "The most connections of one address, or of one /64 network of IPv6, and so the most requests " +
			"at once; more get a 429. Those over unix sockets and of trusted proxies don't count. `0`: no limit.",
		Default: "4096", Example: "100",
		Bind: func(s *Settings) keys.Value {
			return keys.Bind(&s.Gateway.MaxConnectionsPerAddress, keys.Integer{Min: 0, Max: keys.Unbounded})
		},
	},
	{
		Path: "gateway.read_header_timeout", Doc: "The time that a client has to send the head of a request.",
		Default: "10", Example: "5s",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Gateway.ReadHeaderTimeout, waits) },
	},
	{
		Path: "gateway.min_rate", Doc: "The bytes per second that a client must send or take, on average over 20 s, while an instance waits for it and for nothing else; " +
			"one that is slower gets a 408, or its response is cut. Silence of the app never counts. `0`: no limit.",
		Default: "500", Example: "1000",
		Bind: func(s *Settings) keys.Value {
			return keys.Bind(&s.Gateway.MinRate, keys.Integer{Min: 0, Max: keys.Unbounded})
		},
	},
	{
		Path: "gateway.idle_timeout", Doc: "How long an idle connection of a client is kept.",
		Default: "75", Example: "5m",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Gateway.IdleTimeout, waits) },
	},
	{
		Path: "gateway.max_header", Doc: "The largest head of a request; a larger one gets a 431.",
		Default: "64Ki", Example: "16Ki",
		Bind: func(s *Settings) keys.Value {
			return keys.Bind(&s.Gateway.MaxHeader, keys.Size{Min: 4 << 10, Max: 1 << 20})
		},
	},
	{
		Path: "gateway.drain_timeout", Doc: "How long a gateway that is stopped or restarted waits for its requests before it cuts them.",
		Default: "90", Example: "20s",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Gateway.DrainTimeout, waits) },
	},
	{
		Path: "gateway.trusted_proxies", Doc: "The proxies before the gateway, by address or prefix: their `X-Forwarded-*` headers are " +
			"believed, or `Forwarded` (RFC 7239) where there are none.",
		Example: "[192.0.2.10, 10.0.0.0/8]",
		Bind:    func(s *Settings) keys.Value { return keys.Bind(&s.Gateway.TrustedProxies, networks) },
	},
	{
		Path: "gateway.proxy_protocol", Doc: "Whether each connection of a trusted proxy begins with a PROXY header of either version, as load balancers " +
			"send it that pass TLS on. One without it is closed.",
		Default: "false", Example: "true",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Gateway.ProxyProtocol, keys.Boolean{}) },
	},
	{
		Path: "gateway.access_log", Doc: "Which requests are written to the journal: all, those that ended with 500 or more or broke off, or none.",
		Default: string(AccessLogOn), Example: string(AccessLogErrors),
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Gateway.AccessLog, accessLogs) },
	},
	{Path: "standby", Doc: "Instances that are frozen instead of stopped ([standby.md](standby.md))."},
	{
		Path: "standby.memory", Doc: "The part of the machine's memory that all of them together may have. Those that are worth least for theirs are stopped " +
			"beyond it, and before memory runs short. `0`: none is frozen.",
		Default: "50%", Example: "20%",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Standby.Memory, keys.Percent{}) },
	},
	{
		Path: "standby.swap", Doc: "Whether the memory of those that are worth least is moved to swap, where the machine has some, before they would have to be stopped.",
		Default: "true", Example: "false",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Standby.Swap, keys.Boolean{}) },
	},
	{Path: "poised", Doc: "Instances whose sandbox is made ahead of the first request ([coldstarts.md](coldstarts.md))."},
	{
		Path: "poised.count", Doc: "How many there may be at most: those of the functions that were used last. `0`: none.",
		Default: "64", Example: "200",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Poised.Count, keys.Integer{Min: 0, Max: 10000}) },
	},
	{
		Path: "poised.memory", Doc: "The part of the machine's memory that all of them together may have. Each takes about half a megabyte.",
		Default: "2%", Example: "5%",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.Poised.Memory, keys.Percent{}) },
	},
	{Path: "acme", Doc: "The authorities from which hosts get their certificates ([certificates.md](certificates.md))."},
	{
		Path: "acme.email", Doc: "Where an authority writes when there is something to say about the account.",
		Example: "admin@example.com",
		Bind:    func(s *Settings) keys.Value { return keys.Bind(&s.ACME.Email, emails) },
	},
	{
		Path: "acme.directory", Doc: "The authorities, by the address of their directory (RFC 8555). One after the first is asked while those before it " +
			"cannot be reached or limit how much they are asked.",
		Default: LetsEncrypt, Example: "https://ca.example.com/acme/directory",
		Bind: func(s *Settings) keys.Value { return keys.Bind(&s.ACME.Directories, directories) },
	},
	{
		Path: "acme.root_ca", Doc: "A file of PEM with what the authorities' own servers are signed by, where the system does not trust it.",
		Example: "/etc/fnctl/authority.pem",
		Bind:    func(s *Settings) keys.Value { return keys.Bind(&s.ACME.RootCA, files) },
	},
	{Path: "acme.dns", Doc: "How records of the DNS are made that show an authority whose a name is. Without it no host `*.NAME` gets a certificate."},
	{
		Path: "acme.dns.hook", Doc: "The program that makes and removes them ([certificates.md](certificates.md#wildcards)).",
		Example: "/etc/fnctl/dns-hook",
		Bind:    func(s *Settings) keys.Value { return keys.Bind(&s.ACME.DNS.Hook, files) },
	},
}}

// SettingsManual describes the keys of fnctl.yml.
func SettingsManual() []keys.Manual { return settingsTable.Manual() }
