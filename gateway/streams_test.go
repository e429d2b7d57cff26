package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// grace is short enough to wait for.
func grace(s *platform.TrafficShare) { s.DrainGrace = platform.Seconds(0.3) }

// An instance that drains keeps its WebSockets for their time of grace. Then both ends see a closing handshake.
func TestDrainClosesWebSockets(t *testing.T) {
	w := newWorld(t)
	w.route(ping, grace)
	seen := make(chan error, 1)
	a := w.arm(ping, 1)
	a.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(rw, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.Write(r.Context(), websocket.MessageText, []byte("hello"))
		_, _, err = c.Read(context.Background())
		seen <- err
	}))
	c := w.dialWebSocket(t, websocket.CompressionDisabled)
	if _, got, err := c.Read(t.Context()); string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	began := time.Now()
	a.drain(t)
	_, _, err := c.Read(t.Context())
	if took := time.Since(began); websocket.CloseStatus(err) != websocket.StatusGoingAway || took < 250*time.Millisecond || took >= requestTimeout {
		t.Errorf("the client: %v after %v", err, took)
	}
	if err := <-seen; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the app: %v", err)
	}
	w.eventually("nothing is left", func() bool { return w.metric(platform.MetricInFlight) == 0 })
	if n := w.metric(gateway.MetricAborted); n != 0 {
		t.Errorf("%v requests count as aborted", n)
	}
}

// A WebSocket whose frame is under way when its time is over is cut: a closing frame in the middle would be taken for data.
func TestNoFrameIsCutByAClosingOne(t *testing.T) {
	w := newWorld(t)
	w.route(ping, grace)
	a := w.arm(ping, 1)
	a.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x82\x05he")
		buffered.Flush()
		io.Copy(io.Discard, c)
	}))
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	a.drain(t)
	if got, _ := io.ReadAll(r); string(got) != "\x82\x05he" {
		t.Errorf("got %q", got)
	}
}

// An event stream ends as a response does, so that its reader comes again, and a download that is as slow goes on.
func TestDrainEndsEventStreams(t *testing.T) {
	w := newWorld(t)
	w.route(ping, grace)
	var done atomic.Bool
	a := w.arm(ping, 1)
	a.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			rw.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		}
		for r.Context().Err() == nil && !done.Load() {
			fmt.Fprint(rw, "data: x\n\n")
			http.NewResponseController(rw).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}))
	open := func(path string) io.ReadCloser {
		res, err := w.client.Do(w.request("GET", "ping", path, ""))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res.Body
	}
	events, download := open("/events"), open("/download")
	began := time.Now()
	a.drain(t)
	size, err := io.Copy(io.Discard, events)
	if err != nil || time.Since(began) < 250*time.Millisecond || time.Since(began) >= requestTimeout {
		t.Errorf("events: %v after %v", err, time.Since(began))
	}
	time.Sleep(300 * time.Millisecond)
	done.Store(true)
	if n, err := io.Copy(io.Discard, download); err != nil || n <= size {
		t.Errorf("download: %d bytes, %v, of events there were %d", n, err, size)
	}
}

// A gateway that stops ends what would never end by itself, and waits for the rest.
func TestStopConcludesStreams(t *testing.T) {
	w := newWorld(t)
	w.route(ping, grace)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(rw, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.Read(context.Background())
	}))
	c := w.dialWebSocket(t, websocket.CompressionDisabled)
	closed := make(chan error, 1)
	go func() {
		_, _, err := c.Read(context.Background())
		closed <- err
	}()
	began := time.Now()
	if err := w.stop(); err != nil || time.Since(began) >= requestTimeout {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v", err)
	}
}

