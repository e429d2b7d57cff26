package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/fnctl/fnctl/gateway"
)

// rawHTTP2 is a connection that sends whatever it is told to.
type rawHTTP2 struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	block  strings.Builder
	coder  *hpack.Encoder
	stream uint32
}

func dialHTTP2(t *testing.T, w *world) *rawHTTP2 {
	t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(requestTimeout))
	c := &rawHTTP2{t: t, conn: conn, framer: http2.NewFramer(conn, conn), stream: 1}
	c.coder = hpack.NewEncoder(&c.block)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(conn, http2.ClientPreface)
	if err := c.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c
}

// fields are those of an ordinary request, of which the given ones take the place, or are added.
func (c *rawHTTP2) fields(others ...string) []hpack.HeaderField {
	fields := []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "ping.localhost"},
		{Name: ":path", Value: "/x"}}
	for pair := range slices.Chunk(others, 2) {
		field := hpack.HeaderField{Name: pair[0], Value: pair[1]}
		same := func(f hpack.HeaderField) bool { return f.Name == field.Name }
		if i := slices.IndexFunc(fields, same); i >= 0 {
			fields[i] = field
			continue
		}
		fields = append(fields, field)
	}
	return fields
}

// send sends the head of a request, and its body if there is one, and returns the status, or how it was refused.
func (c *rawHTTP2) send(fields []hpack.HeaderField, body string) string {
	c.t.Helper()
	c.block.Reset()
	for _, f := range fields {
		c.coder.WriteField(f)
	}
	head := http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: []byte(c.block.String()), EndHeaders: true, EndStream: body == ""}
	if err := c.framer.WriteHeaders(head); err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		c.framer.WriteData(c.stream, true, []byte(body)) // the head may have been refused already
	}
	status := c.status()
	c.stream += 2
	return status
}

func (c *rawHTTP2) status() string {
	for {
		frame, err := c.framer.ReadFrame()
		var reset http2.StreamError
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.GoAwayFrame:
			return "closed"
		case *http2.SettingsFrame:
			c.acknowledge(frame)
		}
		if err != nil && !errors.As(err, &reset) {
			return "closed"
		}
	}
}

func (c *rawHTTP2) acknowledge(frame *http2.SettingsFrame) {
	if !frame.IsAck() {
		c.framer.WriteSettingsAck()
	}
}

