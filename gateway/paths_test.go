package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/fnctl/fnctl/platform"
)

// tellPathsHTTP2 answers each request on the connections of a listener with the path that it asks for, as it came.
func tellPathsHTTP2(t *testing.T, l net.Listener) {
	serve := func(c net.Conn) {
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(c, c)
		framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		framer.WriteSettings()
		var head bytes.Buffer
		encoder := hpack.NewEncoder(&head)
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			switch f := frame.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					framer.WriteSettingsAck()
				}
			case *http2.MetaHeadersFrame:
				head.Reset()
				encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
				framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.StreamID, BlockFragment: head.Bytes(), EndHeaders: true})
				framer.WriteData(f.StreamID, true, []byte(f.PseudoValue("method")+" "+f.PseudoValue("path")))
			}
		}
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go serve(c)
	}
}

// An app gets the path as the client wrote it, whatever package url thinks of it, over HTTP/1 and HTTP/2.
func TestPathsPassUntouched(t *testing.T) {
	for _, protocol := range []platform.Protocol{platform.HTTP1, platform.H2C} {
		t.Run(string(protocol), func(t *testing.T) {
			w := newWorld(t)
			w.route(ping, func(s *platform.TrafficShare) { s.Protocol = protocol })
			a := w.arm(ping, 1)
			if protocol == platform.H2C {
				go tellPathsHTTP2(t, a.Listener)
			} else {
				a.serve(t, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { fmt.Fprint(out, r.Method, " ", r.RequestURI) }))
			}
			paths := []string{"GET /", "GET //x", "GET /a/../b", "GET /a%2Fb?c=%2f&d", "GET /?", "GET /a?b?c"}
			if protocol == platform.H2C { // Go's own server refuses these
				paths = append(paths, "GET /100%", "GET /a|b\"^`{}", "GET /%zz?%", "OPTIONS *")
			}
			for _, asked := range paths {
				if res, got := w.raw(t, asked+" HTTP/1.1\r\nHost: ping.localhost\r\nConnection: close\r\n\r\n"); res.StatusCode != http.StatusOK || got != asked {
					t.Errorf("%s: got %d %q", asked, res.StatusCode, got)
				}
			}
		})
	}
}

// Rules lead to functions by host and path, and the app gets the path with the prefix or without.
func TestRules(t *testing.T) {
	w := newWorld(t)
	pong := platform.RevisionID{Function: "pong", Number: 1}
	tell := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(out, "%s %s %s", r.Header.Get("X-Function"), r.RequestURI, r.Header.Get("X-Forwarded-Prefix"))
	})
	for _, id := range []platform.RevisionID{ping, pong} {
		w.arm(id, 1).serve(t, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Function", id.Function)
			tell(out, r)
		}))
	}
	put := func(id platform.RevisionID, strip bool, hosts ...string) {
		w.put(platform.Route{Function: id.Function, Hosts: hosts, StripPrefix: strip, Traffic: []platform.TrafficShare{
			{Revision: id, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Duration(requestTimeout)}},
		}})
	}
	put(ping, false, "shop.example", "*.tenants.example", "shop.example/kept")
	put(pong, true, "shop.example/api", "*", "*.tenants.example/api")
	w.eventually("the routes are taken", func() bool {
		taken := true
		for _, host := range []string{"shop.example", "nobody.example"} {
			req := w.request("GET", "ping", "/", "")
			req.Host = host
			taken = taken && send(w.client, req).status == http.StatusOK
		}
		return taken
	})
	for asked, want := range map[[2]string]string{
		{"shop.example", "/"}:              "ping / ",
		{"shop.example", "/kept/x?y"}:      "ping /kept/x?y ",
		{"shop.example", "/api"}:           "pong / /api",
		{"shop.example", "/api?x=1"}:       "pong /?x=1 /api",
		{"shop.example", "/api/"}:          "pong / /api",
		{"shop.example:8080", "/api/v1/a"}: "pong /v1/a /api",
		{"shop.example", "/apis"}:          "ping /apis ",
		{"a.tenants.example", "/x"}:        "ping /x ",
		{"a.tenants.example", "/api/x"}:    "pong /x /api",
		{"nobody.example", "/api/x"}:       "pong /api/x ",
		{"127.0.0.1", "/"}:                 "pong / ",
		{"ping.localhost", "/api"}:         "ping /api ",
	} {
		res, got := w.raw(t, "GET "+asked[1]+" HTTP/1.1\r\nHost: "+asked[0]+"\r\nX-Forwarded-Prefix: /evil\r\nConnection: close\r\n\r\n")
		if res.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s%s: got %d %q, want %q", asked[0], asked[1], res.StatusCode, got, want)
		}
	}
}