// An instance that stops reading gets nothing new, and is reported; what it has not read goes elsewhere when it dies.
func TestDeafInstance(t *testing.T) {
	w := newWorld(t)
	w.route(ping, func(s *platform.TrafficShare) { s.LivenessTimeout = platform.Seconds(1) })
	first := w.arm(ping, 1)
	answered := make(chan bool)
	kill := make(chan bool)
	go func() { // answers one request, then accepts and reads nothing
		c, err := first.Accept()
		if err != nil {
			return
		}
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		<-answered
		<-kill
		c.Close()
	}()
	w.get("ping", "/")
	close(answered)
	waiting := make(chan answer, 1)
	go func() { waiting <- w.get("ping", "/") }()
	w.eventually("it is deaf", func() bool { return w.has(platform.MetricInstanceInFlight, "instance=1", "state=deaf") })
	w.arm(ping, 2).serve(t, echo("2"))
	for range 5 {
		if got := w.get("ping", "/"); got.body != "2" {
			t.Fatalf("got %+v", got)
		}
	}
	close(kill)
	if got := <-waiting; got.body != "2" {
		t.Errorf("what it did not read: got %+v", got)
	}
}

// An app that works on one request, and reads no other meanwhile, is not deaf.
func TestBusyInstanceIsNotDeaf(t *testing.T) {
	w := newWorld(t)
	w.route(ping, func(s *platform.TrafficShare) { s.LivenessTimeout = platform.Seconds(0.2) })
	a := w.arm(ping, 1)
	go func() { // one request after the other
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil && req.URL.Path == "/slow" {
				time.Sleep(1500 * time.Millisecond)
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			c.Close()
		}
	}()
	slow, quick := make(chan answer, 1), make(chan answer, 1)
	go func() { slow <- w.get("ping", "/slow") }()
	w.eventually("it runs", func() bool { return w.metric(platform.MetricInstanceInFlight, "state=ready") == 1 })
	go func() { quick <- w.get("ping", "/quick") }()
	for len(slow) == 0 {
		if w.has(platform.MetricInstanceInFlight, "state=deaf") {
			t.Fatal("it counts as deaf")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, got := range []answer{<-slow, <-quick} {
		if got.status != http.StatusOK {
			t.Errorf("got %+v", got)
		}
	}
}

// What an app sends unasked on an idle connection is not the answer to the next request.
func TestIdleConnectionWithSomethingToRead(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	a := w.arm(ping, 1)
	const honest = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest"
	go func() {
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					io.WriteString(c, honest)
					time.Sleep(10 * time.Millisecond)
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
				}
			}()
		}
	}()
	for range 5 {
		if got := w.get("ping", "/"); got.body != "honest" {
			t.Errorf("got %+v", got)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Nor is it that when the request follows at once, and neither is the end of the connection, or of the half from the app. Requests
// reach the app once.
func TestUnaskedBetweenTwoRequests(t *testing.T) {
	for name, unasked := range map[string]func(c *net.UnixConn){
		"an answer": func(c *net.UnixConn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged") },
		"a byte":    func(c *net.UnixConn) { io.WriteString(c, "H") },
		"half an end": func(c *net.UnixConn) {
			c.CloseWrite()
		},
		"an end": func(c *net.UnixConn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.route(ping)
			w.client.Timeout = requestTimeout / 2
			proceed, done := make(chan struct{}), make(chan struct{})
			seen := w.arm(ping, 1).serveWith(func(c *net.UnixConn) {
				<-proceed
				unasked(c)
				done <- struct{}{}
			})
			const requests = 50
			for i := range requests {
				method, content := http.MethodGet, ""
				if i%2 == 1 {
					method, content = http.MethodPost, "content"
				}
				if got := w.do(method, "ping", "/", content); got.status != http.StatusOK || got.body != "honest" {
					t.Fatalf("request %d: got %+v", i, got)
				}
				proceed <- struct{}{} // the answer is here
				<-done
			}
			if n := seen.Load(); n != requests {
				t.Errorf("the app has seen %d requests", n)
			}
		})
	}
}

// serveWith runs an app that answers, and calls after when it has. It returns the number of requests.
func (a *armed) serveWith(after func(*net.UnixConn)) *atomic.Int32 {
	seen := new(atomic.Int32)
	serve := func(c net.Conn) {
		defer c.Close()
		for r := bufio.NewReader(c); ; {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			seen.Add(1)
			io.Copy(io.Discard, req.Body)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest")
			after(c.(*net.UnixConn))
		}
	}
	go func() {
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return seen
}

// An app that closes each connection with its answer, and does not say so, gets every request once: one that it has not read is sent
// again, if it has no content, and no other.
func TestAppThatClosesAfterItsAnswer(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	seen := w.arm(ping, 1).serveWith(func(c *net.UnixConn) { c.Close() })
	for i := range 200 {
		if got := w.get("ping", "/"); got.status != http.StatusOK || got.body != "honest" {
			t.Fatalf("request %d: got %+v", i, got)
		}
	}
	if n := seen.Load(); n != 200 {
		t.Errorf("the app has seen %d requests", n)
	}
	answered := 0
	for range 200 {
		if got := w.do(http.MethodPost, "ping", "/", "content"); got.status == http.StatusOK {
			answered++
		} else if got.status != http.StatusBadGateway {
			t.Fatalf("got %+v", got)
		}
	}
	if n := int(seen.Load()) - 200; n != answered {
		t.Errorf("the app has seen %d requests, of which %d were answered", n, answered)
	}
}

// What a function may hold is bounded by requests, and what all may by memory.
func TestHeldRequestsAreBounded(t *testing.T) {
	w := newWorld(t, func(cfg *gateway.Config) { cfg.MaxBuffered = 64 << 10 })
	w.route(ping, func(s *platform.TrafficShare) { s.MaxQueue = 2 })
	w.put(platform.Route{Function: "big", Traffic: []platform.TrafficShare{{Revision: platform.RevisionID{Function: "big", Number: 1}, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(20)}}}})
	w.eventually("it is known", func() bool { return w.has(platform.MetricInFlight, "function=big") })
	hold := func(function string, header string) (end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		req := w.request("GET", function, "/", "").WithContext(ctx)
		req.Header.Set("X", header)
		before := w.metric(platform.MetricQueued)
		go send(w.client, req)
		w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == before+1 })
		return cancel
	}
	hold("ping", "")
	last := hold("ping", "")
	refused := func(function string) bool {
		got := w.get(function, "/")
		return got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != ""
	}
	if !refused("ping") {
		t.Error("a third one was not refused")
	}
	last()
	w.eventually("it has left", func() bool { return w.metric(platform.MetricQueued) == 1 })
	large := hold("big", strings.Repeat("x", 33<<10))
	hold("big", strings.Repeat("x", 16<<10))
	if !refused("big") {
		t.Error("more than the memory for all was not refused")
	}
	large()
	w.eventually("it has left", func() bool { return w.metric(platform.MetricQueued) == 2 })
	hold("big", "")
}

