package wire_test

import (
	"math"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

func TestAppend(t *testing.T) {
	out := wire.AppendRequestLine(nil, []byte("GET"), []byte("/a"))
	out = wire.AppendField(out, "Host", []byte("b"))
	out = wire.AppendField(out, []byte("C"), "d")
	out = wire.AppendEnd(out)
	if want := "GET /a HTTP/1.1\r\nHost: b\r\nC: d\r\n\r\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out = wire.AppendStatusLine([]byte("x"), 404, []byte("Not Found"))
	if want := "xHTTP/1.1 404 Not Found\r\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out = wire.AppendStatusLine(nil, 599, nil)
	if want := "HTTP/1.1 599 \r\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out = wire.AppendLastChunk(nil, []wire.Field{{Name: []byte("A"), Value: []byte("b")}})
	if want := "0\r\nA: b\r\n\r\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestFrameChunk(t *testing.T) {
	for n, want := range map[int]string{1: "1", 9: "9", 10: "a", 15: "f", 16: "10", 255: "ff", 256: "100", 65535: "ffff", 1 << 20: "100000"} {
		data := strings.Repeat("x", n)
		buf := append(make([]byte, wire.ChunkRoom), data+"--"...)
		if got := string(wire.FrameChunk(buf, n)); got != want+"\r\n"+data+"\r\n" {
			t.Errorf("%d: got %.20q", n, got)
		}
	}
	if got := wire.FrameChunk(make([]byte, wire.ChunkRoom+2), 0); len(got) > 0 {
		t.Errorf("of nothing: %q", got)
	}
	if room := wire.ChunkRoom - len("\r\n"); math.Pow(16, float64(room)) < math.MaxUint32 {
		t.Errorf("no room for sizes of 32 bits")
	}
}
