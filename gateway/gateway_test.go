package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

var (
	ping  = platform.RevisionID{Function: "ping", Number: 1}
	ping2 = platform.RevisionID{Function: "ping", Number: 2}
)

func TestColdStartAnswersEveryRequest(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	a := w.arm(ping, 1)
	var group sync.WaitGroup
	answers := make([]answer, 100)
	for i := range answers {
		group.Go(func() { answers[i] = w.get("ping", "/") })
	}
	w.eventually("all are held", func() bool { return w.metric(platform.MetricQueued) == 100 })
	time.Sleep(100 * time.Millisecond)
	a.serve(t, echo("1"))
	group.Wait()
	for _, got := range answers {
		if got.err != nil || got.status != http.StatusOK || got.body != "1" || got.header.Get("Fnctl-Cold-Start") == "" {
			t.Fatalf("got %+v", got)
		}
	}
	if got := w.get("ping", "/"); got.status != http.StatusOK || got.header.Get("Fnctl-Cold-Start") != "" {
		t.Errorf("warm: %+v", got)
	}
	w.eventually("all cold starts are observed", func() bool { return w.metric(gateway.MetricColdStart) == 100 })
}

// A request that finds no socket at all waits for one.
func TestRequestWaitsForASocket(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	got := make(chan answer, 1)
	go func() { got <- w.get("ping", "/") }()
	w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
	w.arm(ping, 1).serve(t, echo("1"))
	if got := <-got; got.body != "1" {
		t.Errorf("got %+v", got)
	}
}

func TestHeldRequestsAreSpreadOverSeveral(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	var (
		served [5]atomic.Int32
		armed  [5]*armed
		group  sync.WaitGroup
	)
	for i := range armed {
		armed[i] = w.arm(ping, i+1)
	}
	for range 100 {
		group.Go(func() {
			if got := w.get("ping", "/"); got.status != http.StatusOK {
				t.Errorf("got %+v", got)
			}
		})
	}
	w.eventually("all are held", func() bool { return w.metric(platform.MetricQueued) == 100 })
	time.Sleep(200 * time.Millisecond)
	for i, a := range armed {
		a.serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			served[i].Add(1)
			time.Sleep(500 * time.Millisecond)
		}))
		time.Sleep(50 * time.Millisecond)
	}
	group.Wait()
	for i := range served {
		if n := served[i].Load(); n < 15 || n > 25 {
			t.Errorf("instance %d served %d of 100", i+1, n)
		}
	}
}

