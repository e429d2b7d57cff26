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
	peer     string // its address without port, "" on a unix socket
	addr     netip.Addr
	trusted  bool // its X-Forwarded fields are believed
	proxies  []netip.Prefix
	protocol string // HTTP/1.1, HTTP/1.0 or HTTP/2.0
	host     string // of the last request
}

// newOrigin trusts the given proxies, and every process that may open a unix socket.
func newOrigin(conn net.Conn, proxies []netip.Prefix) origin {
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return origin{trusted: true, proxies: proxies}
	}
	addr := remote.AddrPort().Addr().Unmap()
	o := origin{peer: addr.WithZone("").String(), addr: addr, proxies: proxies}
	for _, proxy := range proxies {
		o.trusted = o.trusted || proxy.Contains(addr)
	}
	return o
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

// forwarded calls each with the fields by which the app knows where a request comes from. There is one address of the client, so that
// apps agree on it, whether they take the first one of X-Forwarded-For, the last, or X-Real-IP. prefix is what the gateway takes from the path.
func (o *origin) forwarded(req *wire.Request, prefix string, each func(name, value string)) {
	client, host, proto, port := o.peer, o.lastHost(req.Host), "http", ""
	if o.trusted {
		client = o.client(req.Fields)
		if said := lastOf(req.Fields, "x-forwarded-host"); said != "" {
			host = said
		}
		if said := lastOf(req.Fields, "x-forwarded-proto"); strings.EqualFold(said, "https") || strings.EqualFold(said, "wss") {
			proto = "https"
		}
		port = lastOf(req.Fields, "x-forwarded-port")
		if before := lastOf(req.Fields, "x-forwarded-prefix"); strings.HasPrefix(before, "/") {
			prefix = strings.TrimSuffix(before, "/") + prefix
		}
	}
	each("X-Forwarded-For", client)
	each("X-Real-Ip", client)
	each("X-Forwarded-Host", host)
	each("X-Forwarded-Proto", proto)
	if isPort(port) {
		each("X-Forwarded-Port", port)
	}
	if prefix != "" {
		each("X-Forwarded-Prefix", prefix)
	}
}

// loopback is the address of a client of whom a process of this machine says nothing.
const loopback = "127.0.0.1"

// client is the address of the client of a trusted proxy: of those that X-Forwarded-For lists, to which each proxy appends the one that it
// sees, the last that is none of a trusted proxy. What stands before it is the client's own word.
func (o *origin) client(fields []wire.Field) string {
	client := cmp.Or(o.peer, loopback)
	list := values(fields, "x-forwarded-for")
	for list != "" {
		var last string
		if comma := strings.LastIndexByte(list, ','); comma >= 0 {
			list, last = list[:comma], list[comma+1:]
		} else {
			list, last = "", list
		}
		addr, ok := parseClient(strings.TrimSpace(last))
		if !ok {
			break
		}
		client = addr.String()
		if !slices.ContainsFunc(o.proxies, func(proxy netip.Prefix) bool { return proxy.Contains(addr) }) {
			break
		}
	}
	return client
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
	list := values(fields, name)
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}

func isPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	return err == nil && port > 0 && s[0] != '+'
}
