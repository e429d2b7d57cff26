package gateway_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// Large content of a known length goes through the kernel. It arrives whole, and what breaks it off is known all the same.
func TestLargeDownload(t *testing.T) {
	const size = 8 << 20
	content := make([]byte, size)
	rand.Read(content)
	app := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Write(content[:size/2])
		switch r.URL.Path {
		case "/break":
			panic(http.ErrAbortHandler)
		case "/hang":
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		w.Write(content[size/2:])
	}
	w := withApp(t, app, func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(5) })
	for range 3 { // over one connection
		if got := w.get("ping", "/"); got.err != nil || sha256.Sum256([]byte(got.body)) != sha256.Sum256(content) {
			t.Fatalf("got %d bytes, %v", len(got.body), got.err)
		}
	}
	for path, reason := range map[string]string{"/break": "upstream", "/hang": "timeout"} {
		if got := w.get("ping", path); got.err == nil || len(got.body) != size/2 {
			t.Errorf("%s: got %d bytes, %v", path, len(got.body), got.err)
		}
		w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason="+reason) == 1 })
	}
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
	io.CopyN(io.Discard, conn, 1<<10)
	conn.Close()
	w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason=client") == 1 })
	if n := w.metric(gateway.MetricSent); n < 4*size || n > 5*size {
		t.Errorf("%v bytes were counted", n)
	}
}

// A limit on silence holds within large content, too.
func TestLargeDownloadThatFallsSilent(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		w.Write(make([]byte, 500000))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(s *platform.TrafficShare) { s.IdleTimeout = platform.Seconds(0.2) })
	began := time.Now()
	if got := w.get("ping", "/"); got.err == nil || len(got.body) != 500000 || time.Since(began) >= requestTimeout {
		t.Errorf("got %d bytes, %v after %v", len(got.body), got.err, time.Since(began))
	}
}
