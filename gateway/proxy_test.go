package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// withApp is a world with one function, ping, and one instance of it.
func withApp(t testing.TB, h http.HandlerFunc, adjust ...func(*platform.TrafficShare)) *world {
	t.Helper()
	w := newWorld(t)
	w.route(ping, adjust...)
	w.arm(ping, 1).serve(t, h)
	return w
}

func TestHeaders(t *testing.T) {
	var got *http.Request
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("X-Request-Id", "the app's")
	})
	req := w.request("GET", "ping", "/a%2Fb/./../c?x=%zz;y", "")
	req.Header = http.Header{
		"X-Forwarded-For":   {"6.6.6.6"},
		"X-Forwarded-Host":  {"evil"},
		"X-Forwarded-Proto": {"https"},
		"X-Forwarded-Port":  {"1"},
		"X_forwarded_for":   {"6.6.6.6"},
		"Forwarded":         {"for=6.6.6.6"},
		"Fnctl-Cold-Start":  {"1ms"},
		"X-Request-Id":      {"mine-1"},
		"Connection":        {"X-Hop"},
		"X-Hop":             {"1"},
		"Keep-Alive":        {"1"},
		"Traceparent":       {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}
	res := send(w.client, req)
	if res.status != http.StatusOK || res.header.Get("X-Request-Id") != "mine-1" || len(res.header["X-Request-Id"]) != 1 {
		t.Errorf("got %+v", res)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "ping.localhost", "X-Forwarded-Proto": "http",
		"X-Real-Ip": "127.0.0.1", "X-Forwarded-Port": "", "X_forwarded_for": "", "Forwarded": "", "Fnctl-Cold-Start": "", "X-Request-Id": "mine-1", "X-Hop": "", "Keep-Alive": "", "Connection": "",
		"Traceparent": req.Header.Get("Traceparent"), "User-Agent": req.UserAgent(),
	} {
		if strings.Join(got.Header[name], ",") != want && name != "User-Agent" {
			t.Errorf("%s: got %q, want %q", name, got.Header[name], want)
		}
	}
	if got.Host != "ping.localhost" || got.RequestURI != "/a%2Fb/./../c?x=%zz;y" {
		t.Errorf("got %s %s", got.Host, got.RequestURI)
	}
}

func TestRequestIDIsMade(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Request-Id")) })
	for _, given := range []string{"", "a b", strings.Repeat("x", 129), "ä"} {
		req := w.request("GET", "ping", "/", "")
		req.Header.Set("X-Request-Id", given)
		res := send(w.client, req)
		if id := res.header.Get("X-Request-Id"); id == given || len(id) < 16 || id != res.body {
			t.Errorf("%q: got %q, the app saw %q", given, id, res.body)
		}
	}
}

func TestRefusals(t *testing.T) {
	w := withApp(t, func(http.ResponseWriter, *http.Request) {})
	for _, test := range []struct {
		request string
		status  int
		text    string
	}{
		{"GET / HTTP/1.1\r\nHost: nobody.localhost:8080\r\n\r\n", 404, "no function is reached at nobody.localhost: see fnctl list"},
		{"GET / HTTP/1.1\r\nHost: PING.localhost.:80\r\n\r\n", 200, ""},
		{"GET http://ping.localhost/ HTTP/1.1\r\nHost: other\r\n\r\n", 200, ""},
		{"GET / HTTP/1.0\r\nHost: ping.localhost\r\n\r\n", 200, ""},
		{"OPTIONS * HTTP/1.1\r\nHost: ping.localhost\r\n\r\n", 200, ""},
		{"GET / HTTP/1.0\r\n\r\n", 400, "the Host header is not a host name"},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, ""},
		{"GET / HTTP/1.1\r\nHost: ping.localhost:http\r\n\r\n", 400, ""},
		{"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 404, "[::1]"},
		{"GET / HTTP/1.1\r\nHost: ping.localhost\r\nHost: ping.localhost\r\n\r\n", 400, ""},
		{"CONNECT ping.localhost:80 HTTP/1.1\r\nHost: ping.localhost\r\n\r\n", 405, "CONNECT"},
		{"GET / HTTP/1.1\r\nHost: ping.localhost\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", 431, ""},
		{"POST / HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, ""},
		{"POST / HTTP/1.1\r\nHost: ping.localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501, ""},
	} {
		name := strings.SplitN(test.request, "\r\n", 3)[1]
		res, body := w.raw(t, test.request)
		if res.StatusCode != test.status || !strings.Contains(body, test.text) {
			t.Errorf("%.80q: got %d %q", name, res.StatusCode, body)
		}
		if test.text != "" && (res.Header.Get("X-Request-Id") == "" || strings.Count(body, "\n") != 1) {
			t.Errorf("%.80q: got %v %q", name, res.Header, body)
		}
	}
}

// raw sends bytes and reads one response.
func (w *world) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, request)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.80q: %v", request, err)
	}
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

