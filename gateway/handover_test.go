package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// newDynasty is a world whose gateway has a status socket, so that others can take its place.
func newDynasty(t *testing.T) *world { return newWorld(t, withStatus(t)) }

// withStatus gives a gateway a status socket.
func withStatus(t testing.TB) func(*gateway.Config) {
	return func(c *gateway.Config) {
		path := c.Paths.GatewaySocket()
		mkdir(t, filepath.Dir(path))
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false) // systemd's stay
		c.Status = []net.Listener{listener}
	}
}

// succeed runs another gateway in the place of the world's, and returns how to wait for the end of the one before.
func (w *world) succeed(adjust ...func(*gateway.Config)) (ended func() error) {
	w.t.Helper()
	before := w.stop
	from, err := gateway.Succeed(w.t.Context(), w.paths.GatewaySocket())
	if err != nil {
		w.t.Fatal(err)
	}
	serving := make(chan struct{})
	w.registry = newRegistry()
	w.run(append(adjust, func(c *gateway.Config) {
		c.Listeners, c.Secure, c.Redirecting, c.Status, c.Predecessor = from.Listeners, from.Secure, from.Redirecting, from.Status, from
		c.Serving = func() error { close(serving); return nil }
	})...)
	select {
	case <-serving:
	case <-time.After(requestTimeout):
		w.t.Fatal("the successor does not serve")
	}
	return before
}

// held is an app that answers when it is told.
type held struct {
	running atomic.Int32
	most    atomic.Int32
	release chan struct{}
}

func newHeld() *held { return &held{release: make(chan struct{})} }

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := h.running.Add(1)
	defer h.running.Add(-1)
	for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
	}
	if r.URL.Path == "/held" {
		<-h.release
	}
	io.WriteString(w, "done")
}

// ask sends a request in the background.
func (w *world) ask(path string) <-chan answer {
	got := make(chan answer, 1)
	go func() { got <- w.get("ping", path) }()
	return got
}

func (w *world) inFlight(labels ...string) float64 {
	return w.metric(platform.MetricInFlight, labels...)
}

func (w *world) onInstance(labels ...string) float64 {
	return w.metric(platform.MetricInstanceInFlight, labels...)
}

// A request that is under way is finished by the gateway that has it, and counts in the one that serves, however many
// there are between the two; new requests don't wait for it.
func TestHandover(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	app := newHeld()
	w.arm(ping, 1).serve(t, app)
	first := w.ask("/held")
	w.eventually("the first request runs", func() bool { return app.running.Load() == 1 })
	firstEnded := w.succeed()
	if got := w.onInstance("instance=1"); got != 1 {
		t.Errorf("the successor counts %v requests", got)
	}
	second := w.ask("/held")
	w.eventually("the second request runs", func() bool { return app.running.Load() == 2 })
	secondEnded := w.succeed()
	if all, running := w.inFlight(), w.onInstance("instance=1"); all != 2 || running != 2 {
		t.Errorf("the last one counts %v requests, %v of them running", all, running)
	}
	if a := w.get("ping", "/"); a.body != "done" {
		t.Errorf("a new request: %+v", a)
	}
	before := w.metric(platform.MetricInFlightSeconds)
	time.Sleep(100 * time.Millisecond)
	if more := w.metric(platform.MetricInFlightSeconds) - before; more < 0.2 {
		t.Errorf("two requests for 100 ms are %v request-seconds", more)
	}
	close(app.release)
	for name, got := range map[string]<-chan answer{"first": first, "second": second} {
		if a := <-got; a.body != "done" {
			t.Errorf("%s: got %+v", name, a)
		}
	}
	w.eventually("nothing is left", func() bool { return w.inFlight() == 0 && w.onInstance() == 0 })
	if err := errors.Join(firstEnded(), secondEnded()); err != nil {
		t.Error(err)
	}
}

// Requests that wait for an instance in the old gateway count, and are served by it, before those that come later.
func TestHandoverQueued(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	var queued []<-chan answer
	for range 3 {
		queued = append(queued, w.ask("/"))
	}
	w.eventually("requests wait", func() bool { return w.metric(platform.MetricQueued) == 3 })
	w.succeed()
	if all, waiting := w.inFlight(), w.metric(platform.MetricQueued); all != 3 || waiting != 3 {
		t.Errorf("the successor counts %v requests, %v of them waiting", all, waiting)
	}
	w.arm(ping, 1).serve(t, newHeld())
	for _, got := range queued {
		if a := <-got; a.body != "done" {
			t.Errorf("got %+v", a)
		}
	}
}

// An instance whose socket is gone is not reported as idle before the old gateway has seen that, and not while it has a
// request there.
func TestHandoverAndDrainingInstances(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	app := newHeld()
	one := w.arm(ping, 1)
	one.serve(t, app)
	got := w.ask("/held")
	w.eventually("it runs", func() bool { return app.running.Load() == 1 })
	w.succeed()
	one.drain(t)
	w.eventually("it drains", func() bool { return w.has(platform.MetricInstanceInFlight, "instance=1", "state=draining") })
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if n := w.onInstance("instance=1", "state=draining"); n < 1 {
			t.Fatalf("with a request of the old gateway there are %v", n)
		}
	}
	close(app.release)
	if a := <-got; a.body != "done" {
		t.Errorf("got %+v", a)
	}
	w.eventually("it is forgotten", func() bool { return !w.has(platform.MetricInstanceInFlight, "instance=1") })
}

