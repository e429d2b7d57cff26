package wire_test

import (
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

var acceptedResponses = map[string]struct {
	head      string
	status    int
	reason    string
	framing   wire.Framing
	keepAlive bool
	upgrade   bool
}{
	"length":           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "OK", wire.Length(5), true, false},
	"zero length":      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "OK", wire.Length(0), true, false},
	"chunked":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "OK", wire.Chunked(), true, false},
	"until close":      {"HTTP/1.1 200 OK\r\n\r\n", 200, "OK", wire.UntilClose(), true, false},
	"close":            {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 200, "OK", wire.UntilClose(), false, false},
	"1.0":              {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "OK", wire.Length(5), false, false},
	"keep-alive":       {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", 200, "OK", wire.Length(5), true, false},
	"empty reason":     {"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 404, "", wire.Length(0), true, false},
	"no reason":        {"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, "", wire.Length(0), true, false},
	"long reason":      {"HTTP/1.1 404 \tNot  \xe4 here\r\nContent-Length: 0\r\n\r\n", 404, "\tNot  \xe4 here", wire.Length(0), true, false},
	"continue":         {"HTTP/1.1 100 Continue\r\n\r\n", 100, "Continue", wire.None(), true, false},
	"early hints":      {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 103, "Early Hints", wire.None(), true, false},
	"upgrade":          {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n", 101, "Switching Protocols", wire.None(), true, true},
	"no content":       {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, "No Content", wire.None(), true, false},
	"204 with length":  {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, "No Content", wire.None(), false, false},
	"204 with chunks":  {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, "No Content", wire.None(), false, false},
	"not modified":     {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "Not Modified", wire.None(), true, false},
	"strange status":   {"HTTP/1.1 999 Strange\r\nContent-Length: 5\r\n\r\n", 999, "Strange", wire.Length(5), true, false},
	"two of one field": {"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 5\r\n\r\n", 200, "OK", wire.Length(5), true, false},
}

func TestResponseAccepted(t *testing.T) {
	var r wire.Response
	for name, test := range acceptedResponses {
		if err := r.Parse([]byte(test.head)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Status != test.status || string(r.Reason) != test.reason || r.Framing([]byte("GET")) != test.framing ||
			r.KeepAlive != test.keepAlive || r.Upgrade != test.upgrade {
			t.Errorf("%s: got %+v, %v", name, r, r.Framing([]byte("GET")))
		}
	}
}

var refusedResponses = map[string]string{
	"empty":                     "\r\n",
	"a request":                 "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"incomplete":                "HTTP/1.1 200 OK\r\n",
	"more than one":             "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	"an empty line before":      "\r\nHTTP/1.1 200 OK\r\n\r\n",
	"LF":                        "HTTP/1.1 200 OK\n\n",
	"LF after field":            "HTTP/1.1 200 OK\r\nA: b\n\r\n",
	"CR in reason":              "HTTP/1.1 200 O\rK\r\n\r\n",
	"NUL in reason":             "HTTP/1.1 200 O\x00K\r\n\r\n",
	"version only":              "HTTP/1.1\r\n\r\n",
	"two digits":                "HTTP/1.1 20 OK\r\n\r\n",
	"four digits":               "HTTP/1.1 2000 OK\r\n\r\n",
	"status below 100":          "HTTP/1.1 099 OK\r\n\r\n",
	"no digits":                 "HTTP/1.1 2x0 OK\r\n\r\n",
	"plus":                      "HTTP/1.1 +20 OK\r\n\r\n",
	"two spaces":                "HTTP/1.1  200 OK\r\n\r\n",
	"HTTP/2":                    "HTTP/2.0 200 OK\r\n\r\n",
	"malformed version":         "HTTP/1.1.1 200 OK\r\n\r\n",
	"folded line":               "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
	"space before colon":        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
	"two lengths":               "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
	"two equal lengths":         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
	"list of lengths":           "HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\n",
	"negative length":           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	"length and chunked":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	"chunked twice":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	"gzip and chunked":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	"identity":                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
	"chunked in 1.0":            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	"chunked and length in 304": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
}

func TestResponseRefused(t *testing.T) {
	var r wire.Response
	for name, head := range refusedResponses {
		if err := r.Parse([]byte(head)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestFramingDependsOnMethod(t *testing.T) {
	var r wire.Response
	if err := r.Parse([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]wire.Framing{
		"GET": wire.Length(5), "HEAD": wire.None(), "head": wire.Length(5), "CONNECT": wire.None(),
	} {
		if got := r.Framing([]byte(method)); got != want {
			t.Errorf("%s: got %v, want %v", method, got, want)
		}
	}
	if err := r.Parse([]byte("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := r.Framing([]byte("CONNECT")); got != wire.Length(5) {
		t.Errorf("CONNECT refused: got %v", got)
	}
}

func TestFraming(t *testing.T) {
	all := []wire.Framing{wire.None(), wire.Chunked(), wire.UntilClose(), wire.Length(0), wire.Length(7)}
	for i, f := range all {
		if f.IsNone() != (i == 0) || f.IsChunked() != (i == 1) || f.IsUntilClose() != (i == 2) {
			t.Errorf("%v is taken for something else", f)
		}
		if _, known := f.Length(); known != (i >= 3) {
			t.Errorf("%v: length known: %v", f, known)
		}
		for j, other := range all {
			if (f == other) != (i == j) {
				t.Errorf("%v and %v", f, other)
			}
		}
	}
	if n, _ := wire.Length(7).Length(); n != 7 {
		t.Errorf("got %d", n)
	}
}