func TestPrivateFunctionHasNoHost(t *testing.T) {
	w := newWorld(t)
	w.put(platform.Route{Function: "ping", Private: true, Hosts: []string{"ping.example.com"},
		Traffic: []platform.TrafficShare{{Revision: ping, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(1)}}}})
	w.eventually("it is known", func() bool { return w.has(platform.MetricInFlight, "revision=ping-00001") })
	if got := w.get("ping", "/"); got.status != http.StatusNotFound {
		t.Errorf("got %+v", got)
	}
	req := w.request("GET", "ping", "/", "")
	req.Host = "ping.example.com"
	if got := send(w.client, req); got.status != http.StatusNotFound {
		t.Errorf("own host: got %+v", got)
	}
}

// 64 MiB go through in both directions, in constant memory.
func TestLargeBodiesAreStreamed(t *testing.T) {
	const size = 64 << 20
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		sum := sha256.New()
		io.Copy(io.MultiWriter(w, sum), r.Body)
		w.Header().Set("X-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
	})
	var peak atomic.Uint64
	done := make(chan bool)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc))
			}
		}
	}()
	req, _ := http.NewRequest("POST", "http://"+w.addr, io.LimitReader(zeros{}, size))
	req.Host = "ping.localhost"
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, res.Body)
	close(done)
	if n != size || err != nil || res.Trailer.Get("X-Sum") != fmt.Sprintf("%x", sum.Sum(nil)) {
		t.Errorf("got %d bytes, %v, trailer %v", n, err, res.Trailer)
	}
	if peak.Load() > 32<<20 {
		t.Errorf("%d MiB of memory", peak.Load()>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRequestTrailers(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Trailer.Get("X-Sum"))
	})
	req := w.request("POST", "ping", "/", "x")
	req.ContentLength = -1
	req.Trailer = http.Header{"X-Sum": {"42"}}
	if got := send(w.client, req); got.body != "42" {
		t.Errorf("got %+v", got)
	}
}

func TestEventsArriveAtOnce(t *testing.T) {
	next := make(chan bool)
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			fmt.Fprint(w, "data: x\n\n")
			http.NewResponseController(w).Flush()
			<-next
		}
	})
	res, err := w.client.Do(w.request("GET", "ping", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for range 3 {
		if line, err := lines.ReadString('\n'); line != "data: x\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		lines.ReadString('\n')
		next <- true
	}
}

// echoMessages is an app that sends the messages of a WebSocket back.
func echoMessages(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

func TestWebSocket(t *testing.T) {
	w := withApp(t, echoMessages, func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(3) })
	w.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, w.addr)
	}
	c, _, err := websocket.Dial(t.Context(), "ws://ping.localhost/", &websocket.DialOptions{HTTPClient: w.client})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for _, size := range []int{0, 5, 70_000, 1 << 20} {
		message := bytes.Repeat([]byte("x"), size)
		if err := c.Write(t.Context(), websocket.MessageBinary, message); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); !bytes.Equal(got, message) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
	if n := w.metric(platform.MetricInstanceInFlight); n != 1 {
		t.Errorf("%v in flight while it is open", n)
	}
	began := time.Now()
	if _, _, err := c.Read(t.Context()); err == nil || time.Since(began) >= requestTimeout {
		t.Errorf("after the timeout: %v", err)
	}
	w.eventually("it is closed", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
	if n := w.metric(gateway.MetricRequests, "code=101"); n != 1 {
		t.Errorf("%v upgraded requests", n)
	}
}

// What breaks off at the instance breaks off at the client: it must not look whole.
func TestBrokenResponseIsBroken(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "1000")
		}
		fmt.Fprint(w, "so far")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, path := range []string{"/chunked", "/length"} {
		if got := w.get("ping", path); got.err == nil || got.body != "so far" {
			t.Errorf("%s: got %+v", path, got)
		}
	}
	w.eventually("they are counted", func() bool { return w.metric(gateway.MetricAborted, "reason=upstream") == 2 })
}

