package gateway_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// requestLog keeps what it gets.
type requestLog struct {
	mu       sync.Mutex
	requests []gateway.Access
}

func (l *requestLog) Record(a *gateway.Access) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, *a)
}

func (l *requestLog) all() []gateway.Access {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// Clients are told from which state their request had an instance made ready. What was only asleep was no cold start.
func TestClientIsToldFromWhichState(t *testing.T) {
	id := platform.InstanceID{Revision: ping, Index: 1}
	mark := func(m platform.Mark) func(*world) {
		return func(w *world) {
			if err := w.store.Mark(id, m); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		prepare func(*world)
		header  string
		cold    bool
	}{
		"armed":   {func(*world) {}, `^[0-9]+ms; from=armed$`, true},
		"poised":  {mark(platform.MarkPoised), `^[0-9]+ms; from=poised$`, true},
		"standby": {mark(platform.MarkStandby), `^[0-9]+ms; from=standby$`, false},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				t.Parallel()
				var log requestLog
				w := newWorld(t, func(cfg *gateway.Config) { cfg.AccessLog = &log })
				if protocol == "HTTP/2.0" {
					w.client = &http.Client{Transport: http2Transport(t)}
				}
				freeze := platform.InstanceCgroup(w.paths, platform.SliceName("ping"), id).Sleeper().FreezeFile()
				mkdir(t, filepath.Dir(freeze))
				if err := os.WriteFile(freeze, []byte("1"), 0o644); err != nil {
					t.Fatal(err)
				}
				w.route(ping)
				c.prepare(w)
				a := w.arm(ping, 1)
				w.eventually("it is there", func() bool { return w.has(platform.MetricInstanceInFlight, "instance=1") })
				first := make(chan answer, 1)
				go func() { first <- w.get("ping", "/") }()
				w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
				if c.cold {
					time.Sleep(10 * time.Millisecond) // as long as a start at least
				}
				a.serve(t, echo("1"))
				got := <-first
				if told := got.header.Get("Fnctl-Cold-Start"); got.body != "1" || !regexp.MustCompile(c.header).MatchString(told) {
					t.Errorf("told %q, want %s; %+v", told, c.header, got)
				}
				if got := w.get("ping", "/"); got.body != "1" || got.header["Fnctl-Cold-Start"] != nil {
					t.Errorf("the next one: %+v", got)
				}
				w.eventually("both are logged", func() bool { return len(log.all()) == 2 })
				if first := log.all()[0]; (first.Cold > 0) != c.cold || first.Queued == 0 {
					t.Errorf("logged %+v", first)
				}
				if n := w.metric(gateway.MetricColdStart); (n == 1) != c.cold {
					t.Errorf("%v cold starts", n)
				}
				if n := w.metric(gateway.MetricWakes, "from="+name); n != 1 {
					t.Errorf("%v wakes", n)
				}
			})
		}
	}
}