// A request with content does not become a tunnel, and its content is not taken for the next request.
func TestUpgradeWithContent(t *testing.T) {
	var seen atomic.Int32
	w := withApp(t, func(rw http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %q %v", r.Header.Get("Upgrade"), body, err)
	})
	_, got := w.raw(t, "POST / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n1c\r\nGET /smuggled HTTP/1.1\r\nX: y\r\n0\r\n\r\n")
	if got != ` "GET /smuggled HTTP/1.1\r\nX: y" <nil>` || seen.Load() != 1 {
		t.Errorf("got %q, the app saw %d requests", got, seen.Load())
	}
}

// HTTP/2 within HTTP/1 would be requests that are not counted or checked.
func TestNoUpgradeToHTTP2(t *testing.T) {
	w := withApp(t, func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, r.Header.Get("Upgrade"), r.Header.Get("Http2-Settings"))
	})
	res, got := w.raw(t, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
	if res.StatusCode != http.StatusOK || got != "" {
		t.Errorf("got %d %q", res.StatusCode, got)
	}
}

// What the gateway says of a request is not for a trailer to say.
func TestTrailerCannotForge(t *testing.T) {
	w := withApp(t, func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprintf(rw, "%v", r.Trailer)
	})
	_, got := w.raw(t, "POST / HTTP/1.1\r\nHost: ping.localhost\r\nTrailer: X-Forwarded-For, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"1\r\nx\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-Id: z\r\nX-Sum: 42\r\n\r\n")
	if got != "map[X-Forwarded-For:[] X-Sum:[42]]" {
		t.Errorf("got %q", got)
	}
}
