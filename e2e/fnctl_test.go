//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// status is the part of "fnctl status NAME -o json" that the tests, and the scripts of users, rely on.
type status struct {
	Name      string `json:"name"`
	Phase     string `json:"phase"`
	Endpoint  string `json:"endpoint"`
	Revisions []struct {
		Name      string     `json:"name"`
		Traffic   int        `json:"traffic"`
		Instances []instance `json:"instances"`
		Failure   *struct {
			Reason string `json:"reason"`
		} `json:"failure"`
	} `json:"revisions"`
	Scale struct {
		Metric  string  `json:"metric"`
		Target  float64 `json:"target"`
		Value   float64 `json:"value"`
		Ready   int     `json:"ready"`
		Desired int     `json:"desired"`
		Min     int     `json:"min"`
		Max     int     `json:"max"`
	} `json:"scale"`
}

type instance struct {
	Name     string `json:"name"`
	Unit     string `json:"unit"`
	State    string `json:"state"`
	PIDs     []int  `json:"pids"`
	InFlight int    `json:"in_flight"`
}

func (s status) states() string {
	var states []string
	for _, r := range s.Revisions {
		for _, i := range r.Instances {
			states = append(states, i.State)
		}
	}
	slices.Sort(states)
	return strings.Join(states, " ")
}

// listens reports whether an instance in such a state is one that a request would start.
func listens(state string) bool { return state == "armed" || state == "poised" }

// atRest reports whether an instance in such a state is not awake: nothing of the app runs.
func atRest(state string) bool { return listens(state) || state == "standby" }

// awake are the instances that are not at rest.
func (s status) awake() (awake []instance) {
	for _, r := range s.Revisions {
		for _, i := range r.Instances {
			if !atRest(i.State) {
				awake = append(awake, i)
			}
		}
	}
	return awake
}

// instanceOf is the instance with a unit, or an empty one.
func (s status) instanceOf(unit string) instance {
	for _, r := range s.Revisions {
		for _, i := range r.Instances {
			if i.Unit == unit {
				return i
			}
		}
	}
	return instance{}
}

// areReady reports whether so many instances are awake, and all of them ready.
func (s status) areReady(n int) bool {
	awake := s.awake()
	return len(awake) == n && !slices.ContainsFunc(awake, func(i instance) bool { return i.State != "ready" })
}

// atZero reports whether instances in such states are those of a revision at zero: none is awake, and at least one listens beside those
// that sleep.
func atZero(states string) bool {
	all := strings.Fields(states)
	return slices.ContainsFunc(all, listens) && !slices.ContainsFunc(all, func(state string) bool { return !atRest(state) })
}