// A request that an app has read is sent once, idempotent or not: it may be what killed the app.
func TestRequestThatKillsTheAppIsSentOnce(t *testing.T) {
	var booms atomic.Int32
	var app atomic.Pointer[http.Server]
	busy := make(chan bool)
	w := newWorld(t)
	w.route(ping)
	a := w.arm(ping, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/boom":
			booms.Add(1)
			app.Load().Close() // all connections, as the death of a process does
		case "/busy":
			<-busy
		}
	})
	requests := []*http.Request{w.request("GET", "ping", "/boom", ""), w.request("HEAD", "ping", "/boom", ""), w.request("POST", "ping", "/boom", "")}
	requests[2].Header.Set("Idempotency-Key", "1")
	for i, req := range requests {
		app.Store(a.serve(t, h))
		var group sync.WaitGroup
		for range 3 { // so that there are several connections to repeat it on
			group.Go(func() { w.get("ping", "/busy") })
		}
		w.eventually("they run", func() bool { return w.metric(platform.MetricInstanceInFlight) == 3 })
		for range 3 {
			busy <- true
		}
		group.Wait()
		got := make(chan answer, 1)
		go func() { got <- send(w.client, req) }()
		w.eventually("it is read", func() bool { return int(booms.Load()) == i+1 })
		time.Sleep(20 * time.Millisecond)
		app.Store(a.serve(t, h)) // where a second one would go
		if got := <-got; got.status != http.StatusBadGateway {
			t.Errorf("%s: got %+v", req.Method, got)
		}
		if n := int(booms.Load()); n != i+1 {
			t.Fatalf("%s: the app saw %d requests, want %d", req.Method, n, i+1)
		}
		app.Load().Close()
		w.eventually("it is seen", func() bool { return !w.has(platform.MetricInstanceInFlight, "state=ready") })
	}
	if n := w.metric(gateway.MetricRetries); n != 0 {
		t.Errorf("%v requests were sent again", n)
	}
}

// A worker of several that dies leaves connections to the others: the request is not repeated over those either.
func TestRequestThatKillsAWorkerIsSentOnce(t *testing.T) {
	var booms atomic.Int32
	busy := make(chan bool)
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/boom":
			booms.Add(1)
			panic(http.ErrAbortHandler)
		case "/busy":
			<-busy
		}
	})
	for i := range 5 {
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() { w.get("ping", "/busy") })
		}
		w.eventually("they run", func() bool { return w.metric(platform.MetricInstanceInFlight) == 3 })
		for range 3 {
			busy <- true
		}
		group.Wait()
		if got := w.get("ping", "/boom"); got.status != http.StatusBadGateway || int(booms.Load()) != i+1 {
			t.Fatalf("got %+v, the app saw %d requests, want %d", got, booms.Load(), i+1)
		}
	}
}

// A request that no app has read is sent again, and counted.
func TestUnreadRequestIsSentAgain(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	a := w.arm(ping, 1)
	go func() { // answers one request, and closes with the second one unread
		c, err := a.Accept()
		if err != nil {
			return
		}
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		time.Sleep(100 * time.Millisecond)
		c.Close()
	}()
	if got := w.get("ping", "/"); got.status != http.StatusOK {
		t.Fatalf("got %+v", got)
	}
	got := make(chan answer, 1)
	go func() { got <- w.do("DELETE", "ping", "/", "") }()
	time.Sleep(50 * time.Millisecond)
	a.serve(t, echo("again"))
	if got := <-got; got.body != "again" {
		t.Errorf("got %+v", got)
	}
	if n := w.metric(gateway.MetricRetries); n != 1 {
		t.Errorf("%v requests were counted as sent again, want 1", n)
	}
}

// An instance that ends after it has read the first byte of a request has not seen that request: another one gets it. The
// end comes at any moment after that byte, so this is tried often.
func TestRequestOfWhichOneByteWasReadIsSentAgain(t *testing.T) {
	const rounds = 40
	w := newWorld(t)
	w.route(ping)
	a := w.arm(ping, 1)
	for round := range rounds {
		got := make(chan answer, 1)
		go func() { got <- w.do(http.MethodDelete, "ping", "/", "") }()
		c, err := a.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(round) * 10 * time.Microsecond)
		c.Close()
		app := a.serve(t, echo("again"))
		if got := <-got; got.body != "again" {
			t.Errorf("closed %d µs after the first byte: got %+v", 10*round, got)
		}
		app.Close()
		w.eventually("it is seen", func() bool { return !w.has(platform.MetricInstanceInFlight, "state=ready") })
	}
}

