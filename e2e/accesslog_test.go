//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// The journal has each request, and "fnctl logs" finds it.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.deploy(t, "echo", neverAsleep("a cold start is logged", serverless), "main:app")
			m.waitZero(t, "echo", 30*time.Second)
			t.Run("requests", func(t *testing.T) { testRequests(t, m) })
			only(t, machine.Bookworm, suite, "secrets", func(t *testing.T) { testSecretsAreNotLogged(t, m) })
			t.Run("one request", func(t *testing.T) { testOneRequest(t, m) })
			only(t, machine.Trixie, suite, "follow", func(t *testing.T) { testFollowRequests(t, m) })
			only(t, machine.Bookworm, suite, "switch", func(t *testing.T) { testAccessLogSwitch(t, m) })
		})
	}
}

// logged is the part of "fnctl logs NAME --requests -o json" that scripts rely on.
type logged struct {
	Time      time.Time `json:"time"`
	Function  string    `json:"function"`
	Revision  string    `json:"revision"`
	Instance  string    `json:"instance"`
	RequestID string    `json:"request_id"`
	Method    string    `json:"method"`
	Host      string    `json:"host"`
	Path      string    `json:"path"`
	Protocol  string    `json:"protocol"`
	Peer      string    `json:"peer"`
	Status    int       `json:"status"`
	Aborted   string    `json:"aborted"`
	Duration  float64   `json:"duration_ms"`
	Queued    float64   `json:"queued_ms"`
	FirstByte float64   `json:"first_byte_ms"`
	Cold      float64   `json:"cold_ms"`
	Received  int64     `json:"received_bytes"`
	Sent      int64     `json:"sent_bytes"`
}

// ask sends a request with an id and a secret in its query and its headers. It returns the status, 0 if the context ended
// before, and -1 if anything else went wrong, which the test is told.
func (m *testMachine) ask(t *testing.T, ctx context.Context, method, url, id string, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return -1
	}
	query := req.URL.Query()
	query.Set("token", "s3cret")
	req.URL.RawQuery = query.Encode()
	req.Header.Set("X-Request-ID", id)
	req.Header.Set("Authorization", "Bearer s3cret")
	req.Header.Set("Cookie", "session=s3cret")
	client := m.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if errors.Is(err, context.Canceled) {
		return 0
	}
	if err != nil {
		t.Error(err)
		return -1
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
		return -1
	}
	return resp.StatusCode
}

// requests are those that the access log has, oldest first.
func (m *testMachine) requests(t *testing.T, args ...string) []logged {
	t.Helper()
	return parseLines[logged](t, m.MustRun(t, "fnctl", append([]string{"logs", "--requests", "-o", "json", "-n", "0"}, args...)...))
}

// request waits for a request in the access log.
func (m *testMachine) request(t *testing.T, id string) (r logged) {
	t.Helper()
	eventually(t, 10*time.Second, id+" is logged, once", func() bool {
		// It fails while there is none.
		out, _ := m.Run(t.Context(), "fnctl", "logs", "--requests", "--request-id", id, "--since", "-1h", "-o", "json")
		return out.Code == 0 && json.Unmarshal([]byte(out.Stdout), &r) == nil
	})
	return r
}