func (m *testMachine) status(t *testing.T, name string) status {
	t.Helper()
	var s status
	if err := json.Unmarshal([]byte(m.MustRun(t, "fnctl", "status", name, "-o", "json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// deploy copies a sample function to the machine, changes its jcloud.yml if one is given, and deploys it.
func (m *testMachine) deploy(t *testing.T, name, config string, args ...string) string {
	t.Helper()
	dir := "/srv/" + name
	m.CopyIn(t, function(name), dir)
	if config != "" {
		m.WriteFile(t, dir+"/jcloud.yml", config)
	}
	return m.MustRunIn(t, dir, "fnctl", append([]string{"deploy"}, args...)...)
}

// neverAsleep is a jcloud.yml by which idle instances are stopped instead of frozen, and why: at zero there is no process, and each start
// is one from nothing.
func neverAsleep(why, config string) string { return "standby: false # " + why + "\n" + config }

// waitZero waits until no instance of a function is awake. Unless its instances are never asleep, one may be in standby.
func (m *testMachine) waitZero(t *testing.T, name string, within time.Duration) {
	t.Helper()
	eventually(t, within, name+" has no instance that is awake, and one that listens", func() bool {
		return atZero(m.status(t, name).states())
	})
}

// answer is what came of a request.
type answer struct {
	code   int
	header http.Header
	body   string
	took   time.Duration
}

// fetch sends a GET. net/http repeats one that is lost on a connection that was kept.
func fetch(ctx context.Context, client *http.Client, url string) (answer, error) {
	return fetchWith(ctx, client, url, nil)
}

// oneInstance waits until there is one instance of a function that is awake, and none that drains, and returns it.
func (m *testMachine) oneInstance(t *testing.T, name string) (one instance) {
	t.Helper()
	eventually(t, 30*time.Second, name+" has one instance that is awake", func() bool {
		s := m.status(t, name)
		awake := s.awake()
		if len(s.Revisions) != 1 || len(awake) != 1 {
			return false
		}
		one = awake[0]
		return true
	})
	return one
}

// fetchOnce sends a GET and repeats nothing: it has a body, if an empty one, which cannot be made again.
func fetchOnce(ctx context.Context, client *http.Client, url string) (answer, error) {
	return fetchWith(ctx, client, url, io.NopCloser(strings.NewReader("")))
}

func fetchWith(ctx context.Context, client *http.Client, url string, body io.Reader) (answer, error) {
	started := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, body)
	if err != nil {
		return answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), time.Since(started)}, err
}

// mustGet expects 200.
func (m *testMachine) mustGet(t *testing.T, url string) answer {
	t.Helper()
	a, err := fetch(t.Context(), m.Client(), url)
	if err != nil {
		t.Fatal(err)
	}
	if a.code != http.StatusOK {
		t.Fatalf("%s: got %d %q, want 200", url, a.code, a.body)
	}
	return a
}

// traffic asks for a URL again and again until it is stopped, by several clients, some of which take a new connection for
// each request. They repeat nothing.
type traffic struct {
	cancel context.CancelFunc
	ended  []chan []error
	count  *atomic.Int64 // of the requests that have ended
}

// enoughRequests is what a traffic must have had for its lack of failures to prove anything.
const enoughRequests = 10

func (m *testMachine) startTraffic(t *testing.T, url string, clients int) *traffic {
	t.Helper()
	return m.startTrafficOf(t, fetchOnce, url, clients)
}

// startRepeatingTraffic is for a gateway that is restarted: one that stops closes the connections that it has kept, and what
// is on its way to it in that moment is for the client to repeat.
func (m *testMachine) startRepeatingTraffic(t *testing.T, url string, clients int) *traffic {
	t.Helper()
	return m.startTrafficOf(t, fetch, url, clients)
}

func (m *testMachine) startTrafficOf(t *testing.T, ask func(context.Context, *http.Client, string) (answer, error), url string, clients int) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	tr := &traffic{cancel: cancel, count: new(atomic.Int64)}
	for n := range clients {
		client := m.Client()
		if n%2 == 1 {
			client.Transport.(*http.Transport).DisableKeepAlives = true
		}
		ended := make(chan []error, 1)
		tr.ended = append(tr.ended, ended)
		go func() {
			var errs []error
			for ctx.Err() == nil {
				// The request itself is not cut short, or its end would be an error of ours.
				a, err := ask(context.WithoutCancel(ctx), client, url)
				if err == nil && a.code != http.StatusOK {
					err = fmt.Errorf("%d %s", a.code, a.body)
				}
				if err != nil {
					errs = append(errs, err)
				}
				tr.count.Add(1)
				think(ctx)
			}
			client.CloseIdleConnections()
			ended <- errs
		}()
	}
	t.Cleanup(cancel)
	return tr
}

// think is the pause of a client between an answer and its next request. Without it a few clients would take all of a
// processor, from what the test is about.
func think(ctx context.Context) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
}

// stop ends the traffic, as soon as there was enough of it; not one request may have failed.
func (tr *traffic) stop(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "there were enough requests to prove something", func() bool { return tr.count.Load() >= enoughRequests })
	tr.cancel()
	var errs []error
	for _, ended := range tr.ended {
		errs = append(errs, <-ended...)
	}
	if len(errs) > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", len(errs), tr.count.Load(), errs[0])
	}
	t.Logf("%d requests", tr.count.Load())
}

// parseLines reads objects, each on a line of its own.
func parseLines[E any](t *testing.T, text string) []E {
	t.Helper()
	var list []E
	for line := range strings.Lines(text) {
		var e E
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		list = append(list, e)
	}
	return list
}