// The limit of an instance holds for all gateways together, and all requests are served.
func TestHandoverKeepsToConcurrency(t *testing.T) {
	w := newDynasty(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Concurrency = 1 })
	apps := []*held{newHeld(), newHeld()}
	for n, app := range apps {
		w.arm(ping, n+1).serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Millisecond)
			app.ServeHTTP(rw, r)
		}))
	}
	var done atomic.Bool
	var count atomic.Int32
	var clients sync.WaitGroup
	there := *w // its address stays
	for n := range 10 {
		client := newClient(t)
		client.Transport.(*http.Transport).DisableKeepAlives = n%2 == 0
		clients.Go(func() {
			for !done.Load() && !t.Failed() {
				if a := send(client, there.request(http.MethodGet, "ping", "/", "")); a.body != "done" {
					t.Errorf("got %+v", a)
				}
				count.Add(1)
			}
		})
	}
	for range 20 {
		before := count.Load()
		w.eventually("requests are served", func() bool { return count.Load() > before+20 })
		w.succeed()
	}
	done.Store(true)
	clients.Wait()
	for n, app := range apps {
		if most := app.most.Load(); most != 1 {
			t.Errorf("instance %d had %d requests at once", n+1, most)
		}
	}
	w.eventually("nothing is left", func() bool { return w.inFlight() == 0 })
	t.Logf("%d requests", count.Load())
}

// What takes the gateway's sockets and does not come to serve changes nothing.
func TestHandoverToNobody(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, newHeld())
	for range 3 {
		var from *gateway.Predecessor
		w.eventually("the gateway can be asked, again", func() bool {
			got, err := gateway.Succeed(t.Context(), w.paths.GatewaySocket())
			from = got
			return err == nil
		})
		if _, err := gateway.Succeed(t.Context(), w.paths.GatewaySocket()); err == nil || !strings.Contains(err.Error(), "409") {
			t.Errorf("two at once: %v", err)
		}
		from.Close()
		if a := w.get("ping", "/"); a.body != "done" {
			t.Errorf("got %+v", a)
		}
	}
}

// A gateway of which no other knows ends, and the requests that it has got meanwhile are served.
func TestHandoverNotAnnounced(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, newHeld())
	before := w.stop
	from, err := gateway.Succeed(t.Context(), w.paths.GatewaySocket())
	if err != nil {
		t.Fatal(err)
	}
	unknown := errors.New("unknown")
	g, err := gateway.New(gateway.Config{
		Paths: w.paths, Host: func(name string) string { return name + ".localhost" },
		Listeners: from.Listeners, Status: from.Status, Predecessor: from, Serving: func() error { return unknown },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(context.Background()); !errors.Is(err, unknown) {
		t.Errorf("got %v", err)
	}
	if err := before(); err != nil {
		t.Error(err)
	}
}

// A gateway that waits for requests of the one before does not end before it.
func TestHandoverThenStop(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	app := newHeld()
	w.arm(ping, 1).serve(t, app)
	got := w.ask("/held")
	w.eventually("it runs", func() bool { return app.running.Load() == 1 })
	w.succeed()
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("it has stopped, %v, and the old one runs", err)
	case <-time.After(300 * time.Millisecond):
	}
	close(app.release)
	if a := <-got; a.body != "done" {
		t.Errorf("got %+v", a)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A request that reaches the old gateway late waits until the new one has an instance for it.
func TestHandoverLateRequest(t *testing.T) {
	w := newDynasty(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Concurrency = 1 })
	app := newHeld()
	w.arm(ping, 1).serve(t, app)
	w.get("ping", "/")
	late, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	io.WriteString(late, "GET / HTTP/1.1\r\n")
	w.eventually("the old gateway has the connection", func() bool { return w.metric(gateway.MetricConnections) >= 1 })
	w.succeed()
	first := w.ask("/held")
	w.eventually("a request runs through the new gateway", func() bool { return app.running.Load() == 1 })
	io.WriteString(late, "Host: ping.localhost\r\n\r\n")
	w.eventually("the late request waits", func() bool { return w.metric(platform.MetricQueued) == 1 })
	second := w.ask("/")
	w.eventually("another request waits", func() bool { return w.metric(platform.MetricQueued) == 2 })
	close(app.release)
	if res, err := http.ReadResponse(bufio.NewReader(late), nil); err != nil || res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("late: got %+v, %v", res, err)
	}
	if a, b := <-first, <-second; a.body != "done" || b.body != "done" {
		t.Errorf("got %+v and %+v", a, b)
	}
	if most := app.most.Load(); most != 1 {
		t.Errorf("there were %d requests at once", most)
	}
}

