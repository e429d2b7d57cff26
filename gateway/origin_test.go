package gateway

import (
	"net/netip"
	"testing"
)

// A proxy of this machine that is named in one family is trusted in both: which one it comes from is its resolver's choice.
func TestIsProxy(t *testing.T) {
	for _, c := range []struct {
		proxy, addr string
		want        bool
	}{
		{"127.0.0.1/32", "127.0.0.1", true}, {"127.0.0.1/32", "::1", true}, {"127.0.0.0/8", "::1", true}, {"::1/128", "127.0.0.1", true},
		{"::1/128", "::1", true}, {"127.0.0.1/32", "127.0.0.2", false}, {"::1/128", "127.0.0.2", false}, {"127.0.0.2/32", "::1", false},
		{"10.0.0.0/8", "10.1.2.3", true}, {"10.0.0.0/8", "::1", false}, {"10.0.0.0/8", "127.0.0.1", false}, {"fd00::/8", "::1", false},
	} {
		if got := isProxy([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix(c.proxy)}, netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s among %s: %v", c.addr, c.proxy, got)
		}
	}
	if isProxy(nil, netip.IPv6Loopback()) {
		t.Error("nobody is trusted")
	}
}