func testRequests(t *testing.T, m *testMachine) {
	long := bytes.Repeat([]byte("x"), 100_000)
	for _, c := range []struct {
		gone              bool // the client does not wait for the answer
		method, url, id   string
		body              []byte
		status, answer    int
		aborted, instance string
		received, sent    int64 // -1: any
		cold              bool
	}{
		{false, "GET", echoURL + "/headers", "cold-1", nil, 200, 200, "", "echo-00001@*", 0, -1, true},
		{false, "GET", echoURL + "/headers", "warm-1", nil, 200, 200, "", "echo-00001@*", 0, -1, false},
		{false, "GET", echoURL + "/nothing", "missing-1", nil, 404, 404, "", "echo-00001@*", 0, -1, false},
		{false, "POST", echoURL + "/echo", "post-1", long, 200, 200, "", "echo-00001@*", 100_000, 100_000, false},
		{false, "GET", "http://nobody.localhost:8080/x", "nobody-1", nil, 404, 404, "", "", 0, -1, false},
		{true, "GET", echoURL + "/sleep?seconds=60", "gone-1", nil, 499, 0, "client", "echo-00001@*", 0, 0, false},
	} {
		t.Run(c.id, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if !c.cold { // it may have been stopped while the journal was asked for the request before
				m.mustGet(t, echoURL+"/headers")
			}
			began := time.Now()
			answered := make(chan int, 1)
			go func() { answered <- m.ask(t, ctx, c.method, c.url, c.id, c.body) }()
			if c.gone {
				eventually(t, 10*time.Second, "the request is in flight", func() bool { return m.inFlight(t, "echo") > 0 })
				cancel()
			}
			if got := <-answered; got != c.answer {
				t.Fatalf("got %d, want %d", got, c.answer)
			}
			r := m.request(t, c.id)
			took := time.Since(began) // an aborted one ends a moment after the client
			host, path, _ := strings.Cut(strings.TrimPrefix(c.url, "http://"), "/")
			path, _, _ = strings.Cut("/"+path, "?")
			host, _, _ = strings.Cut(host, ":")
			if r.Method != c.method || r.Host != host || r.Path != path || r.Protocol != "HTTP/1.1" || r.Status != c.status || r.Aborted != c.aborted {
				t.Errorf("got %+v", r)
			}
			if peer, err := netip.ParseAddr(r.Peer); err != nil || !peer.IsValid() {
				t.Errorf("the client is %q", r.Peer)
			}
			checkInstance(t, r, c.instance)
			if r.Received != c.received || c.sent >= 0 && r.Sent != c.sent || c.sent < 0 && r.Sent == 0 {
				t.Errorf("received %d bytes, sent %d", r.Received, r.Sent)
			}
			checkTimes(t, r, began, took, c.cold)
		})
	}
}

// checkInstance expects the instance to match a pattern, and function and revision to be those of the instance.
func checkInstance(t *testing.T, r logged, pattern string) {
	t.Helper()
	function, revision := "echo", "echo-00001"
	if pattern == "" {
		function, revision = "", ""
	}
	if matched, _ := path.Match(pattern, r.Instance); !matched || r.Function != function || r.Revision != revision {
		t.Errorf("it was for %q, %q, %q", r.Function, r.Revision, r.Instance)
	}
}

func checkTimes(t *testing.T, r logged, began time.Time, took time.Duration, cold bool) {
	t.Helper()
	if r.Duration < 0 || r.Duration > float64(took.Milliseconds()) || r.FirstByte > r.Duration || r.Queued > r.Duration || r.Cold > r.Duration {
		t.Errorf("took %v, logged as %+v", took, r)
	}
	if (r.Cold > 0) != cold || cold && r.Queued < 10 {
		t.Errorf("cold %v ms, queued %v ms", r.Cold, r.Queued)
	}
	const apart = 10 * time.Millisecond
	if r.Time.Before(began.Add(-apart)) || r.Time.After(began.Add(took+apart)) {
		t.Errorf("sent at %v, arrived at %v", began, r.Time)
	}
}

// Neither the query nor any header gets into what the gateway logs, in any field.
func testSecretsAreNotLogged(t *testing.T, m *testMachine) {
	all := m.MustRun(t, "journalctl", "--output=export", "_SYSTEMD_UNIT=fnctl-gateway.service")
	if !strings.Contains(all, "FNCTL_REQUEST_ID=cold-1\n") {
		t.Error("the journal doesn't have the requests")
	}
	if at := strings.Index(all, "s3cret"); at >= 0 {
		t.Errorf("the journal has a secret: …%s…", all[max(0, at-200):at+6])
	}
}