func TestConcurrencyLimit(t *testing.T) {
	w := newWorld(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Concurrency = 1 })
	var worst atomic.Int32
	exclusive := func() http.Handler {
		var running atomic.Int32
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if n := running.Add(1); n > 1 {
				worst.Store(n)
			}
			time.Sleep(time.Millisecond)
			running.Add(-1)
		})
	}
	var group sync.WaitGroup
	stop := time.Now().Add(700 * time.Millisecond)
	for range 30 {
		group.Go(func() {
			for time.Now().Before(stop) {
				if got := w.get("ping", "/"); got.status != http.StatusOK {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
	for i := 1; time.Now().Before(stop); i++ { // scale up and down meanwhile
		a := w.arm(ping, i)
		a.serve(t, exclusive())
		time.Sleep(50 * time.Millisecond)
		if i > 1 {
			os.Remove(w.paths.InstanceSocket(platform.InstanceID{Revision: ping, Index: i - 1}))
		}
	}
	group.Wait()
	if n := worst.Load(); n > 1 {
		t.Errorf("an instance had %d requests at once", n)
	}
}

func TestQueueOverflow(t *testing.T) {
	w := newWorld(t, func(cfg *gateway.Config) { cfg.MaxQueue = 2 })
	w.route(ping)
	for range 2 {
		go w.get("ping", "/")
	}
	w.eventually("two are held", func() bool { return w.metric(platform.MetricQueued) == 2 })
	began := time.Now()
	got := w.get("ping", "/")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "1" || time.Since(began) >= requestTimeout {
		t.Errorf("got %+v", got)
	}
	w.arm(ping, 1).serve(t, echo("1"))
	w.eventually("the others are served", func() bool { return w.metric(gateway.MetricRequests, "code=200") == 2 })
}

func TestClientThatGoesLeavesTheQueue(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	a := w.arm(ping, 1)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan answer, 1)
	go func() { gone <- send(w.client, w.request("GET", "ping", "/", "").WithContext(ctx)) }()
	w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
	cancel()
	if got := <-gone; !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %+v", got)
	}
	w.eventually("it has left", func() bool { return w.metric(platform.MetricQueued) == 0 })
	w.eventually("it is counted", func() bool { return w.metric(gateway.MetricRequests, "code=499") == 1 })
	var seen atomic.Int32
	a.serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	if got := w.get("ping", "/"); got.status != http.StatusOK || seen.Load() != 1 {
		t.Errorf("got %+v, the app saw %d requests", got, seen.Load())
	}
}

func TestClientThatGoesIsNoStrike(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	arrived := make(chan bool)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- true
			<-r.Context().Done()
		}
	}))
	w.get("ping", "/")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	send(w.client, w.request("GET", "ping", "/slow", "").WithContext(ctx))
	w.eventually("it is counted", func() bool { return w.metric(gateway.MetricRequests, "code=499") == 1 })
	if !w.has(platform.MetricInstanceInFlight, "state=ready") {
		t.Error("the instance is not ready any more")
	}
	if n := w.metric(gateway.MetricAborted, "reason=client"); n != 1 {
		t.Errorf("%v requests were aborted by clients", n)
	}
}

func TestTimeout(t *testing.T) {
	w := newWorld(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(0.3) })
	check := func(what string, began time.Time, got answer) {
		t.Helper()
		took := time.Since(began)
		if got.status != http.StatusGatewayTimeout || got.body != "The upstream server is timing out\n" || took >= requestTimeout || took < 250*time.Millisecond {
			t.Errorf("%s: got %+v after %v", what, got, took)
		}
	}
	began := time.Now()
	check("held", began, w.get("ping", "/"))
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			fmt.Fprintln(w, "so far")
			http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}))
	began = time.Now()
	check("running", began, w.get("ping", "/"))
	began = time.Now()
	if got := w.get("ping", "/stream"); got.err == nil || got.body != "so far\n" || time.Since(began) >= requestTimeout {
		t.Errorf("streaming: got %+v after %v", got, time.Since(began))
	}
	w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason=timeout") == 1 })
}

// A client that does not read its response cannot keep the request for longer than its timeout.
func TestClientThatDoesNotRead(t *testing.T) {
	w := newWorld(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(0.3) })
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write(make([]byte, 1<<20))
		}
	}))
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
	w.eventually("it runs", func() bool { return w.metric(platform.MetricInFlight) == 1 })
	w.eventually("it was cut", func() bool { return w.metric(platform.MetricInFlight) == 0 })
}

func TestDrainUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	w.arm(ping, 1).serve(t, app)
	load := w.load(t, 10)
	for i := 2; i < 60; i++ {
		w.arm(ping, i).serve(t, app)
		ready := fmt.Sprintf("instance=%d", i)
		w.eventually("it is ready", func() bool { return w.has(platform.MetricInstanceInFlight, ready, "state=ready") })
		os.Remove(w.paths.InstanceSocket(platform.InstanceID{Revision: ping, Index: i - 1}))
		old := fmt.Sprintf("instance=%d", i-1)
		w.eventually("it has drained", func() bool { return !w.has(platform.MetricInstanceInFlight, old) })
	}
	load()
	if n := w.metric(gateway.MetricRequests, "code=200"); n < 100 {
		t.Errorf("only %v requests were served", n)
	}
}