// A request that an app may have seen is sent once.
func TestPostIsNeverSentTwice(t *testing.T) {
	var seen atomic.Int32
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/die":
			io.Copy(io.Discard, r.Body)
			seen.Add(1)
			panic(http.ErrAbortHandler)
		case "/die-unread":
			seen.Add(1)
			time.Sleep(10 * time.Millisecond) // so that all is sent, and the kernel resets because not all was read
			c, _, _ := http.NewResponseController(w).Hijack()
			c.Close()
		}
	})
	for i := range 6 {
		w.get("ping", "/") // so that there is a connection to reuse
		path := []string{"/die", "/die-unread"}[i%2]
		body := []string{"body", "", strings.Repeat("x", 64<<10)}[i%3]
		if got := w.do("POST", "ping", path, body); got.status != http.StatusBadGateway {
			t.Errorf("%s with %d bytes: got %+v", path, len(body), got)
		}
	}
	if n := seen.Load(); n != 6 {
		t.Errorf("the app saw %d requests, want 6", n)
	}
	if n := w.metric(gateway.MetricRetries); n != 0 {
		t.Errorf("%v requests were sent again", n)
	}
}

func TestBrokenRequestBodyIsTheClientsFault(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	c, r := w.dial(t)
	fmt.Fprintf(c, chunkedPost, "/")
	w.eventually("it is passed on", func() bool { return w.inFlight() == 1 })
	io.WriteString(c, "zz\r\n")
	if status, body := nextAnswer(t, r); status != http.StatusBadRequest || !strings.Contains(body, "body") {
		t.Errorf("got %d %q", status, body)
	}
	if !w.has(platform.MetricInstanceInFlight, "state=ready") {
		t.Error("the instance is not ready any more")
	}
}

func TestExpectContinueAndEarlyHints(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		io.Copy(w, r.Body)
	})
	var hints, continued atomic.Int32
	trace := &httptrace.ClientTrace{
		Got100Continue: func() { continued.Add(1) },
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints && h.Get("Link") != "" {
				hints.Add(1)
			}
			return nil
		},
	}
	w.client.Transport.(*http.Transport).ExpectContinueTimeout = 5 * time.Second
	for path, want := range map[string]int{"/accept": http.StatusOK, "/refuse": http.StatusForbidden} {
		req := w.request("POST", "ping", path, "body")
		req.Header.Set("Expect", "100-continue")
		got := send(w.client, req.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
		if got.status != want || got.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: got %+v", path, got)
		}
	}
	if hints.Load() != 2 || continued.Load() != 1 {
		t.Errorf("got %d early hints and %d continues", hints.Load(), continued.Load())
	}
}

func TestHeadAndEmptyResponses(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Content-Length", "1234")
		}
	})
	if got := w.do("HEAD", "ping", "/", ""); got.status != 200 || got.header.Get("Content-Length") != "1234" || got.err != nil {
		t.Errorf("got %+v", got)
	}
	for path, want := range map[string]int{"/204": 204, "/304": 304} {
		if got := w.get("ping", path); got.status != want || got.body != "" || got.err != nil {
			t.Errorf("%s: got %+v", path, got)
		}
	}
}

// Pipelined requests are answered in order.
func TestPipelining(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 5 {
		fmt.Fprintf(conn, "GET /%d HTTP/1.1\r\nHost: ping.localhost\r\n\r\n", i)
	}
	r := bufio.NewReader(conn)
	for i := range 5 {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(res.Body); string(body) != fmt.Sprintf("/%d", i) {
			t.Errorf("got %q", body)
		}
	}
}

// A connection that the app closed in the same moment is no reason to fail, even for a request that must not be repeated:
// the kernel knows whether it was read.
func TestAppWithShortKeepAlive(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	var seen atomic.Int32
	count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) })
	w.arm(ping, 1).serve(t, count, func(app *http.Server) { app.IdleTimeout = time.Millisecond })
	const requests = 600
	for i := range requests {
		method := []string{"GET", "POST", "DELETE"}[i%3]
		if got := w.do(method, "ping", "/", ""); got.status != http.StatusOK {
			t.Fatalf("%s: got %+v", method, got)
		}
		time.Sleep(time.Millisecond)
	}
	if n := seen.Load(); n != requests {
		t.Errorf("the app saw %d requests, want %d", n, requests)
	}
}

