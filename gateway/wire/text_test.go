package wire_test

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

func TestListHas(t *testing.T) {
	for list, want := range map[string]bool{
		"close": true, "CLOSE": true, "a, Close": true, "a,close,b": true, " \tclose\t ,": true, ",,close": true,
		"": false, ",": false, "closed": false, "clos": false, "a close": false, "close;q=1": false, `"close"`: false,
	} {
		if got := wire.ListHas([]byte(list), "close"); got != want {
			t.Errorf("%q: got %v", list, got)
		}
	}
}

func TestIsToken(t *testing.T) {
	const tokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		b := []byte{'a', byte(c)}
		if got, want := wire.IsToken(b), strings.IndexByte(tokens, byte(c)) >= 0; got != want {
			t.Errorf("%q: got %v", b, got)
		}
	}
	if wire.IsToken(nil) {
		t.Error("nothing is a token")
	}
}

// TestIsFieldValue at every place, for 8 bytes are looked at at once.
func TestIsFieldValue(t *testing.T) {
	for length := range 20 {
		for place := range length {
			for c := range 256 {
				b := []byte(strings.Repeat("\tx\xff~ ", 4))[:length]
				b[place] = byte(c)
				if got, want := wire.IsFieldValue(b), c == '\t' || c >= ' ' && c != 0x7f; got != want {
					t.Fatalf("%q: got %v", b, got)
				}
			}
		}
	}
}

func TestHopByHop(t *testing.T) {
	for _, name := range []string{"Connection", "Proxy-Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization", "keep-alive", "KEEP-ALIVE"} {
		if !wire.HopByHop([]byte(name)) {
			t.Errorf("%s is sent on", name)
		}
	}
	for _, name := range []string{"Trailer", "Host", "Content-Length", "Connectiom", "Te1", "UA", "Priority", "X-Transfer-Encode"} {
		if wire.HopByHop([]byte(name)) {
			t.Errorf("%s is not sent on", name)
		}
	}
}
