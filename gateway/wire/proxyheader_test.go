package wire

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

func TestProxyHeader(t *testing.T) {
	for name, test := range map[string]struct {
		in     string
		client string // "": none
		n      int    // 0: more has to come
		bad    bool
	}{
		"IPv4":                   {"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET", "192.0.2.1:56324", 45, false},
		"IPv6":                   {"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "[2001:db8::1]:56324", 46, false},
		"unknown":                {"PROXY UNKNOWN ffff:: 1 2\r\n", "", 26, false},
		"unknown, short":         {"PROXY UNKNOWN\r\n", "", 15, false},
		"part of a line":         {"PROXY TCP4 192.0.2.1", "", 0, false},
		"part of the word":       {"PRO", "", 0, false},
		"nothing":                {"", "", 0, false},
		"endless":                {"PROXY TCP4 " + strings.Repeat("1", 200), "", 0, true},
		"no number":              {"PROXY TCP4 192.0.2.1 198.51.100.1 x 443\r\n", "", 0, true},
		"a sign":                 {"PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n", "", 0, true},
		"another family":         {"PROXY TCP4 2001:db8::1 198.51.100.1 1 443\r\n", "", 0, true},
		"a zone":                 {"PROXY TCP6 fe80::1%eth0 fe80::2 1 443\r\n", "", 0, true},
		"too few":                {"PROXY TCP4 192.0.2.1\r\n", "", 0, true},
		"too many":               {"PROXY TCP4 192.0.2.1 198.51.100.1 1 443 x\r\n", "", 0, true},
		"a request":              {"GET / HTTP/1.1\r\n", "", 0, true},
		"TLS":                    {"\x16\x03\x01\x02\x00", "", 0, true},
		"second, IPv4":           {signature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbbGET", "192.0.2.1:56324", 28, false},
		"second, extensions":     {signature + "\x21\x11\x00\x0f\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb\x04\x00\x00GET", "192.0.2.1:56324", 31, false},
		"second, IPv6":           {signature + "\x21\x21\x00\x24\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + strings.Repeat("\x00", 16) + "\xdc\x04\x01\xbb", "[2001:db8::1]:56324", 52, false},
		"second, of its own":     {signature + "\x20\x00\x00\x00", "", 16, false},
		"second, a unix socket":  {signature + "\x21\x31\x00\x02ab", "", 18, false},
		"second, in part":        {signature + "\x21\x11\x00\x0c\xc0\x00", "", 0, false},
		"second, signature":      {signature[:5], "", 0, false},
		"second, too short":      {signature + "\x21\x11\x00\x04\xc0\x00\x02\x01", "", 0, true},
		"second, of a third":     {signature + "\x31\x11\x00\x0c", "", 0, true},
		"second, unknown":        {signature + "\x22\x11\x00\x0c", "", 0, true},
		"second, too long":       {signature + "\x21\x11\xff\xff", "", 0, true},
		"second, a mapped IPv4":  {signature + "\x21\x21\x00\x24" + strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x01" + strings.Repeat("\x00", 16) + "\xdc\x04\x01\xbb", "192.0.2.1:56324", 52, false},
		"no space after PROXY":   {"PROXYTCP4", "", 0, true},
		"blanks after the words": {"PROXY  TCP4 192.0.2.1 198.51.100.1 1 443\r\n", "", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			client, n, err := ProxyHeader([]byte(test.in))
			want := netip.AddrPort{}
			if test.client != "" {
				want = netip.MustParseAddrPort(test.client)
			}
			if client != want || n != test.n || (err != nil) != test.bad {
				t.Errorf("got %v, %d, %v", client, n, err)
			}
		})
	}
}

// A header says the same however it is cut, and never reaches beyond what is there.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"))
	f.Add([]byte(signature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"))
	f.Fuzz(func(t *testing.T, b []byte) {
		client, n, err := ProxyHeader(b)
		if n > len(b) || n < 0 || n > MaxProxyHeader || err != nil && (n != 0 || client.IsValid()) {
			t.Fatalf("%v, %d of %d, %v", client, n, len(b), err)
		}
		if n == 0 {
			return
		}
		for cut := range n {
			if again, m, err := ProxyHeader(b[:cut]); m != 0 || err != nil || again.IsValid() {
				t.Fatalf("%d of %d bytes: %v, %d, %v", cut, n, again, m, err)
			}
		}
		if again, m, err := ProxyHeader(bytes.Clone(b[:n])); again != client || m != n || err != nil {
			t.Fatalf("without what follows: %v, %d, %v", again, m, err)
		}
	})
}