// A gateway that has lost its successor tells the next one what it has left, and looks for instances that are gone before
// these count as idle. What the next one does not know, it skips.
func TestPredecessorWithoutSuccessor(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	one := w.arm(ping, 1)
	w.eventually("the instance is there", func() bool { return w.has(platform.MetricInstanceInFlight, "instance=1") })
	conn, err := net.Dial("unix", w.paths.GatewaySocket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(requestTimeout))
	io.WriteString(conn, "POST /predecessor HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	in := bufio.NewReader(conn)
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	io.WriteString(conn, `{"loads":[{"revision":"ping-00001","in_flight":3,"queued":1,"instances":{"1":2},"later":true}]}`)
	w.eventually("it counts", func() bool {
		return w.inFlight() == 3 && w.onInstance("instance=1") == 2 && w.metric(platform.MetricQueued) == 1
	})
	one.drain(t)
	if said, err := in.ReadString('\n'); err != nil || said != `{"gone":[{"revision":"ping-00001","instance":1,"number":1}]}`+"\n" {
		t.Fatal(said, err)
	}
	io.WriteString(conn, `{"loads":[{"revision":"ping-00001","in_flight":0,"queued":0}]} {"loads":[{"revision":"nonsense","in_flight":9}]}`)
	w.eventually("it has ended", func() bool { return w.inFlight() == 0 })
	if n := w.onInstance("instance=1", "state=draining"); n != 1 {
		t.Errorf("before it has seen that the instance is gone there are %v requests", n)
	}
	io.WriteString(conn, `{"seen":1}`)
	w.eventually("it has seen it", func() bool { return !w.has(platform.MetricInstanceInFlight, "instance=1") })
	io.WriteString(conn, `{"loads":[{"revision":"ping-00001","in_flight":2,"queued":2},{"revision":"gone-00001","in_flight":1}]}`)
	w.eventually("it has more", func() bool { return w.inFlight() == 3 })
	conn.Close()
	w.eventually("it is gone", func() bool { return w.inFlight() == 0 && w.metric(platform.MetricQueued) == 0 })
}

// A connection that is idle when the gateway hands over brings one more request, whenever that is, unless the successor has
// to stop, too.
func TestHandoverKeepsIdleConnections(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, newHeld())
	dial := func() func() (*http.Response, error) {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(requestTimeout))
		in := bufio.NewReader(conn)
		return func() (*http.Response, error) {
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
			res, err := http.ReadResponse(in, nil)
			if err == nil {
				io.Copy(io.Discard, res.Body)
			}
			return res, err
		}
	}
	used, idle := dial(), dial()
	for _, ask := range []func() (*http.Response, error){used, idle} {
		if res, err := ask(); err != nil || res.Close {
			t.Fatal(res, err)
		}
	}
	ended := w.succeed()
	time.Sleep(700 * time.Millisecond) // longer than a new connection may be silent
	if res, err := used(); err != nil || res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("got %+v, %v", res, err)
	}
	w.succeed()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
	if res, err := idle(); err == nil {
		t.Errorf("got %+v after the end", res)
	}
}

// A connection that was silent until the gateway had handed over, and then speaks HTTP/2, is told to go elsewhere.
func TestHandoverLateHTTP2(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(requestTimeout))
	w.eventually("the old gateway has the connection", func() bool { return w.metric(gateway.MetricConnections) == 1 })
	w.succeed()
	time.Sleep(time.Second) // longer than it waits for connections that bring something soon
	io.WriteString(conn, http2.ClientPreface)
	frames := http2.NewFramer(conn, conn)
	if err := frames.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			if away.LastStreamID != 0 || away.ErrCode != http2.ErrCodeNo {
				t.Errorf("got %v", away)
			}
			return
		}
	}
}

// The status socket is open to more than the gateway's own user, and over the network to everybody.
func TestHandoverIsNotForEverybody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	newWorld(t, func(c *gateway.Config) { c.Status = []net.Listener{listener} })
	for range 2 { // it is not busy after the first time
		for _, path := range []string{"/handover", "/predecessor"} {
			res, err := http.Post("http://"+listener.Addr().String()+path, "", nil)
			if err != nil || res.StatusCode != http.StatusForbidden {
				t.Errorf("%s: got %+v, %v", path, res, err)
			}
		}
	}
}

// What lies unread for a predecessor is told by the gateway that serves.
func TestHandoverOfUnreadRequests(t *testing.T) {
	w := newDynasty(t)
	w.route(ping, quick)
	app := w.arm(ping, 1).serveWedge(t, quiet)
	w.get("ping", "/")
	app.block()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go send(w.client, w.request("GET", "ping", "/", "").WithContext(ctx))
	w.eventually("it is given", func() bool { return w.onInstance("instance=1") == 1 })
	ended := w.succeed()
	w.eventually("it is told", func() bool { return w.onInstance("instance=1") == 1 && w.unread() == 1 })
	cancel()
	w.eventually("it is forgotten", func() bool { return w.unread() == 0 })
	if err := ended(); err != nil {
		t.Error(err)
	}
}
