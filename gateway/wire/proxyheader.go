package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// MaxProxyHeader is the longest PROXY header that is read. One of the second version may have 64 KB of extensions; those that there are
	// take some hundred bytes.
	MaxProxyHeader = 4 << 10
	// maxProxyLine is the longest of the first version, with its end (PROXY protocol, section 2.1).
	maxProxyLine = 107
)

var (
	proxyLine      = []byte("PROXY ")
	proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// errProxyHeader is what is no PROXY header.
var errProxyHeader = errors.New("the connection does not begin with a PROXY header")

// ProxyHeader reads the header by which a load balancer says whose connection it passes on, in either version of the PROXY protocol
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt). n is its length, 0 if more has to come. client is not valid if it is a
// connection of the load balancer's own, such as a health check.
func ProxyHeader(b []byte) (client netip.AddrPort, n int, err error) {
	switch {
	case bytes.HasPrefix(b, proxySignature):
		return proxyHeader2(b)
	case bytes.HasPrefix(b, proxyLine):
		return proxyHeader1(b)
	case bytes.HasPrefix(proxySignature, b), bytes.HasPrefix(proxyLine, b):
		return client, 0, nil
	}
	return client, 0, errProxyHeader
}

// proxyHeader1 reads a line such as "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443".
func proxyHeader1(b []byte) (client netip.AddrPort, n int, err error) {
	end := bytes.Index(b[:min(len(b), maxProxyLine)], []byte("\r\n"))
	switch {
	case end < 0 && len(b) < maxProxyLine:
		return client, 0, nil
	case end < 0:
		return client, 0, errProxyHeader
	}
	fields := strings.Split(string(b[:end]), " ")
	if fields[1] == "UNKNOWN" {
		return client, end + 2, nil
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return client, 0, errProxyHeader
	}
	addr, err := netip.ParseAddr(fields[2])
	if err != nil || addr.Zone() != "" || addr.Is4() != (fields[1] == "TCP4") {
		return client, 0, errProxyHeader
	}
	port, err := strconv.ParseUint(fields[4], 10, 16)
	if err != nil || fields[4][0] == '+' {
		return client, 0, errProxyHeader
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), end + 2, nil
}

// The fields of a header of the second version.
const (
	proxyFixed   = 16 // bytes before the addresses
	proxyVersion = 0x20
	proxyLocal   = 0x0
	proxyOther   = 0x1 // the connection of another one
	proxyTCP4    = 0x11
	proxyTCP6    = 0x21
)

func proxyHeader2(b []byte) (client netip.AddrPort, n int, err error) {
	if len(b) < proxyFixed {
		return client, 0, nil
	}
	command, family, length := b[12]&0x0f, b[13], int(binary.BigEndian.Uint16(b[14:]))
	n = proxyFixed + length
	switch {
	case b[12]&0xf0 != proxyVersion || command > proxyOther || n > MaxProxyHeader:
		return client, 0, errProxyHeader
	case len(b) < n:
		return client, 0, nil
	case command == proxyLocal:
		return client, n, nil
	}
	addresses := b[proxyFixed:n]
	switch {
	case family == proxyTCP4 && length >= 12:
		addr, _ := netip.AddrFromSlice(addresses[:4])
		return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(addresses[8:])), n, nil
	case family == proxyTCP6 && length >= 36:
		addr, _ := netip.AddrFromSlice(addresses[:16])
		return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(addresses[32:])), n, nil
	case family == proxyTCP4, family == proxyTCP6:
		return client, 0, errProxyHeader
	}
	return client, n, nil // of a family that has no such addresses
}
