package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/journal"
)

// sampleAccess has all fields.
func sampleAccess() gateway.Access {
	return gateway.Access{
		At: time.Now(), Function: "ping", Revision: "ping-00001", Instance: "ping-00001@3", Method: "POST",
		Host: "ping.localhost", Path: "/items/7", Protocol: "HTTP/2.0", Status: 502, Duration: 1234567 * time.Microsecond,
		Queued: 300 * time.Microsecond, FirstByte: 200 * time.Millisecond, Cold: 183250 * time.Microsecond,
		RequestID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Peer: "2001:db8::1", Received: 10, Sent: 1 << 40, Aborted: "upstream", Retries: 2,
	}
}

// entryFields reads an entry as journald does.
func entryFields(t *testing.T, entry []byte) map[string]string {
	t.Helper()
	fields := make(map[string]string)
	if !bytes.HasSuffix(entry, []byte("\n")) {
		t.Fatalf("%q is cut off", entry)
	}
	for line := range strings.Lines(string(entry)) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if _, twice := fields[name]; twice || !found {
			t.Fatalf("%q has a bad field %q", entry, name)
		}
		fields[name] = value
	}
	return fields
}

func TestEntry(t *testing.T) {
	sample := sampleAccess()
	for _, c := range []struct {
		name   string
		access gateway.Access
		want   map[string]string
	}{
		{"all fields", sample, map[string]string{
			"PRIORITY": "4", "MESSAGE": "POST /items/7 502 1234.6ms ping-00001@3 cold=183.2ms aborted=upstream",
			"FNCTL_FUNCTION": "ping", "FNCTL_REVISION": "ping-00001", "FNCTL_INSTANCE": "ping-00001@3",
			"FNCTL_REQUEST_ID": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "FNCTL_METHOD": "POST", "FNCTL_HOST": "ping.localhost",
			"FNCTL_PATH": "/items/7", "FNCTL_PROTOCOL": "HTTP/2.0", "FNCTL_PEER": "2001:db8::1", "FNCTL_STATUS": "502",
			"FNCTL_DURATION_MS": "1234.6", "FNCTL_QUEUED_MS": "0.3", "FNCTL_FIRST_BYTE_MS": "200.0", "FNCTL_COLD_MS": "183.2",
			"FNCTL_RECEIVED": "10", "FNCTL_SENT": "1099511627776", "FNCTL_ABORTED": "upstream", "FNCTL_RETRIES": "2",
		}},
		{"no function", gateway.Access{Method: "GET", Host: "example.com", Path: "/", Status: 404, Duration: 1}, map[string]string{
			"PRIORITY": "6", "MESSAGE": "GET / 404 0.0ms example.com", "FNCTL_METHOD": "GET", "FNCTL_HOST": "example.com",
			"FNCTL_PATH": "/", "FNCTL_STATUS": "404", "FNCTL_DURATION_MS": "0.0",
		}},
		{"no instance", gateway.Access{Function: "ping", Revision: "ping-00002", Method: "GET", Path: "/", Status: 503}, map[string]string{
			"PRIORITY": "4", "MESSAGE": "GET / 503 0.0ms ping-00002", "FNCTL_METHOD": "GET", "FNCTL_PATH": "/", "FNCTL_STATUS": "503",
			"FNCTL_FUNCTION": "ping", "FNCTL_REVISION": "ping-00002",
		}},
		{"a hostile path", gateway.Access{Method: "GET", Host: "h", Path: "/a\nPRIORITY=0\nX=\x1b[2J é", Status: 200}, map[string]string{
			"PRIORITY": "6", "MESSAGE": "GET /a%0APRIORITY=0%0AX=%1B[2J%20%C3%A9 200 0.0ms h", "FNCTL_METHOD": "GET",
			"FNCTL_HOST": "h", "FNCTL_PATH": "/a%0APRIORITY=0%0AX=%1B[2J%20%C3%A9", "FNCTL_STATUS": "200",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.access.At = time.UnixMicro(1700000000123456)
			c.want["SYSLOG_IDENTIFIER"], c.want["FNCTL_ARRIVED"] = "fnctl-access", "1700000000123456"
			if got := entryFields(t, appendEntry(nil, &c.access)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

func TestEntryIsBounded(t *testing.T) {
	long := strings.Repeat("\x00", 1<<20)
	entry := appendEntry(nil, &gateway.Access{
		Function: long, Revision: long, Instance: long, Method: long, Host: long, Path: long, Protocol: long, RequestID: long,
		Peer: long, Aborted: long,
	})
	if len(entry) > 6000 {
		t.Errorf("the entry has %d bytes", len(entry))
	}
	if path := entryFields(t, entry)["FNCTL_PATH"]; !strings.HasSuffix(path, "%00…") || len(path) > maxPath+10 {
		t.Errorf("the path has %d bytes and ends in %q", len(path), path[len(path)-10:])
	}
}

func FuzzEntry(f *testing.F) {
	f.Add("GET", "h", "/", "id", "")
	f.Add("A\nB=C", "\x00", "\xff…", "=", "\r\n")
	f.Fuzz(func(t *testing.T, method, host, path, id, aborted string) {
		a := gateway.Access{Method: method, Host: host, Path: path, RequestID: id, Aborted: aborted, Status: 200}
		for name, value := range entryFields(t, appendEntry(nil, &a)) {
			if name != "PRIORITY" && name != "MESSAGE" && name != "SYSLOG_IDENTIFIER" && !strings.HasPrefix(name, "FNCTL_") {
				t.Errorf("there is a field %q", name)
			}
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' && r != '…' }) {
				t.Errorf("%s is %q", name, value)
			}
		}
	})
}

// What is written can be read.
func TestEntryRoundTrip(t *testing.T) {
	a := sampleAccess()
	fields := entryFields(t, appendEntry(nil, &a))
	fields["__REALTIME_TIMESTAMP"] = "1700000000123456"
	data, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var entry Entry
	if err := json.Unmarshal(data, &entry); err != nil {
		t.Fatal(err)
	}
	want := Request{
		Time: journal.Time{Time: time.UnixMicro(a.At.UnixMicro()).UTC()}, Logged: journal.Time{Time: time.UnixMicro(1700000000123456).UTC()}, Function: a.Function, Revision: a.Revision, Instance: a.Instance,
		RequestID: a.RequestID, Method: a.Method, Host: a.Host, Path: a.Path, Protocol: a.Protocol, Peer: a.Peer, Status: a.Status,
		Aborted: a.Aborted, Duration: 1234.6, Queued: 0.3, FirstByte: 200, Cold: 183.2, Received: a.Received, Sent: a.Sent,
		Retries: a.Retries,
	}
	got := Request(entry)
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if ended := got.Ended(); ended.UnixMicro() != a.At.UnixMicro()+1234600 {
		t.Errorf("it ended at %v", ended)
	}
}

func TestRateLimit(t *testing.T) {
	p := rateLimit{interval: time.Millisecond}
	admitted := func(now, allowed time.Duration) (n int) {
		for p.admit(now, allowed) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		now, allowed time.Duration
		want         int
	}{
		{0, 9 * time.Millisecond, 10},                           // a burst
		{0, 12 * time.Millisecond, 3},                           // there is more for some
		{time.Millisecond, 9 * time.Millisecond, 0},             // and the others wait until it is made up for
		{5 * time.Millisecond, 9 * time.Millisecond, 2},         // at the rate
		{time.Hour, 9 * time.Millisecond, 10},                   // no more is saved up than a burst
		{time.Hour - time.Second, 9 * time.Millisecond, 0},      // a clock that goes back
		{time.Hour + time.Second, 999 * time.Millisecond, 1000}, // a second
	} {
		if got := admitted(c.now, c.allowed); got != c.want {
			t.Errorf("at %v with %v: got %d, want %d", c.now, c.allowed, got, c.want)
		}
	}
}

// Under load, those that failed are logged before the others.
func TestLogPrefersFailures(t *testing.T) {
	l := New("nowhere", false)
	for range 2000 {
		l.Record(&gateway.Access{Status: 200})
	}
	usual := len(l.full)
	for range 2000 {
		l.Record(&gateway.Access{Status: 503})
	}
	all := len(l.full)
	// Some more may be let through meanwhile.
	if usual < 200 || usual > 400 || all < usual+90 || all > 600 {
		t.Errorf("logged %d, then %d", usual, all)
	}
	if got := testutil.ToFloat64(l.Dropped); got != float64(4000-all) {
		t.Errorf("counted %v that were left out, want %d", got, 4000-all)
	}
}

// A flood of one function, though it fails, hides no request of another.
func TestLogHasRoomForOthers(t *testing.T) {
	l := New("nowhere", false)
	for range 10_000 {
		l.Record(&gateway.Access{Function: "flood", Status: 503})
	}
	flood := len(l.full)
	const others = 90
	for range others {
		l.Record(&gateway.Access{Function: "other", Status: 200})
	}
	if got := len(l.full) - flood; got != others || flood < 300 {
		t.Errorf("logged %d of the flood, and then %d of %d", flood, got, others)
	}
}

func TestLogFailedOnly(t *testing.T) {
	l := New("nowhere", true)
	for _, a := range []gateway.Access{{Status: 200}, {Status: 404}, {Status: 500}, {Status: 200, Aborted: "client"}} {
		l.Record(&a)
	}
	if len(l.full) != 2 || testutil.ToFloat64(l.Dropped) > 0 {
		t.Errorf("logged %d requests, left out %v; want 2, 0", len(l.full), testutil.ToFloat64(l.Dropped))
	}
}

func TestLogAllocatesNothing(t *testing.T) {
	l, a := New("nowhere", false), sampleAccess()
	l.limit.interval = 0
	turn := func() {
		l.Record(&a)
		l.free <- <-l.full
	}
	for range maxBacklog {
		turn()
	}
	if n := testing.AllocsPerRun(100, turn); n > 0 {
		t.Errorf("%v allocations for a request", n)
	}
}

// journalEnd is a socket that entries are sent to.
type journalEnd struct {
	*net.UnixConn
	path string
}

func newJournalEnd(t testing.TB) journalEnd {
	t.Helper()
	return listenJournal(t, filepath.Join(t.TempDir(), "socket"))
}

func listenJournal(t testing.TB, path string) journalEnd {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return journalEnd{conn, path}
}

// next waits for an entry.
func (j journalEnd) next(t *testing.T) map[string]string {
	t.Helper()
	buffer := make([]byte, 1<<16)
	j.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := j.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return entryFields(t, buffer[:n])
}

// run runs the log until stop is called, which returns when it has ended.
func (l *Log) run(t testing.TB) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- l.During(func() error {
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the error of what ran", err)
		}
	}
}

// Requests that end at once on many connections are logged, and those of the last moment, too.
func TestLogWrites(t *testing.T) {
	end := newJournalEnd(t)
	l := New(end.path, false)
	stop := l.run(t)
	var group sync.WaitGroup
	for client := range 10 {
		group.Go(func() {
			for n := range 10 {
				l.Record(&gateway.Access{RequestID: fmt.Sprint(client, "-", n), Status: 200})
			}
		})
	}
	seen := make(map[string]bool)
	read := func() { seen[end.next(t)["FNCTL_REQUEST_ID"]] = true }
	for range 100 {
		read()
	}
	group.Wait()
	l.Record(&gateway.Access{RequestID: "last", Status: 200})
	stop()
	read()
	if len(seen) != 101 || !seen["last"] || testutil.ToFloat64(l.Dropped) > 0 {
		t.Errorf("%d requests were logged, %v left out", len(seen), testutil.ToFloat64(l.Dropped))
	}
	if len(l.free) != maxBacklog {
		t.Errorf("%d buffers are left, of %d", len(l.free), maxBacklog)
	}
}

// Journald's socket can be made anew.
func TestLogReconnects(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l := New(path, false)
	defer l.run(t)()
	l.Record(&gateway.Access{RequestID: "nobody listens"})
	for deadline := time.Now().Add(10 * time.Second); testutil.ToFloat64(l.Dropped) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not counted that nobody listens")
		}
	}
	for _, id := range []string{"first", "second"} {
		end := listenJournal(t, path)
		l.Record(&gateway.Access{RequestID: id})
		if got := end.next(t)["FNCTL_REQUEST_ID"]; got != id {
			t.Errorf("got %q, want %q", got, id)
		}
		end.Close()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A journald that stands still costs no request time, and no end of the gateway more than a moment.
func TestLogIsNotHeldUp(t *testing.T) {
	t.Parallel()
	end := newJournalEnd(t)
	l := New(end.path, false)
	l.limit.interval = 0
	stop := l.run(t)
	const all = 5000
	began := time.Now()
	for range all {
		l.Record(&gateway.Access{Status: 200})
	}
	if took := time.Since(began); took >= all*writeTimeout { // had each waited for journald
		t.Errorf("%d requests waited for %v", all, took)
	}
	stop()
	if took := time.Since(began); took >= all*writeTimeout {
		t.Errorf("it took %v to end", took)
	}
	// What the socket holds was sent.
	sent := 0
	for ; ; sent++ {
		end.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := end.Read(make([]byte, 1<<16)); err != nil {
			break
		}
	}
	if dropped := int(testutil.ToFloat64(l.Dropped)); sent == 0 || sent+dropped != all {
		t.Errorf("%d were sent and %d counted as left out, of %d", sent, dropped, all)
	}
}

func TestLogMetric(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(New("nowhere", false).Dropped)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func BenchmarkLog(b *testing.B) {
	for _, failedOnly := range []bool{false, true} {
		b.Run(fmt.Sprintf("failed only %v", failedOnly), func(b *testing.B) {
			l, a := New("nowhere", failedOnly), sampleAccess()
			a.Status, a.Aborted, l.limit.interval = 200, "", 0
			b.ReportAllocs()
			for b.Loop() {
				l.Record(&a)
				if !failedOnly {
					l.free <- <-l.full
				}
			}
		})
	}
	b.Run("dropped", func(b *testing.B) {
		l, a := New("nowhere", false), sampleAccess()
		for testutil.ToFloat64(l.Dropped) == 0 {
			l.Record(&a)
		}
		b.ReportAllocs()
		for b.Loop() {
			l.Record(&a)
		}
	})
	b.Run("sent", func(b *testing.B) {
		end := newJournalEnd(b)
		go func() {
			buffer := make([]byte, 1<<16)
			for {
				if _, err := end.Read(buffer); err != nil {
					return
				}
			}
		}()
		socket, a := journal.Socket{Path: end.path}, sampleAccess()
		entry := appendEntry(nil, &a)
		b.ReportAllocs()
		for b.Loop() {
			if err := socket.Send(entry, time.Now().Add(time.Second)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