func testOneRequest(t *testing.T, m *testMachine) {
	table := m.MustRun(t, "fnctl", "logs", "echo", "--requests")
	for _, want := range []string{"Request ID", " missing-1  ", " GET /nothing\n", " 499 ", " broke off: client\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("--requests has no %q:\n%s", want, table)
		}
	}
	if strings.Contains(table, "nobody-1") {
		t.Errorf("requests of echo include one that reached no function:\n%s", table)
	}
	if last := m.requests(t, "echo", "-n", "1"); len(last) != 1 || last[0].RequestID != "gone-1" {
		t.Errorf("-n 1: got %+v", last)
	}
	// What systemd says of the start, what the app prints, and the line of the access log.
	text := m.MustRun(t, "fnctl", "logs", "--request-id", "cold-1")
	for _, want := range []string{"Started ", "Uvicorn running", `"GET /headers?token=s3cret HTTP/1.1" 200`, "fnctl-access[", ": GET /headers 200 "} {
		if !strings.Contains(text, want) {
			t.Errorf("--request-id has no %q:\n%s", want, text)
		}
	}
	if out := m.MustFail(t, 1, "fnctl", "logs", "echo", "--request-id", "unknown"); !strings.Contains(out.Stderr, "no request unknown") {
		t.Errorf("of a request that is not known: %s", out.Stderr)
	}
	if out := m.MustFail(t, 1, "fnctl", "logs", "unknown", "--requests"); !strings.Contains(out.Stderr, "no such function") {
		t.Errorf("of a function that is not known: %s", out.Stderr)
	}
	if entry := m.MustRun(t, "journalctl", "-u", "fnctl-gateway", "-t", "fnctl"); strings.Contains(entry, "GET /headers") {
		t.Errorf("the gateway's own log has the requests:\n%s", entry)
	}
}

func testFollowRequests(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/run/requests", "")
	stop := m.Start(t, "sh", "-c", "exec fnctl logs echo --requests -f -n 1 >/run/requests")
	has := func(what string) func() bool {
		return func() bool { return strings.Contains(m.MustRun(t, "cat", "/run/requests"), what) }
	}
	eventually(t, 10*time.Second, "-f prints the last request", has(" gone-1 "))
	m.ask(t, t.Context(), "GET", echoURL+"/headers", "followed-1", nil)
	eventually(t, 10*time.Second, "-f prints what comes", has(" followed-1 "))
	if said := stop(syscall.SIGINT); said != "" {
		t.Errorf("-f said %q", said)
	}
}

// The access log has what the settings say, and what was recorded before the gateway ended.
func testAccessLogSwitch(t *testing.T, m *testMachine) {
	for _, c := range []struct {
		which string
		want  string
	}{{"on", "fine-on failed-on"}, {"errors", "failed-errors"}, {"off", ""}} {
		m.WriteFile(t, "/etc/fnctl/fnctl.yml", "gateway:\n  access_log: "+c.which+"\n")
		m.MustRun(t, "systemctl", "restart", "fnctl-gateway")
		m.ask(t, t.Context(), "GET", echoURL+"/headers", "fine-"+c.which, nil)
		if got := m.ask(t, t.Context(), "GET", echoURL+"/read?file=/nothing", "failed-"+c.which, nil); got != 500 {
			t.Errorf("got %d, want 500", got)
		}
		m.MustRun(t, "systemctl", "restart", "fnctl-gateway") // writes what it has
		m.MustRun(t, "journalctl", "--sync")
		var got []string
		for _, r := range m.requests(t, "echo") {
			if strings.HasSuffix(r.RequestID, "-"+c.which) {
				got = append(got, r.RequestID)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: logged %q, want %q", c.which, got, c.want)
		}
	}
	if entry := m.MustRun(t, "journalctl", "-t", "fnctl-access", "-p", "warning", "-o", "cat"); strings.Count(entry, " 500 ") != 2 || strings.Contains(entry, " 200 ") {
		t.Errorf("the failed ones are\n%s", entry)
	}
}