// load keeps n clients busy, half of them with new connections, and checks every answer. The result ends it.
func (w *world) load(t *testing.T, n int) (end func()) {
	var (
		group sync.WaitGroup
		done  atomic.Bool
	)
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range n {
		client := w.client
		if i%2 == 0 {
			client = fresh
		}
		group.Go(func() {
			for k := 0; !done.Load(); k++ {
				want := fmt.Sprintf("%d-%d", i, k)
				method, body := "POST", want
				if k%3 == 0 {
					method, body = "GET", ""
				}
				got := send(client, w.request(method, "ping", "/", body))
				if got.err != nil || got.status != http.StatusOK || got.body != body {
					t.Errorf("got %+v, want %s", got, want)
				}
			}
		})
	}
	return func() { done.Store(true); group.Wait() }
}

func TestDrainingInstanceFinishesItsRequest(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	proceed := make(chan bool)
	a := w.arm(ping, 1)
	a.serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { <-proceed; fmt.Fprint(w, "late") }))
	got := make(chan answer, 1)
	go func() { got <- w.get("ping", "/") }()
	w.eventually("it runs", func() bool { return w.metric(platform.MetricInstanceInFlight, "state=ready") == 1 })
	w.arm(ping, 2).serve(t, echo("2"))
	a.drain(t)
	w.eventually("it drains", func() bool { return w.metric(platform.MetricInstanceInFlight, "state=draining", "instance=1") == 1 })
	if got := w.get("ping", "/"); got.body != "2" {
		t.Errorf("new request: got %+v", got)
	}
	close(proceed)
	if got := <-got; got.body != "late" {
		t.Errorf("got %+v", got)
	}
	w.eventually("it is not listed any more", func() bool { return !w.has(platform.MetricInstanceInFlight, "instance=1") })
}

// No connection of a draining instance is closed while one of its requests may still need it.
func TestDrainClosesConnectionsLast(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	var closed atomic.Int32
	arrived, proceed := make(chan bool), make(chan bool)
	a := w.arm(ping, 1)
	a.serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			arrived <- true
			<-proceed
		}
	}), func(app *http.Server) {
		app.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				closed.Add(1)
			}
		}
	})
	waiting := make(chan answer, 1)
	go func() { waiting <- w.get("ping", "/wait") }()
	<-arrived
	w.get("ping", "/")
	a.drain(t)
	w.eventually("it drains", func() bool { return w.has(platform.MetricInstanceInFlight, "state=draining") })
	if n := closed.Load(); n != 0 {
		t.Errorf("%d connections were closed", n)
	}
	close(proceed)
	if got := <-waiting; got.status != http.StatusOK {
		t.Errorf("got %+v", got)
	}
	w.eventually("all are closed", func() bool { return closed.Load() == 2 })
}

func TestRouteSwapUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	w.arm(ping, 1).serve(t, app)
	load := w.load(t, 20)
	for n := 2; n < 12; n++ {
		next := platform.RevisionID{Function: "ping", Number: n}
		w.arm(next, 1).serve(t, app)
		w.put(platform.Route{Function: "ping", Traffic: []platform.TrafficShare{{Revision: next, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(20)}}}})
		time.Sleep(20 * time.Millisecond)
		old := platform.RevisionID{Function: "ping", Number: n - 1}
		os.Remove(w.paths.InstanceSocket(platform.InstanceID{Revision: old, Index: 1}))
		w.eventually("the old revision is forgotten", func() bool { return !w.has(platform.MetricInFlight, "revision="+old.String()) })
	}
	load()
}

