package platform

import (
	"net/netip"
	"time"

	"github.com/fnctl/fnctl/platform/keys"
)

// GatewaySettings are the limits of the gateway, and the proxies that it trusts.
type GatewaySettings struct {
	// MaxQueue is the most requests that wait for instances of one revision, where its jcloud.yml has no max_queue.
	MaxQueue int
	// MaxBuffered bounds the memory of the requests that wait, of all functions together, in bytes.
	MaxBuffered int64
	// MaxConnections is the most connections of clients at once, with the requests of HTTP/2 that run on one beside another.
	MaxConnections int
	// MaxConnectionsPerAddress is the most of them of one address, or one /64 network of IPv6, 0 for no limit. Those over unix
	// sockets and those of trusted proxies don't count.
	MaxConnectionsPerAddress int
	// ReadHeaderTimeout bounds the time in which a client sends the head of a request.
	ReadHeaderTimeout time.Duration
	// MinRate is how fast a client must send content, and take it, while an instance waits for that, in bytes per second; 0 for no limit.
	MinRate int
	// IdleTimeout is how long an idle connection of a client is kept.
	IdleTimeout time.Duration
	// MaxHeader bounds the head of a request, in bytes.
	MaxHeader int64
	// DrainTimeout bounds how long a gateway that is stopped waits for its requests.
	DrainTimeout time.Duration
	// TrustedProxies are the addresses whose X-Forwarded headers are believed.
	TrustedProxies []netip.Prefix
	// ProxyProtocol is whether the connections of TrustedProxies begin with a PROXY header.
	ProxyProtocol bool
	// AccessLog selects the requests that are logged.
	AccessLog AccessLog
}

// AccessLog selects the requests that are logged.
type AccessLog string

// Every request is logged, those that failed, or none.
const (
	AccessLogOn     AccessLog = "on"
	AccessLogErrors AccessLog = "errors"
	AccessLogOff    AccessLog = "off"
)

// accessLogs is the kind of AccessLog: one of the words, or what programs that know YAML 1.1 make of on and off.
var accessLogs = onOff{keys.EnumOf(AccessLogOn, AccessLogErrors, AccessLogOff)}

// onOff is one of a few words, among them on and off, which are booleans in YAML 1.1.
type onOff struct{ keys.Enum[AccessLog] }

// Decode implements keys.Kind.
func (k onOff) Decode(n keys.Node) (AccessLog, bool) {
	switch on, isBool := n.Bool(); {
	case !isBool:
		return k.Enum.Decode(n)
	case on:
		return AccessLogOn, true
	}
	return AccessLogOff, true
}
