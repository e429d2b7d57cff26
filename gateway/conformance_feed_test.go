package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway"
)

// warmConn is a connection that has brought a request: what follows is served as it comes.
type warmConn struct {
	*net.TCPConn
	*bufio.Reader
}

func (w *world) warm(t *testing.T) warmConn {
	t.Helper()
	c, r := w.dial(t)
	io.WriteString(c, getX)
	if status, _ := nextAnswer(t, r); status != http.StatusOK {
		t.Fatalf("got %d", status)
	}
	return warmConn{c, r}
}

// padded is a request of a length.
func padded(path string, length int) string {
	head := "GET " + path + " HTTP/1.1\r\nHost: ping.localhost\r\nX-Pad: "
	return head + strings.Repeat("x", length-len(head)-4) + "\r\n\r\n"
}

// Requests are found whatever their ends have to do with those of what is read at once, with content and without.
func TestRequestsAcrossReads(t *testing.T) {
	t.Parallel()
	w := limited(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %s", r.URL.Path, body)
	}, func(*gateway.Config) {})
	post := func(path, content string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: %d\r\n\r\n%s", path, len(content), content)
	}
	long := strings.Repeat("y", 5000)
	for name, test := range map[string]struct {
		pieces []string
		want   []string
	}{
		"of one read":             {[]string{padded("/1", 4096), padded("/2", 4096)}, []string{"/1 ", "/2 "}},
		"of one read, at once":    {[]string{padded("/1", 4096) + padded("/2", 4096) + padded("/3", 4096)}, []string{"/1 ", "/2 ", "/3 "}},
		"a byte longer":           {[]string{padded("/1", 4097) + padded("/2", 4095) + padded("/3", 100)}, []string{"/1 ", "/2 ", "/3 "}},
		"in halves":               {[]string{"GET /1 HTT", "P/1.1\r\nHost: ping.localhost\r\n\r\nGET /2", " HTTP/1.1\r\nHost: ping.localhost\r\n\r", "\n"}, []string{"/1 ", "/2 "}},
		"empty lines":             {[]string{"\r\n", "\r\n" + getX, "\r\n" + getX}, []string{"/x ", "/x "}},
		"content":                 {[]string{post("/1", "one") + post("/2", "two"), getX}, []string{"/1 one", "/2 two", "/x "}},
		"content that comes late": {[]string{strings.TrimSuffix(post("/1", "one"), "ne"), "ne" + getX, getX}, []string{"/1 one", "/x ", "/x "}},
		"more than is read":       {[]string{post("/1", long) + getX, getX}, []string{"/1 " + long, "/x ", "/x "}},
		"chunks": {[]string{"POST /1 HTTP/1.1\r\nHost: ping.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n" + getX, getX},
			[]string{"/1 one", "/x ", "/x "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.warm(t)
			go func() {
				for _, piece := range test.pieces {
					io.WriteString(c.TCPConn, piece)
					time.Sleep(20 * time.Millisecond)
				}
			}()
			for _, want := range test.want {
				if status, body := nextAnswer(t, c.Reader); status != http.StatusOK || body != want {
					t.Fatalf("got %d %.50q, want %.50q", status, body, want)
				}
			}
		})
	}
}

// The end of a client's half is seen at once, however near to a request it comes: with it, while that is served, or after that.
func TestEndNearARequest(t *testing.T) {
	t.Parallel()
	w := limited(t, echo("1").ServeHTTP, func(cfg *gateway.Config) { cfg.IdleTimeout = time.Hour })
	for name, pause := range map[string]time.Duration{"with it": 0, "while it is served": 100 * time.Microsecond, "after it": 3 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 100 {
				c := w.warm(t)
				io.WriteString(c.TCPConn, getX)
				time.Sleep(pause)
				c.CloseWrite()
				if status, body := nextAnswer(t, c.Reader); status != http.StatusOK || body != "1" {
					t.Fatalf("got %d %q", status, body)
				}
				if b, err := c.ReadByte(); !errors.Is(err, io.EOF) {
					t.Fatalf("behind it: %q, %v", b, err)
				}
			}
		})
	}
}

// A connection that is reset with its last request is not kept for as long as an idle one.
func TestResetNearARequest(t *testing.T) {
	t.Parallel()
	w := limited(t, echo("1").ServeHTTP, func(cfg *gateway.Config) { cfg.IdleTimeout = time.Hour })
	for range 100 {
		c := w.warm(t)
		c.SetLinger(0)
		io.WriteString(c.TCPConn, getX)
		c.TCPConn.Close()
	}
	w.eventually("no connection is left", func() bool { return w.metric(gateway.MetricConnections) == 0 })
}

// A gateway that stops answers what has come over connections that are warm, and says that it is the last one.
func TestStopOfWarmConnections(t *testing.T) {
	t.Parallel()
	w := limited(t, echo("1").ServeHTTP, func(*gateway.Config) {})
	var conns []warmConn
	for range 50 {
		conns = append(conns, w.warm(t))
	}
	for _, c := range conns {
		io.WriteString(c.TCPConn, getX+getX)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	for _, c := range conns {
		if status, body := nextAnswer(t, c.Reader); status != http.StatusOK || body != "1" {
			t.Fatalf("got %d %q", status, body)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