// Requests that wait for a revision which cannot start go to the good one that replaces it.
func TestHeldRequestsFollowTheRoute(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	w.arm(ping, 1) // nothing ever accepts
	got := make(chan answer, 1)
	go func() { got <- w.do("POST", "ping", "/", "body") }()
	w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
	w.arm(ping2, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	w.put(platform.Route{Function: "ping", Traffic: []platform.TrafficShare{{Revision: ping2, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(20)}}}})
	if got := <-got; got.body != "body" {
		t.Errorf("got %+v", got)
	}
	w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInFlight) == 0 })
	got2 := make(chan answer, 1)
	os.Remove(w.paths.InstanceSocket(platform.InstanceID{Revision: ping2, Index: 1}))
	w.eventually("it is gone", func() bool { return !w.has(platform.MetricInstanceInFlight, "revision=ping-00002") })
	go func() { got2 <- w.get("ping", "/") }()
	w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
	w.remove("ping")
	if got := <-got2; got.status != http.StatusNotFound {
		t.Errorf("removed: got %+v", got)
	}
}

func TestTrafficSplit(t *testing.T) {
	w := newWorld(t)
	mkdir(t, w.paths.Function("ping"))
	w.put(platform.Route{Function: "ping", Traffic: []platform.TrafficShare{
		{Revision: ping, Percent: 80, Timeouts: platform.Timeouts{Timeout: platform.Seconds(20)}},
		{Revision: ping2, Percent: 20, Timeouts: platform.Timeouts{Timeout: platform.Seconds(20)}},
	}})
	w.arm(ping, 1).serve(t, echo("1"))
	w.arm(ping2, 1).serve(t, echo("2"))
	w.eventually("it is routed", func() bool { return w.get("ping", "/").status == http.StatusOK })
	hits := make(map[string]int)
	for range 500 {
		hits[w.get("ping", "/").body]++
	}
	if hits["2"] < 50 || hits["2"] > 150 || hits["1"]+hits["2"] != 500 {
		t.Errorf("got %v", hits)
	}
}

// An instance that dies gets nothing until it answers again, and the others go on.
func TestCrash(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	crash := func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/crash" {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(w, "1")
		})
	}
	a := w.arm(ping, 1)
	dying := a.serve(t, crash())
	w.get("ping", "/")
	w.arm(ping, 2).serve(t, echo("2"))
	w.eventually("both are ready", func() bool {
		w.get("ping", "/")
		return len(w.series(platform.MetricInstanceInFlight, "state=ready")) == 2
	})
	dying.Close()
	for range 20 {
		if got := w.get("ping", "/"); got.status != http.StatusOK || got.body != "2" {
			t.Fatalf("got %+v", got)
		}
	}
	a.serve(t, crash())
	w.eventually("it is back", func() bool { return w.get("ping", "/").body == "1" })
	os.Remove(w.paths.InstanceSocket(platform.InstanceID{Revision: ping, Index: 2}))
	w.eventually("it is alone", func() bool { return len(w.series(platform.MetricInstanceInFlight)) == 1 })
	got := w.get("ping", "/crash")
	if got.status != http.StatusBadGateway || !strings.Contains(got.body, "fnctl logs ping") {
		t.Errorf("got %+v", got)
	}
	if got := w.get("ping", "/"); got.body != "1" {
		t.Errorf("afterwards: got %+v", got)
	}
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	arrived, proceed := make(chan bool), make(chan bool)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-proceed
		fmt.Fprint(w, "late")
	}))
	got := make(chan answer, 1)
	go func() { got <- w.get("ping", "/") }()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	time.Sleep(50 * time.Millisecond)
	close(proceed)
	if got := <-got; got.body != "late" {
		t.Errorf("got %+v", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	w := newWorld(t, func(cfg *gateway.Config) { cfg.DrainTimeout = 100 * time.Millisecond })
	w.route(ping)
	got := make(chan answer, 1)
	go func() { got <- w.get("ping", "/") }()
	w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
	began := time.Now()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took >= requestTimeout {
		t.Errorf("took %v", took)
	}
	if got := <-got; got.status != http.StatusServiceUnavailable {
		t.Errorf("got %+v", got)
	}
}

// Connections that wait in the listener's queue when the gateway stops are served by the next one.
func TestRestartKeepsTheListener(t *testing.T) {
	inherit := inherited(t)
	w := newWorld(t, inherit)
	w.route(ping)
	w.arm(ping, 1).serve(t, echo("1"))
	if got := w.get("ping", "/"); got.body != "1" {
		t.Fatalf("got %+v", got)
	}
	w.client.CloseIdleConnections()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	got := make(chan answer, 1)
	req := w.request("GET", "ping", "/", "")
	go func() { got <- send(w.client, req) }()
	time.Sleep(50 * time.Millisecond)
	w.registry = newRegistry()
	w.run(inherit)
	if got := <-got; got.body != "1" {
		t.Errorf("got %+v", got)
	}
}

// inherited gives each gateway the same listener, as systemd does.
func inherited(t *testing.T) func(*gateway.Config) {
	t.Helper()
	systemd, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { systemd.Close() })
	return func(cfg *gateway.Config) {
		file, err := systemd.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if cfg.Listeners[0], err = net.FileListener(file); err != nil {
			t.Fatal(err)
		}
	}
}

