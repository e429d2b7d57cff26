package gateway

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/gateway/wire"
)

// origin is where requests come from: the other end of a connection.
type origin struct {
	peer    string // its address without port, "" on a unix socket
	addr    netip.Addr
	trusted bool // what it says of its clients is believed
	secure  bool // it speaks TLS
	// redirected is whether its requests are to come back over TLS.
	redirected bool
	proxies    []netip.Prefix
	protocol   string // HTTP/1.1, HTTP/1.0 or HTTP/2.0
	host       string // of the last request
}

// newOrigin trusts the given proxies, and every process that may open a unix socket.
func newOrigin(conn net.Conn, proxies []netip.Prefix) origin {
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return origin{trusted: true, proxies: proxies}
	}
	addr := remote.AddrPort().Addr().Unmap()
	return origin{peer: addr.WithZone("").String(), addr: addr, proxies: proxies, trusted: isProxy(proxies, addr)}
}

// relocate makes another address the other end, as a load balancer says. What is there is believed only if it is a proxy itself.
func (o *origin) relocate(addr netip.Addr) {
	o.peer, o.addr, o.trusted = addr.WithZone("").String(), addr, isProxy(o.proxies, addr)
}

// isProxy reports whether an address is that of one of the proxies. A program of this machine is found at the loopback address of either
// family, as its resolver has it: to name one is to name both.
func isProxy(proxies []netip.Prefix, addr netip.Addr) bool {
	has := func(addr netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(proxy netip.Prefix) bool { return proxy.Contains(addr) })
	}
	switch ipv4 := netip.AddrFrom4([4]byte{127, 0, 0, 1}); addr {
	case ipv4, netip.IPv6Loopback():
		return has(ipv4) || has(netip.IPv6Loopback())
	}
	return has(addr)
}

// network is what counts as one address: with IPv6 the 64 bits that are a network's, of which each host may take any number.
func (o *origin) network() netip.Prefix {
	bits := o.addr.BitLen()
	if o.addr.Is6() {
		bits = 64
	}
	network, _ := o.addr.Prefix(bits) // fails for no address that there is
	return network
}

// lastHost returns a host as a string, and makes one only if it is another host than last time.
func (o *origin) lastHost(host []byte) string {
	if o.host != string(host) {
		o.host = string(host)
	}
	return o.host
}

// sender is who sends a request, as far as it is believed.
type sender struct {
	client string // its address
	host   string // that it asks for; "": what the request has
	https  bool
}

// scheme is that of the connection.
func (o *origin) scheme() string {
	if o.secure {
		return "https"
	}
	return "http"
}

// loopback is the address of a client of whom a process of this machine says nothing.
const loopback = "127.0.0.1"

// sender believes of a trusted proxy its X-Forwarded fields, or else what it says in the way of RFC 7239.
func (o *origin) sender(fields []wire.Field) sender {
	if !o.trusted {
		return sender{client: o.peer, https: o.secure}
	}
	s := sender{client: cmp.Or(o.peer, loopback), https: o.secure}
	if !has(fields, "x-forwarded-for") && !has(fields, "x-forwarded-host") && !has(fields, "x-forwarded-proto") {
		o.readForwarded(&s, values(fields, "forwarded"))
		return s
	}
	for list := values(fields, "x-forwarded-for"); list != ""; {
		var last string
		list, last = cutLast(list)
		if !o.passes(&s, last) {
			break
		}
	}
	s.host, s.https = lastOf(fields, "x-forwarded-host"), isHTTPS(cmp.Or(lastOf(fields, "x-forwarded-proto"), o.scheme()))
	return s
}

// readForwarded takes host and scheme from the proxy that is nearest to the client and says something of them.
func (o *origin) readForwarded(s *sender, list string) {
	elements, _ := wire.ParseForwarded([]byte(list))
	for _, element := range slices.Backward(elements) {
		s.host = cmp.Or(element.Host, s.host)
		if element.Proto != "" {
			s.https = isHTTPS(element.Proto)
		}
		if !o.passes(s, element.For) {
			return
		}
	}
}

// passes makes the address that a trusted proxy has seen the client's, and reports whether that is another trusted proxy. To their list each
// proxy appends the one that it sees, so that the client is the last that is none of a trusted proxy. What stands before it is its own word.
func (o *origin) passes(s *sender, seen string) bool {
	addr, ok := parseClient(seen)
	if !ok {
		return false
	}
	s.client = addr.String()
	return isProxy(o.proxies, addr)
}

// forwarded calls each with the fields by which the app knows where a request comes from. There is one address of the client, so that
// apps agree on it, whether they take the first one of X-Forwarded-For, the last, or X-Real-IP. prefix is what the gateway takes from the path.
func (o *origin) forwarded(req *wire.Request, from sender, prefix string, each func(name, value string)) {
	proto, port := "http", ""
	if from.https {
		proto = "https"
	}
	if o.trusted {
		port = lastOf(req.Fields, "x-forwarded-port")
		if before := lastOf(req.Fields, "x-forwarded-prefix"); strings.HasPrefix(before, "/") {
			prefix = strings.TrimSuffix(before, "/") + prefix
		}
	}
	each("X-Forwarded-For", from.client)
	each("X-Real-Ip", from.client)
	each("X-Forwarded-Host", cmp.Or(from.host, o.lastHost(req.Host)))
	each("X-Forwarded-Proto", proto)
	if isPort(port) {
		each("X-Forwarded-Port", port)
	}
	if prefix != "" {
		each("X-Forwarded-Prefix", prefix)
	}
}

// isHTTPS reports whether a scheme, which may be that of a WebSocket, is one of TLS.
func isHTTPS(scheme string) bool {
	return strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "wss")
}

// parseClient reads an address as proxies write it, some with a port.
func parseClient(s string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return addr.Unmap().WithZone(""), err == nil
}

// lastOf is the last element of the list of a field, which the nearest proxy has written.
func lastOf(fields []wire.Field, name string) string {
	_, last := cutLast(values(fields, name))
	return last
}

func cutLast(list string) (before, last string) {
	comma := strings.LastIndexByte(list, ',')
	return list[:max(comma, 0)], strings.TrimSpace(list[comma+1:])
}

func isPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	return err == nil && port > 0 && s[0] != '+'
}