// The byte that proved the instance is not lost and not doubled, whatever method comes.
func TestFirstByteOfEveryMethod(t *testing.T) {
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "X"} {
		w := newWorld(t)
		w.route(ping)
		a := w.arm(ping, 1)
		var got atomic.Value
		first := make(chan answer, 1)
		go func() { first <- w.do(method, "ping", "/", "") }()
		w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
		app := a.serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Method) }))
		if res := <-first; res.status != http.StatusOK || got.Load() != method {
			t.Errorf("%s: got %+v, the app saw %v", method, res, got.Load())
		}
		// Now the proof is made for a client that goes, and another method comes.
		app.Close()
		w.eventually("it is seen", func() bool { return !w.has(platform.MetricInstanceInFlight, "state=ready") })
		ctx, cancel := context.WithCancel(t.Context())
		go send(w.client, w.request("HEAD", "ping", "/", "").WithContext(ctx))
		w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
		cancel()
		w.eventually("it has left", func() bool { return w.metric(platform.MetricQueued) == 0 })
		a.serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Method) }))
		w.eventually("it is ready", func() bool { return w.has(platform.MetricInstanceInFlight, "state=ready") })
		if res := w.do(method, "ping", "/", ""); res.status != http.StatusOK || got.Load() != method {
			t.Errorf("%s after HEAD: got %+v, the app saw %v", method, res, got.Load())
		}
		w.stop()
	}
}

// A queue that is full is load, not a failure.
func TestFullBacklog(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := w.paths.InstanceSocket(platform.InstanceID{Revision: ping, Index: 1})
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{Handler: echo("1")}
	go app.Serve(slowListener{l})
	defer app.Close()
	var group sync.WaitGroup
	for range 30 {
		group.Go(func() {
			if got := w.get("ping", "/"); got.body != "1" {
				t.Errorf("got %+v", got)
			}
		})
	}
	group.Wait()
	if n := w.metric(gateway.MetricRetries); n != 0 {
		t.Errorf("%v requests were sent again", n)
	}
}

type slowListener struct{ net.Listener }

func (l slowListener) Accept() (net.Conn, error) {
	time.Sleep(5 * time.Millisecond)
	return l.Listener.Accept()
}

// The connection that proved the instance is the one that the request goes over.
func TestProofIsNotWasted(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	var connections atomic.Int32
	w.arm(ping, 1).serve(t, echo("1"), func(app *http.Server) {
		app.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				connections.Add(1)
			}
		}
	})
	if got := w.get("ping", "/"); got.body != "1" || connections.Load() != 1 {
		t.Errorf("got %+v over %d connections", got, connections.Load())
	}
}

func TestStatus(t *testing.T) {
	var status net.Listener
	w := newWorld(t, func(cfg *gateway.Config) {
		var err error
		if status, err = net.Listen("unix", cfg.Paths.Root+"/status.sock"); err != nil {
			t.Fatal(err)
		}
		cfg.Status = []net.Listener{status}
	})
	w.route(ping)
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", status.Addr().String())
	}}}
	for path, want := range map[string]string{
		"/healthz":                         `{"status":"ok"}`,
		"/metrics":                         platform.MetricInFlight + `{function="ping",revision="ping-00001"} 0`,
		platform.PathGatewayRoute + "ping": `{"function":"ping","traffic":[{"revision":"ping-00001","percent":100,`,
		platform.PathGatewayRoute + "pong": "null\n",
	} {
		res, err := client.Get("http://gateway" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: got %.300q", path, body)
		}
	}
}

func TestHTTP2WithPriorKnowledge(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "Grpc-Status")
		if r.URL.Path == "/break" {
			fmt.Fprint(w, "so far")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		io.Copy(w, r.Body)
		w.Header().Set("Grpc-Status", "0")
	})
	transport := http2Transport(t)
	client := &http.Client{Transport: transport}
	req := w.request("POST", "ping", "/", "message")
	req.Header.Set("Te", "trailers")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if string(body) != "message" || err != nil || res.ProtoMajor != 2 || res.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("got %s %q, %v, trailer %v", res.Proto, body, err, res.Trailer)
	}
	if got := send(client, w.request("GET", "ping", "/break", "")); got.err == nil {
		t.Errorf("broken: got %+v", got)
	}
}

// A request that cannot be read is answered with a length, also after a response that was sent in chunks.
func TestMalformedRequestAfterChunks(t *testing.T) {
	w := withApp(t, func(rw http.ResponseWriter, _ *http.Request) { http.NewResponseController(rw).Flush() })
	c, r := w.dial(t)
	go io.WriteString(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\n\r\n"+"GET / HTTP/1.1\r\nHost : ping.localhost\r\n\r\n")
	for _, want := range []string{"", "the request cannot be read: malformed name of a field\n"} {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}
