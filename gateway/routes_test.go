package gateway_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

func (w *world) host(host string) answer {
	req := w.request("GET", "ping", "/", "")
	req.Host = host
	return send(w.client, req)
}

func (w *world) claim(function string, hosts ...string) {
	id := platform.RevisionID{Function: function, Number: 1}
	w.put(platform.Route{Function: function, Hosts: hosts, Traffic: []platform.TrafficShare{{Revision: id, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(5)}}}})
	w.eventually("the route is taken", func() bool { return w.has(platform.MetricInFlight, "function="+function) })
}

func (w *world) remove(function string) {
	w.t.Helper()
	if err := w.store.RemoveRoute(function); err != nil {
		w.t.Fatal(err)
	}
}

func TestCorruptRouteKeepsTheLastGoodOne(t *testing.T) {
	var log lockedBuffer
	w := newWorld(t, func(cfg *gateway.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	w.route(ping)
	w.arm(ping, 1).serve(t, echo("1"))
	for _, bad := range []string{"", "{", "null", `{"function":"ping"}`, `{"function":"other"}`, strings.Repeat("[", 1<<16)} {
		if err := os.WriteFile(w.paths.Route("ping"), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		w.eventually("it is noticed", func() bool { return w.metric(platform.MetricBadRoutes) == 1 })
		if got := w.get("ping", "/"); got.body != "1" {
			t.Errorf("%.20q: got %+v", bad, got)
		}
	}
	w.claim("ping")
	w.eventually("it is good again", func() bool { return w.metric(platform.MetricBadRoutes) == 0 })
	if got := w.get("ping", "/"); got.body != "1" {
		t.Errorf("afterwards: got %+v", got)
	}
	if text := log.String(); !strings.Contains(text, "the last good one stays") || !strings.Contains(text, "function=ping") {
		t.Errorf("log:\n%s", text)
	}
}

func TestLostRouteKeepsTheLastGoodOne(t *testing.T) {
	var log lockedBuffer
	w := newWorld(t, func(cfg *gateway.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	w.route(ping)
	w.arm(ping, 1).serve(t, echo("1"))
	lose := func() {
		t.Helper()
		if err := os.Remove(w.paths.Route("ping")); err != nil {
			t.Fatal(err)
		}
		w.eventually("it is noticed", func() bool { return w.metric(platform.MetricBadRoutes) == 1 })
		if got := w.get("ping", "/"); got.body != "1" {
			t.Errorf("lost: got %+v", got)
		}
	}
	lose()
	// Whatever else happens there makes the gateway look again.
	if err := os.WriteFile(w.paths.Scale("ping"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.claim("pong")
	if got := w.get("ping", "/"); got.body != "1" {
		t.Errorf("after another change: got %+v", got)
	}
	if n := strings.Count(log.String(), "the last good one stays"); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, log.String())
	}
	w.claim("ping", "new.example.com")
	w.eventually("it is good again", func() bool { return w.metric(platform.MetricBadRoutes) == 0 })
	w.eventually("it is the new one", func() bool { return w.host("new.example.com").body == "1" })
	lose()
	w.remove("ping")
	w.eventually("it is removed", func() bool { return w.get("ping", "/").status == http.StatusNotFound })
	w.eventually("it is not bad any more", func() bool { return w.metric(platform.MetricBadRoutes) == 0 })
}

// Without the last good route a gateway that is started anew can only tell.
func TestLostRouteFromTheStart(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	if err := os.Remove(w.paths.Route("ping")); err != nil {
		t.Fatal(err)
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.registry = newRegistry()
	w.run()
	w.eventually("it is told", func() bool { return w.get("ping", "/").status == http.StatusServiceUnavailable })
	w.eventually("it counts", func() bool { return w.metric(platform.MetricBadRoutes) == 1 })
	os.RemoveAll(w.paths.Function("ping"))
	w.eventually("it is removed", func() bool { return w.get("ping", "/").status == http.StatusNotFound })
}

// A first deploy that has not come to its end, or failed, is no function yet.
func TestDirectoryWithoutRoute(t *testing.T) {
	w := newWorld(t)
	mkdir(t, w.paths.Revisions("ping"))
	w.claim("pong") // it comes after
	if got := w.get("ping", "/"); got.status != http.StatusNotFound || w.metric(platform.MetricBadRoutes) != 0 {
		t.Errorf("got %+v", got)
	}
}

// A function's directory that goes as a whole takes the function with it, also by another name.
func TestRenamedDirectory(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, echo("1"))
	away := w.paths.Function("ping") + ".bak"
	if err := os.Rename(w.paths.Function("ping"), away); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is removed", func() bool { return w.get("ping", "/").status == http.StatusNotFound })
	if err := os.Rename(away, w.paths.Function("ping")); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is there again", func() bool { return w.get("ping", "/").body == "1" })
	w.claim("ping", "new.example.com")
	w.eventually("it is watched, too", func() bool { return w.host("new.example.com").body == "1" })
}

// A request to a paused function is refused at once, and those that run are finished.
func TestPausedRoute(t *testing.T) {
	w := newWorld(t)
	w.claim("ping")
	begun, finish := make(chan bool), make(chan bool)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			begun <- true
			<-finish
		}
		io.WriteString(rw, "1")
	}))
	slow := make(chan answer, 1)
	go func() { slow <- w.get("ping", "/slow") }()
	<-begun
	route, err := w.store.Route("ping")
	if err != nil {
		t.Fatal(err)
	}
	route.Paused = true
	w.put(route)
	w.eventually("it is paused", func() bool { return w.get("ping", "/").status == http.StatusServiceUnavailable })
	if got := w.get("ping", "/"); got.body != "ping is paused: try again later\n" || got.header.Get("Retry-After") == "" {
		t.Errorf("got %+v", got)
	}
	finish <- true
	if got := <-slow; got.body != "1" {
		t.Errorf("what ran: got %+v", got)
	}
	route.Paused = false
	w.put(route)
	w.eventually("it serves again", func() bool { return w.get("ping", "/").body == "1" })
}

func TestCorruptRouteFromTheStart(t *testing.T) {
	w := newWorld(t)
	mkdir(t, w.paths.Function("ping"))
	if err := os.WriteFile(w.paths.Route("ping"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is noticed", func() bool { return w.metric(platform.MetricBadRoutes) == 1 })
	w.eventually("it is told", func() bool { return w.get("ping", "/").status == http.StatusServiceUnavailable })
	if got := w.get("ping", "/"); got.body != "the route of ping cannot be read: see journalctl -u fnctl-gateway\n" {
		t.Errorf("got %+v", got)
	}
	os.Remove(w.paths.Route("ping"))
	w.eventually("it is gone", func() bool { return w.get("ping", "/").status == http.StatusNotFound })
	w.eventually("it is not bad any more", func() bool { return w.metric(platform.MetricBadRoutes) == 0 })
	w.claim("ping")
	w.arm(ping, 1).serve(t, echo("1"))
	if got := w.get("ping", "/"); got.body != "1" {
		t.Errorf("repaired: got %+v", got)
	}
}

func TestRemovedFunctionIsNotReached(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, echo("1"))
	if got := w.get("ping", "/"); got.status != http.StatusOK {
		t.Fatalf("got %+v", got)
	}
	w.remove("ping")
	w.eventually("it is removed", func() bool { return w.get("ping", "/").status == http.StatusNotFound })
	os.Remove(w.paths.InstanceSocket(platform.InstanceID{Revision: ping, Index: 1}))
	w.eventually("its metrics are gone", func() bool {
		return !w.has(platform.MetricInFlight) && !w.has(gateway.MetricServingSeconds) && !w.has(gateway.MetricDuration)
	})
	w.claim("ping")
	w.arm(ping, 1).serve(t, echo("again"))
	if got := w.get("ping", "/"); got.body != "again" {
		t.Errorf("got %+v", got)
	}
}

// Neither directory exists at first, and both go and come again.
func TestDirectoriesComeLate(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		os.RemoveAll(w.paths.Functions())
		os.RemoveAll(w.paths.Instances())
		w.eventually("nothing is left", func() bool { return !w.has(platform.MetricInFlight) })
		mkdir(t, w.paths.Functions())
		mkdir(t, w.paths.Instances())
		w.claim("ping")
		a := w.arm(ping, 1)
		a.serve(t, echo("1"))
		if got := w.get("ping", "/"); got.body != "1" {
			t.Fatalf("got %+v", got)
		}
		a.drain(t)
	}
}

func TestHostsOfFunctions(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"aa", "bb"} {
		w.claim(name)
		w.arm(platform.RevisionID{Function: name, Number: 1}, 1).serve(t, echo(name))
	}
	w.claim("bb", "shared.example.com", "aa.localhost")
	w.eventually("bb has it", func() bool { return w.host("shared.example.com").body == "bb" })
	w.put(platform.Route{Function: "aa", Hosts: []string{"shared.example.com", "only.example.com"},
		Traffic: []platform.TrafficShare{{Revision: platform.RevisionID{Function: "aa", Number: 1}, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(5)}}}})
	w.eventually("aa has the other", func() bool { return w.host("only.example.com").body == "aa" })
	if got := w.host("shared.example.com"); got.body != "bb" {
		t.Errorf("the one that had it keeps it: got %+v", got)
	}
	if got := w.host("aa.localhost"); got.body != "aa" {
		t.Errorf("nobody takes a function's own host: got %+v", got)
	}
	if n := w.metric(gateway.MetricHostConflicts); n != 2 {
		t.Errorf("%v conflicts", n)
	}
	os.RemoveAll(w.paths.Function("bb"))
	w.eventually("aa gets it", func() bool { return w.host("shared.example.com").body == "aa" })
}

// lockedBuffer is a buffer that a logger writes to while a test reads.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
