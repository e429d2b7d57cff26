package gateway

import (
	"net"
	"net/netip"

	"github.com/fnctl/fnctl/gateway/wire"
)

// origin is where requests come from: the other end of a connection.
type origin struct {
	peer     string // its address without port, "" on a unix socket
	addr     netip.Addr
	trusted  bool   // its X-Forwarded fields are believed
	protocol string // HTTP/1.1, HTTP/1.0 or HTTP/2.0
	host     string // of the last request
}

// newOrigin trusts the given proxies, and every process that may open a unix socket.
func newOrigin(conn net.Conn, proxies []netip.Prefix) origin {
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return origin{trusted: true}
	}
	addr := remote.AddrPort().Addr().Unmap()
	o := origin{peer: addr.WithZone("").String(), addr: addr}
	for _, proxy := range proxies {
		o.trusted = o.trusted || proxy.Contains(addr)
	}
	return o
}

// lastHost returns a host as a string, and makes one only if it is another host than last time.
func (o *origin) lastHost(host []byte) string {
	if o.host != string(host) {
		o.host = string(host)
	}
	return o.host
}

// forwarded calls each with the fields by which the app knows where a request comes from.
func (o *origin) forwarded(req *wire.Request, each func(name, value string)) {
	from, host, proto := o.peer, o.lastHost(req.Host), "http"
	if o.trusted {
		if before := values(req.Fields, "x-forwarded-for"); before != "" && from != "" {
			from = before + ", " + from
		} else if before != "" {
			from = before
		}
		if said, once := find(req.Fields, "x-forwarded-host"); once {
			host = string(said)
		}
		if said, once := find(req.Fields, "x-forwarded-proto"); once {
			proto = string(said)
		}
	}
	if from != "" {
		each("X-Forwarded-For", from)
	}
	each("X-Forwarded-Host", host)
	each("X-Forwarded-Proto", proto)
}
