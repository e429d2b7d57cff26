package gateway

import (
	"cmp"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

// Config is what a gateway needs to know. Only the first group has no defaults.
type Config struct {
	// Paths are where routes and instance sockets are.
	Paths platform.Paths
	// Host returns the host name, in lower case and without port, at which the platform lets a function be reached.
	Host func(function string) string
	// Listeners take the requests of clients. They are closed when Run's context ends; what systemd holds besides stays.
	Listeners []net.Listener
	// Secure take requests over TLS, and Redirecting those of clients that are told to come back over TLS. There may be none.
	Secure, Redirecting []net.Listener
	// Certificates are those of Secure, and Challenges what authorities look for there and at Redirecting. Run follows the certificates.
	Certificates *certificates.Cache
	Challenges   certificates.Challenges
	// Status takes requests for the metrics and the health of the gateway itself. There may be none.
	Status []net.Listener

	// Predecessor is the gateway whose place this one takes; nil: there is none. Listeners and Status are its sockets then.
	Predecessor *Predecessor
	// Serving is called once the gateway accepts. It may take its time; an error ends the gateway.
	Serving func() error

	// Logger is slog.Default() if nil.
	Logger *slog.Logger
	// Registry gets the metrics. A new one is made if nil.
	Registry *prometheus.Registry
	// AccessLog gets each request that has ended. It may be nil.
	AccessLog AccessLog
	// MaxQueue is how many requests may wait for instances of one revision whose route says nothing else. Default 1,000.
	MaxQueue int
	// MaxBuffered bounds the memory of the requests that wait, all together, in bytes. Default 64 MiB.
	MaxBuffered int64
	// MaxConnections bounds the connections of clients, together with the requests of HTTP/2 that run on one beside another. Default 32,768.
	MaxConnections int
	// MaxConnectionsPerAddress bounds those of one address that is not trusted, or of one /64 network of IPv6. Default 0: no limit.
	MaxConnectionsPerAddress int
	// MaxFiles is how many files the process may open, of which clients get three quarters. Default: its limit.
	MaxFiles int
	// Name is that of the gateways of this machine in Via fields, by which a request that comes back is known. Default fnctl.
	Name string
	// TrustedProxies are the addresses whose X-Forwarded and Forwarded fields are believed.
	TrustedProxies []netip.Prefix
	// ProxyProtocol is whether connections of TrustedProxies begin with a PROXY header, which says whose they are.
	ProxyProtocol bool
	// DrainTimeout bounds how long Run waits for requests in flight after its context, or that of its successor, has ended. Default
	// 90 s.
	DrainTimeout time.Duration
	// ReadHeaderTimeout bounds the time in which a client sends the head of a request. Default 10 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long an idle connection of a client is kept. Default 75 s.
	IdleTimeout time.Duration
	// MinRate is how fast a client must send content, and take it, while an instance waits for that, in bytes per second; one that is slower
	// for MinRateTime is cut. Default 0: there is no such rate.
	MinRate int64
	// MinRateTime is for how long a client may move nothing. Default 20 s.
	MinRateTime time.Duration
	// MaxHeaderBytes bounds the head of a request. Default 64 KiB.
	MaxHeaderBytes int
}

// clientListeners are all sockets at which clients are accepted.
func (c *Config) clientListeners() []net.Listener {
	return slices.Concat(c.Listeners, c.Secure, c.Redirecting)
}

func (c Config) withDefaults() Config {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Certificates == nil {
		c.Certificates = certificates.NewCache(certificates.Store{}, c.Logger)
	}
	c.Name = cmp.Or(c.Name, "fnctl")
	c.MaxQueue = cmp.Or(c.MaxQueue, 1000)
	c.MaxBuffered = cmp.Or(c.MaxBuffered, 64<<20)
	c.MaxConnections = cmp.Or(c.MaxConnections, 32<<10)
	c.MaxFiles = cmp.Or(c.MaxFiles, limitOfFiles())
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 90*time.Second)
	c.ReadHeaderTimeout = cmp.Or(c.ReadHeaderTimeout, 10*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 75*time.Second)
	c.MinRateTime = cmp.Or(c.MinRateTime, 20*time.Second)
	c.MaxHeaderBytes = cmp.Or(c.MaxHeaderBytes, 64<<10)
	return c
}

// limitOfFiles is how many files the process may open.
func limitOfFiles() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// MetricAccessLogDropped counts the requests that an access log has left out to keep up. The writer of the log counts it.
const MetricAccessLogDropped = "fnctl_gateway_access_log_dropped_total"

// Access is a record of one request that has ended.
type Access struct {
	// At is when the request arrived.
	At time.Time
	// Function, Revision and Instance are where it went: ping, ping-00001, ping-00001@3. They are empty as far as it did not
	// get there.
	Function, Revision, Instance string
	Method, Host                 string
	// Path is without the query, which may carry secrets.
	Path string
	// Protocol is that of the client: HTTP/1.1, HTTP/2.0.
	Protocol string
	Status   int
	// Duration is the time from arrival to the last byte, FirstByte that to the head of the response, 0 if there was none.
	Duration, FirstByte time.Duration
	// Queued is how long the request waited for an instance, Cold how long for one that had to start; 0: it did not.
	Queued, Cold time.Duration
	RequestID    string
	// Peer is the address of the client, without its port: what the app is told, too.
	Peer string
	// Received and Sent are bytes of content, from and to the client.
	Received, Sent int64
	// Aborted is why the request broke off (client, timeout, upstream, shutdown); empty: it did not.
	Aborted string
	// Retries is how often the request was sent again.
	Retries int
}

// AccessLog gets each request that has ended.
type AccessLog interface {
	// Record is called by many goroutines at once, and must not wait. a is only lent: it changes after the call.
	Record(a *Access)
}
