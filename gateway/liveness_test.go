package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/platform"
)

// wedge is the socket of an app that can stop to accept and to read, on all connections at once and in the middle of a wait, as
// one does that blocks its event loop.
type wedge struct {
	net.Listener
	stuck atomic.Bool
	conns chan net.Conn
	over  chan struct{}
}

// serveWedge runs an app that can be wedged.
func (a *armed) serveWedge(t *testing.T, h http.HandlerFunc) *wedge {
	t.Helper()
	w := &wedge{Listener: a.Listener, conns: make(chan net.Conn, 100), over: make(chan struct{})}
	server := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go server.Serve(w)
	t.Cleanup(func() {
		close(w.over)
		server.Close()
	})
	return w
}

// Accept implements net.Listener.
func (w *wedge) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.wait()
	w.conns <- c
	return &wedgedConn{Conn: c, wedge: w}, nil
}

// wait does not return before the end of the test if the app is stuck.
func (w *wedge) wait() {
	if w.stuck.Load() {
		<-w.over
	}
}

// block has the app read nothing from now on.
func (w *wedge) block() {
	w.stuck.Store(true)
	for len(w.conns) > 0 {
		(<-w.conns).SetReadDeadline(time.Unix(1, 0))
	}
}

type wedgedConn struct {
	net.Conn
	wedge *wedge
}

func (c *wedgedConn) Read(p []byte) (int, error) {
	c.wedge.wait()
	n, err := c.Conn.Read(p)
	c.wedge.wait()
	return n, err
}

// SetReadDeadline takes back nothing that block has set.
func (c *wedgedConn) SetReadDeadline(at time.Time) error {
	if c.wedge.stuck.Load() {
		return nil
	}
	return c.Conn.SetReadDeadline(at)
}

// quick is a liveness timeout that is short enough to wait for, and as long as it may be in jcloud.yml.
func quick(s *platform.TrafficShare) { s.LivenessTimeout = platform.Seconds(1) }

func overHTTP2(s *platform.TrafficShare) { s.Protocol = platform.H2C }

func (w *world) unread() float64 { return w.metric(platform.MetricInstanceUnread, "instance=1") }

func (w *world) isDeaf() bool {
	return w.has(platform.MetricInstanceInFlight, "instance=1", "state=deaf")
}

// stays expects that something does not come to be for as long as it would take to be found.
func (w *world) stays(what string, wrong func() bool) {
	w.t.Helper()
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if wrong() {
			w.t.Fatal(what)
		}
	}
}

// quiet is an app whose streams say one thing and no more.
func quiet(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/websocket":
		if c, err := websocket.Accept(rw, r, nil); err == nil {
			c.Write(r.Context(), websocket.MessageText, []byte("hello"))
			c.Read(context.Background())
		}
		return
	case "/events":
		rw.Header().Set("Content-Type", "text/event-stream")
	case "/chunks":
	default:
		io.WriteString(rw, "fine")
		return
	}
	io.WriteString(rw, "hello")
	http.NewResponseController(rw).Flush()
	<-r.Context().Done()
}

// open opens a stream of the app, and returns once that has said something.
func (w *world) open(path string) (end func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	req := w.request("GET", "ping", path, "").WithContext(ctx)
	if path == "/websocket" {
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
			req.Header.Set(name, value)
		}
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
		w.t.Fatal(err)
	}
	return func() { res.Body.Close() }
}

// An instance that has stopped reading is found while streams are open on it that are quiet, over either protocol. What it
// has not read is told apart from them, and it may be killed only some time after the last of them has ended: that may have
// freed a worker.
func TestWedgedInstanceWithStreams(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		adjust func(*platform.TrafficShare)
	}{
		"websocket":           {"/websocket", func(*platform.TrafficShare) {}},
		"events":              {"/events", func(*platform.TrafficShare) {}},
		"chunks":              {"/chunks", func(*platform.TrafficShare) {}},
		"chunks over HTTP/2":  {"/chunks", overHTTP2},
		"no stream":           {"", func(*platform.TrafficShare) {}},
		"no stream of HTTP/2": {"", overHTTP2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.route(ping, quick, grace, c.adjust)
			a := w.arm(ping, 1)
			app := a.serveWedge(t, quiet)
			if got := w.get("ping", "/"); got.body != "fine" {
				t.Fatalf("got %+v", got)
			}
			streams, end := 0.0, func() {}
			if c.path != "" {
				streams, end = 1, w.open(c.path)
			}
			app.block()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go send(w.client, w.request("GET", "ping", "/", "").WithContext(ctx))
			w.eventually("it is deaf", w.isDeaf)
			w.eventually("the unread one is told", func() bool { return w.unread() == 1 })
			if n := w.metric(platform.MetricInstanceInFlight, "instance=1"); n != streams+1 {
				t.Errorf("%v in flight", n)
			}
			if streams == 0 {
				return
			}
			if end(); c.path == "/websocket" { // each end of one waits for the other
				a.drain(t)
			}
			w.eventually("the stream has ended", func() bool { return w.metric(platform.MetricInstanceInFlight, "instance=1") == 1 })
			ended := time.Now()
			w.eventually("a worker may read it yet", func() bool { return w.unread() == 0 })
			w.eventually("none has", func() bool { return w.unread() == 1 })
			if took := time.Since(ended); took < 900*time.Millisecond {
				t.Errorf("a worker had %v", took)
			}
		})
	}
}

