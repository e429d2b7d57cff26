package gateway

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// visitors are what clients have at once, by address.
type visitors struct {
	t     *testing.T
	crowd *crowd
}

func (v visitors) connect(addr string) (*clientConn, int) {
	v.t.Helper()
	c := &clientConn{origin: origin{addr: netip.MustParseAddr(addr)}}
	return c, codeOf(v.crowd.admit(c))
}

// codeOf is the status of a refusal, 0 of none, and -1 without one.
func codeOf(err error) int {
	var r *refusal
	switch {
	case err == nil:
		return 0
	case errors.As(err, &r):
		return r.code
	}
	return -1
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		most, perAddr, files int
		addrs                []string
		want                 []int
	}{
		"in total":          {2, 0, 1000, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, []int{0, 0, 503}},
		"an address":        {10, 2, 1000, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"}, []int{0, 0, 429, 0}},
		"a network of IPv6": {10, 2, 1000, []string{"2001:db8:0:1::1", "2001:db8:0:1:ffff::1", "2001:db8:0:1::3", "2001:db8:0:2::1"}, []int{0, 0, 429, 0}},
		"zones of IPv6":     {10, 2, 1000, []string{"fe80::1%eth0", "fe80::2%eth1", "fe80::3"}, []int{0, 0, 429}},
		"files":             {10, 0, 8, slices.Repeat([]string{"192.0.2.1"}, 8), []int{0, 0, 0, 0, 0, 0, 503, -1}},
	} {
		v := visitors{t, newCrowd(&Config{MaxConnections: test.most, MaxConnectionsPerAddress: test.perAddr, MaxFiles: test.files})}
		var conns []*clientConn
		for i, addr := range test.addrs {
			c, code := v.connect(addr)
			if code != test.want[i] {
				t.Errorf("%s: %s got %d, want %d", name, addr, code, test.want[i])
			}
			if code >= 0 {
				conns = append(conns, c)
			}
		}
		for _, c := range conns {
			v.crowd.remove(c)
		}
		v.isEmpty(name)
	}
}

// The first request of a connection is its own, further ones count as further connections.
func TestCrowdOfStreams(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		most, perAddr, files, code int
	}{
		"in total":   {4, 0, 1000, 503},
		"an address": {100, 4, 1000, 429},
		"files":      {100, 0, 6, 503}, // two connections have two of five
	} {
		v := visitors{t, newCrowd(&Config{MaxConnections: test.most, MaxConnectionsPerAddress: test.perAddr, MaxFiles: test.files})}
		first, _ := v.connect("192.0.2.1")
		second, _ := v.connect("192.0.2.1")
		a, b := &handedConn{origin: first.origin}, &handedConn{origin: second.origin}
		room := 2
		if test.files == 6 {
			room = 3
		}
		for i := range 1 + room {
			if r := v.crowd.admitStream(a); r != nil {
				t.Errorf("%s: stream %d got %v", name, i, r)
			}
		}
		if r := v.crowd.admitStream(a); r == nil || r.code != test.code {
			t.Errorf("%s: one too many got %v", name, r)
		}
		if r := v.crowd.admitStream(b); r != nil {
			t.Errorf("%s: the first one of another connection got %v", name, r)
		}
		v.crowd.removeStream(a)
		if r := v.crowd.admitStream(b); r != nil {
			t.Errorf("%s: no room after one has ended: %v", name, r)
		}
		v.crowd.remove(first) // it is closed before its requests have ended
		for range room {
			v.crowd.removeStream(a)
		}
		v.crowd.removeStream(b)
		v.crowd.removeStream(b)
		v.crowd.remove(second)
		v.isEmpty(name)
	}
}

func (v visitors) isEmpty(name string) {
	v.t.Helper()
	if k := v.crowd; k.all != 0 || k.refused != 0 || len(k.perAddr) != 0 {
		v.t.Errorf("%s: left: %d connections and streams, %d refused, %v", name, k.all, k.refused, k.perAddr)
	}
}