// What is no part of a request in HTTP/2 does not become one in HTTP/1.1.
func TestHTTP2IsNotSmuggledIntoHTTP1(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: ping.localhost\r\n\r\n"
	const refused = ""
	for name, test := range map[string]struct {
		fields []string
		body   string
		want   []string // any of these is what the app sees
	}{
		"plain":                     {nil, "hello", []string{"POST /x 5"}},
		"length":                    {[]string{"content-length", "5"}, "hello", []string{"POST /x 5"}},
		"length too small":          {[]string{"content-length", "0"}, smuggled, []string{refused, "POST /x 0"}},
		"length too large":          {[]string{"content-length", "500"}, smuggled, []string{refused}},
		"length without body":       {[]string{"content-length", "5"}, "", []string{refused, "POST /x 0"}},
		"length negative":           {[]string{"content-length", "-1"}, smuggled, []string{refused, "POST /x 0"}},
		"length with plus":          {[]string{"content-length", "+5"}, "hello", []string{refused, "POST /x 0"}},
		"coding":                    {[]string{"transfer-encoding", "chunked"}, "0\r\n\r\n" + smuggled, []string{refused}},
		"connection":                {[]string{"connection", "close"}, "", []string{refused}},
		"upgrade":                   {[]string{"upgrade", "websocket"}, "", []string{refused}},
		"line end in value":         {[]string{"x", "a\r\ntransfer-encoding: chunked"}, "0\r\n\r\n" + smuggled, []string{refused}},
		"LF in value":               {[]string{"x", "a\ntransfer-encoding: chunked"}, "0\r\n\r\n" + smuggled, []string{refused}},
		"NUL in value":              {[]string{"x", "a\x00b"}, "", []string{refused}},
		"line end in name":          {[]string{"x\r\nhost", "other"}, "", []string{refused}},
		"colon in name":             {[]string{"transfer-encoding: chunked\r\nx", "y"}, smuggled, []string{refused}},
		"space in name":             {[]string{"transfer-encoding ", "chunked"}, "0\r\n\r\n" + smuggled, []string{refused}},
		"capitals in name":          {[]string{"Transfer-Encoding", "chunked"}, "0\r\n\r\n" + smuggled, []string{refused}},
		"empty name":                {[]string{"", "x"}, "", []string{refused}},
		"line end in path":          {[]string{":path", "/x HTTP/1.1\r\nHost: ping.localhost\r\n\r\n" + smuggled}, "", []string{refused}},
		"space in path":             {[]string{":path", "/x HTTP/1.1"}, "", []string{refused}},
		"path without slash":        {[]string{":path", "x"}, "", []string{refused}},
		"path is a URL":             {[]string{":path", "http://ping.localhost/x"}, "", []string{refused}},
		"no path":                   {[]string{":path", ""}, "", []string{refused}},
		"request in method":         {[]string{":method", "GET / HTTP/1.1\r\nHost: ping.localhost\r\n\r\nGET"}, "", []string{refused}},
		"space in method":           {[]string{":method", "GET /smuggled"}, "", []string{refused}},
		"other scheme":              {[]string{":scheme", "http://nobody/?"}, "", []string{refused}},
		"line end in authority":     {[]string{":authority", "ping.localhost\r\nx: y"}, "", []string{refused}},
		"user in authority":         {[]string{":authority", "user@ping.localhost"}, "", []string{refused}},
		"path in authority":         {[]string{":authority", "ping.localhost/x"}, "", []string{refused}},
		"unknown pseudo field":      {[]string{":x", "y"}, "", []string{refused}},
		"underscored length":        {[]string{"content_length", "100"}, "hello", []string{"POST /x 5"}},
		"host beside its authority": {[]string{"host", "nobody.localhost"}, "hello", []string{refused, "POST /x 5"}},
	} {
		t.Run(name, func(t *testing.T) {
			var app ledger
			w := withApp(t, app.ServeHTTP)
			c := dialHTTP2(t, w)
			status := c.send(c.fields(test.fields...), test.body)
			if got := w.get("ping", "/marker"); got.body != "GET /marker 0" {
				t.Errorf("the next request got %+v", got)
			}
			seen := slices.DeleteFunc(app.take(), func(s string) bool { return s == "GET /marker 0" })
			if got := strings.Join(seen, ", "); !slices.Contains(test.want, got) {
				t.Errorf("the app saw %q, want any of %q", got, test.want)
			}
			if status == "200" && len(seen) == 0 {
				t.Error("it was answered as if the app had seen it")
			}
		})
	}
}

// The line that the app gets is the gateway's, so what cannot be in it must not come through, however lenient the app is.
func TestHTTP2RequestLine(t *testing.T) {
	lines := make(chan string, 1)
	w := newWorld(t)
	w.route(ping)
	a := w.arm(ping, 1)
	go func() {
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				lines <- line
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
			c.Close()
		}
	}()
	for _, test := range [][2]string{
		{":path", "/x HTTP/1.1"}, {":path", "/x\t"}, {":path", "x"}, {":path", "*"}, {":path", "http://nobody/x"}, {":path", "ping.localhost:80"}, {":path", ""},
		{":method", "GET / x"}, {":method", "G@T"}, {":method", "GET\t/"}, {":method", "GET\r\nX: y"}, {":method", ""}, {":method", "CONNECT"}, {":method", "\u00dc"},
	} {
		c := dialHTTP2(t, w)
		status := c.send(c.fields(test[:]...), "")
		select {
		case line := <-lines:
			t.Errorf("%q: the app got %q", test, line)
		default:
		}
		if status == "200" {
			t.Errorf("%q: got 200", test)
		}
	}
	c := dialHTTP2(t, w)
	if status := c.send(c.fields(":path", "/\u00e4?b;c#d", ":method", "BREW"), ""); status != "200" {
		t.Errorf("got %s", status)
	}
	if line := <-lines; line != "BREW /\u00e4?b;c#d HTTP/1.1\r\n" {
		t.Errorf("the app got %q", line)
	}
}

// A connection outlives the time that a client has for its head, and so do its requests.
func TestHTTP2OutlivesTheTimeOfItsHead(t *testing.T) {
	w := limited(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		io.Copy(w, r.Body)
	}, func(cfg *gateway.Config) { cfg.ReadHeaderTimeout = 200 * time.Millisecond })
	transport := http2Transport(t)
	in, out := io.Pipe()
	req := w.request("POST", "ping", "/", "")
	req.Body, req.ContentLength = in, -1
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	go func() {
		for range 5 {
			io.WriteString(out, "x")
			time.Sleep(100 * time.Millisecond)
		}
		out.Close()
	}()
	if got, err := io.ReadAll(res.Body); string(got) != "xxxxx" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