// Gateways that follow each other on one listener lose no request of a new connection.
func TestRestartsLoseNothing(t *testing.T) {
	inherit := inherited(t)
	w := newWorld(t, inherit)
	w.route(ping)
	w.arm(ping, 1).serve(t, echo("1"))
	var (
		group sync.WaitGroup
		done  atomic.Bool
		count atomic.Int32
	)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	addr := *w
	for range 8 {
		group.Go(func() {
			for !done.Load() {
				if got := send(client, addr.request("POST", "ping", "/", "x")); got.err != nil || got.body != "1" {
					t.Errorf("got %+v", got)
				}
				count.Add(1)
			}
		})
	}
	restarts := 0
	for end := time.Now().Add(4 * time.Second); (restarts < 50 || time.Now().Before(end)) && !t.Failed(); restarts++ {
		stop := w.stop
		w.registry = newRegistry()
		if restarts%2 == 0 { // one after the other, or overlapping
			w.run(inherit)
			stop()
		} else {
			stop()
			w.run(inherit)
		}
		time.Sleep(2 * time.Millisecond)
	}
	done.Store(true)
	group.Wait()
	t.Logf("%d requests during %d restarts", count.Load(), restarts)
	if restarts < 50 || int(count.Load()) < restarts {
		t.Errorf("only %d requests during %d restarts", count.Load(), restarts)
	}
}

// A stopping gateway answers what connections bring that were opened before, however late, and closes those that bring
// nothing.
func TestShutdownAndOpenConnections(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, echo("1"))
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(requestTimeout))
		return conn
	}
	const request = "GET / HTTP/1.1\r\nHost: ping.localhost\r\n\r\n"
	idle, silent, late, slow := dial(), dial(), dial(), dial()
	io.WriteString(idle, request)
	reader := bufio.NewReader(idle)
	if res, err := http.ReadResponse(reader, nil); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	} else {
		io.Copy(io.Discard, res.Body)
	}
	io.WriteString(slow, request[:20])
	time.Sleep(20 * time.Millisecond)
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	silentEnded := make(chan time.Time, 1)
	go func() {
		if n, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("silent: read %d, %v", n, err)
		}
		silentEnded <- time.Now()
	}()
	if _, err := reader.ReadByte(); err != io.EOF {
		t.Errorf("idle: %v", err)
	}
	idleEnded := time.Now()
	io.WriteString(late, request)
	time.Sleep(600 * time.Millisecond)
	io.WriteString(slow, request[20:])
	for name, conn := range map[string]net.Conn{"late": late, "slow": slow} {
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusOK || !res.Close {
			t.Errorf("%s: got %+v, %v", name, res, err)
		}
	}
	if at := <-silentEnded; at.Before(idleEnded) {
		t.Errorf("the idle connection was closed %v after the silent one", idleEnded.Sub(at))
	}
	if err := <-stopped; err != nil || time.Since(began) >= requestTimeout {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
