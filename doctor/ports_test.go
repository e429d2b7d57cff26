package doctor

import (
	"net/netip"
	"testing"
)

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		listens, asked string
		want           bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080", true},
		{"127.0.0.1:8080", "127.0.0.1:80", false},
		{"127.0.0.1:8080", "[::1]:8080", false},
		{"0.0.0.0:8080", "127.0.0.1:8080", true},
		{"0.0.0.0:8080", "[::1]:8080", false},
		{"[::]:8080", "[::1]:8080", true},
		{"[::]:8080", "127.0.0.1:8080", true},
		{"[::1]:8080", "127.0.0.1:8080", false},
		{"[2001:db8::1]:8080", "[::1]:8080", false},
	} {
		if got := covers(netip.MustParseAddrPort(c.listens), netip.MustParseAddrPort(c.asked)); got != c.want {
			t.Errorf("%s, %s: got %t", c.listens, c.asked, got)
		}
	}
}
