package wire_test

import (
	"bytes"
	"errors"
	"slices"
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

func TestOptions(t *testing.T) {
	fields := []wire.Field{
		{Name: []byte("connection"), Value: []byte(",A , close,Keep-Alive,\tupgrade")}, {Name: []byte("X"), Value: []byte("b")},
		{Name: []byte("CONNECTION"), Value: []byte("transfer-encoding,TE, c-d,")},
	}
	options := wire.AppendOptions(nil, fields)
	if got := string(bytes.Join(options, []byte("|"))); got != "A|c-d" {
		t.Errorf("got %q", got)
	}
	for name, want := range map[string]bool{"a": true, "A": true, "C-D": true, "c": false, "": false, "b": false} {
		if got := wire.IsOption(options, []byte(name)); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
}

func TestCheckFields(t *testing.T) {
	list := func(n int) []byte { return bytes.Repeat([]byte("a,"), n) }
	for name, test := range map[string]struct {
		fields []wire.Field
		want   int // the status of the error
	}{
		"none":          {nil, 0},
		"the most":      {append(make([]wire.Field, wire.MaxFields-1), wire.Field{Name: []byte("connection"), Value: list(wire.MaxOptions)}), 0},
		"one too many":  {make([]wire.Field, wire.MaxFields+1), 431},
		"options":       {[]wire.Field{{Name: []byte("Connection"), Value: list(wire.MaxOptions + 1)}}, 400},
		"options, both": {slices.Repeat([]wire.Field{{Name: []byte("Connection"), Value: list(wire.MaxOptions/2 + 1)}}, 2), 400},
	} {
		status := 0
		if wrong := (*wire.Error)(nil); errors.As(wire.CheckFields(test.fields), &wrong) {
			status = wrong.Status
		}
		if status != test.want {
			t.Errorf("%s: got %d, want %d", name, status, test.want)
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
