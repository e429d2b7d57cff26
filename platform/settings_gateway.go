package platform

import (
	"net/netip"
	"time"

	"gopkg.in/yaml.v3"
)

// GatewaySettings are the limits of the gateway, and whom it believes.
type GatewaySettings struct {
	// MaxQueue is the most requests that wait for instances of one revision, where jcloud.yml says nothing else.
	MaxQueue int
	// MaxBuffered bounds the memory of the requests that wait, of all functions together, in bytes.
	MaxBuffered int64
	// MaxConnections is the most connections of clients at once.
	MaxConnections int
	// MaxConnectionsPerAddress is the most connections of one address, 0 for no limit. Those over unix sockets and those
	// of trusted proxies don't count.
	MaxConnectionsPerAddress int
	// ReadHeaderTimeout bounds the time in which a client sends the head of a request.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long an idle connection of a client is kept.
	IdleTimeout time.Duration
	// MaxHeader bounds the head of a request, in bytes.
	MaxHeader int64
	// DrainTimeout bounds how long a gateway that is stopped waits for its requests.
	DrainTimeout time.Duration
	// TrustedProxies are the addresses whose X-Forwarded headers are believed.
	TrustedProxies []netip.Prefix
	// AccessLog says which requests are logged.
	AccessLog AccessLog
}

// AccessLog says which requests are logged.
type AccessLog string

// What is logged: every request, those that failed, or none.
const (
	AccessLogOn     AccessLog = "on"
	AccessLogErrors AccessLog = "errors"
	AccessLogOff    AccessLog = "off"
)

// accessLog is one of the words, or what programs that know YAML 1.1 make of on and off.
var accessLog = onOff{oneOf{
	[]string{string(AccessLogOn), string(AccessLogErrors), string(AccessLogOff)}, func(s string) any { return AccessLog(s) },
}}

// onOff is one of a few words, among them on and off, which are booleans in YAML 1.1.
type onOff struct{ oneOf }

func (k onOff) decode(v configValue) (any, bool) {
	var on bool
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!bool" || v.node.Decode(&on) != nil {
		return k.oneOf.decode(v)
	}
	if on {
		return k.mean("on"), true
	}
	return k.mean("off"), true
}