// An instance whose streams move is not deaf, whichever way, though it takes nothing new.
func TestStreamsThatMoveVouch(t *testing.T) {
	for name, up := range map[string]bool{"to the client": false, "to the app": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.route(ping, quick)
			a := w.arm(ping, 1)
			go func() { // has a worker for one connection
				c, err := a.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				c.Read(make([]byte, 4<<10))
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhello")
				for err == nil {
					if up {
						_, err = c.Read(make([]byte, 10))
					} else {
						_, err = io.WriteString(c, "more")
						time.Sleep(100 * time.Millisecond)
					}
				}
			}()
			c, r := w.dial(t)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
			if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(res, err)
			}
			go io.Copy(io.Discard, r)
			if up {
				go func() {
					for t.Context().Err() == nil {
						io.WriteString(c, "more")
						time.Sleep(100 * time.Millisecond)
					}
				}()
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go send(w.client, w.request("GET", "ping", "/", "").WithContext(ctx))
			w.eventually("both are in flight", func() bool { return w.metric(platform.MetricInstanceInFlight, "instance=1") == 2 })
			w.stays("it counts as deaf", w.isDeaf)
		})
	}
}

// An app that reads over HTTP/2 and answers nothing is busy, with a stream and without.
func TestBusyHTTP2InstanceIsNotDeaf(t *testing.T) {
	w := newWorld(t)
	w.route(ping, quick, overHTTP2)
	done := make(chan struct{})
	w.arm(ping, 1).serveWedge(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			<-done
		}
		quiet(rw, r)
	})
	w.open("/events")
	first, second := make(chan answer, 1), make(chan answer, 1)
	go func() { first <- w.get("ping", "/busy") }()
	go func() { second <- w.get("ping", "/busy") }()
	w.stays("it counts as deaf", w.isDeaf)
	close(done)
	for _, got := range []answer{<-first, <-second} {
		if got.body != "fine" {
			t.Errorf("got %+v", got)
		}
	}
}

// An app that blocks its connection of HTTP/2 for a request that it has read is busy: the next request waits for its end.
func TestHTTP2InstanceThatComputesIsNotDeaf(t *testing.T) {
	w := newWorld(t)
	w.route(ping, quick, overHTTP2)
	done := make(chan struct{})
	app := w.arm(ping, 1).serveWedge(t, func(rw http.ResponseWriter, r *http.Request) { <-done })
	computing := make(chan answer, 1)
	go func() { computing <- w.get("ping", "/") }()
	w.eventually("it runs", func() bool { return w.metric(platform.MetricInstanceInFlight, "state=ready") == 1 })
	time.Sleep(600 * time.Millisecond) // the gateway has looked
	app.block()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go send(w.client, w.request("GET", "ping", "/", "").WithContext(ctx))
	w.eventually("both are in flight", func() bool { return w.metric(platform.MetricInstanceInFlight, "instance=1") == 2 })
	w.stays("it counts as deaf", w.isDeaf)
	close(done)
	if got := <-computing; got.status != http.StatusOK {
		t.Errorf("got %+v", got)
	}
}

// A draining instance that has stopped reading is told, too: what it has not read need not wait for the end of its time.
func TestDrainingInstanceLeavesUnread(t *testing.T) {
	w := newWorld(t)
	w.route(ping, quick)
	a := w.arm(ping, 1)
	app := a.serveWedge(t, quiet)
	w.get("ping", "/")
	app.block()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go send(w.client, w.request("GET", "ping", "/", "").WithContext(ctx))
	w.eventually("it is given", func() bool { return w.metric(platform.MetricInstanceInFlight, "instance=1") == 1 })
	a.drain(t)
	w.eventually("it drains", func() bool { return w.has(platform.MetricInstanceInFlight, "state=draining") })
	w.eventually("it is told", func() bool { return w.unread() == 1 })
}

// An app that works while the content of its request lies unread is not deaf: it reads the probe that it is asked with.
func TestUnreadContentIsNotDeaf(t *testing.T) {
	w := newWorld(t)
	w.route(ping, quick)
	release := make(chan struct{})
	a := w.arm(ping, 1)
	a.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		<-release
		io.WriteString(rw, "done")
	}))
	answers := make(chan answer)
	go func() { answers <- w.do("POST", "ping", "/", strings.Repeat("x", 60_000)) }()
	w.eventually("it has the request", func() bool { return w.metric(platform.MetricInstanceInFlight, "instance=1", "state=ready") == 1 })
	w.stays("it counts as deaf", func() bool { return w.isDeaf() || w.unread() > 0 })
	close(release)
	if got := <-answers; got.body != "done" {
		t.Errorf("got %+v", got)
	}
}
