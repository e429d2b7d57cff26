package acme

import (
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

func TestBackoff(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		-1: time.Minute, 0: time.Minute, 1: time.Minute, 2: 2 * time.Minute, 5: 16 * time.Minute, 9: 256 * time.Minute, 10: 6 * time.Hour, 1000: 6 * time.Hour, 1 << 40: 6 * time.Hour,
	} {
		for range 100 {
			if got := backoff(failures); got < want || got > want*5/4 {
				t.Fatalf("after %d failures: got %v, want %v and a quarter at most", failures, got, want)
			}
		}
	}
	// Let's Encrypt takes five failures at once, and one more every twelve minutes.
	at, left, last := time.Duration(0), 5.0, time.Duration(0)
	for failures := 1; at < 24*time.Hour; failures++ {
		left = min(left+float64(at-last)/float64(12*time.Minute), 5) - 1
		if left < 0 {
			t.Fatalf("attempt %d, after %v, is one too many", failures, at)
		}
		last = at
		wait := longestWait
		if failures < 10 {
			wait = min(firstWait<<(failures-1), longestWait)
		}
		at += wait
	}
}

func TestBudget(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var b budget
	orders := 0
	for b.next(now).Equal(now) {
		b.take(now)
		orders++
	}
	if orders != maxBudget {
		t.Errorf("got %d orders at once", orders)
	}
	if next := b.next(now); !next.Equal(now.Add(budgetRefill)) {
		t.Errorf("the next is %v later", next.Sub(now))
	}
	later := now.Add(10 * budgetRefill)
	for orders = 0; b.next(later).Equal(later); orders++ {
		b.take(later)
	}
	if orders != 10 {
		t.Errorf("after ten times the refill: got %d", orders)
	}
	if wait := b.next(now).Sub(now); wait > budgetRefill+time.Second { // the clock went back
		t.Errorf("after the clock went back one has to wait for %v", wait)
	}
}

func leafOf(life time.Duration, number int64) *x509.Certificate {
	from := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return &x509.Certificate{NotBefore: from, NotAfter: from.Add(life), SerialNumber: big.NewInt(number)}
}

func TestUsualRenewal(t *testing.T) {
	const day = 24 * time.Hour
	for life, want := range map[time.Duration]time.Duration{90 * day: 60 * day, 45 * day: 30 * day, 6 * day: 3 * day, 2 * time.Hour: time.Hour} {
		seen := map[time.Time]bool{}
		for number := range int64(256) {
			leaf := leafOf(life, number<<8|number)
			at := usualRenewal(leaf)
			if after := at.Sub(leaf.NotBefore); after > want || after < want-life/20 {
				t.Errorf("%v: renewed after %v, want %v or a twentieth of its life earlier", life, after, want)
			}
			seen[at] = true
		}
		if len(seen) != 256 {
			t.Errorf("%v: got %d different times", life, len(seen))
		}
	}
}

func TestRenewalTold(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	w := window{Start: now.Add(time.Hour), End: now.Add(2 * time.Hour)}
	r := renewal{Serial: "1"}.told(w, now)
	if r.At.Before(w.Start) || r.At.After(w.End) || !r.Check.Equal(now.Add(renewalCheck)) || r.Serial != "1" {
		t.Errorf("got %+v", r)
	}
	if again := r.told(w, now.Add(time.Minute)); !again.At.Equal(r.At) {
		t.Error("the same window gave another time")
	}
	past := window{Start: now.Add(-2 * time.Second), End: now.Add(-time.Second), RetryAfter: time.Second}
	if r = r.told(past, now); r.At.After(now) || !r.Check.Equal(now.Add(firstCheck)) {
		t.Errorf("a window that is over: got %+v", r)
	}
	w.RetryAfter = 300 * time.Hour
	if r = r.told(w, now); !r.Check.Equal(now.Add(lastCheck)) {
		t.Errorf("the check is %v later", r.Check.Sub(now))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for field, want := range map[string]time.Duration{
		"": 0, "60": time.Minute, "-1": 0, "99999999": longestLimit, "99999999999999999999": 0, "x": 0,
		"Tue, 01 Jan 2030 00:05:00 GMT": 5 * time.Minute, "Mon, 31 Dec 2029 00:05:00 GMT": 0, "Tue, 01 Jan 2040 00:05:00 GMT": longestLimit,
	} {
		if got := retryAfter(field, now); got != want {
			t.Errorf("%q: got %v, want %v", field, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		response  *http.Response
		err       error
		authority bool
		limited   time.Duration // -1: not at all
	}{
		"network":     {err: io.ErrUnexpectedEOF, authority: true, limited: -1},
		"refused":     {response: &http.Response{StatusCode: 403, Header: http.Header{"Retry-After": {"5"}}}, limited: -1},
		"limited":     {response: &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"60"}}}, limited: time.Minute},
		"unavailable": {response: &http.Response{StatusCode: 503, Header: http.Header{}}, limited: 0},
		"fine":        {response: &http.Response{StatusCode: 200, Header: http.Header{}}, limited: -1},
	} {
		w := &witness{}
		w.note(test.response, test.err)
		got := w.judge(failed)
		var limited limitedError
		if errors.Is(got, ErrAuthority) != test.authority || errors.As(got, &limited) != (test.limited >= 0) || limited.retryAfter != max(test.limited, 0) || !errors.Is(got, failed) {
			t.Errorf("%s: got %#v", name, got)
		}
	}
}

// A state that is damaged is lost, and one that a later version wrote is refused.
func TestReadState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	log := slog.New(slog.DiscardHandler)
	read := func() (*state, error) { return readState(file, log) }
	s, err := read()
	if err != nil || s.Hosts == nil {
		t.Fatalf("got %+v, %v", s, err)
	}
	s.Hosts["nas"] = &saved{Failures: 3}
	if err := s.write(file); err != nil {
		t.Fatal(err)
	}
	if s, err = read(); err != nil || s.Hosts["nas"].Failures != 3 {
		t.Errorf("got %+v, %v", s, err)
	}
	for text, newer := range map[string]bool{`{"format": 2, "hosts": []}`: true, `{"format": 1, "hosts": []}`: false, "": false, `{"hosts": {"a": null}, "authorities": {"b": null}}`: false} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := read()
		if errors.Is(err, platform.ErrNewer) != newer || !newer && (err != nil || len(s.Hosts) != 0 || len(s.Authorities) != 0) {
			t.Errorf("%s: got %+v, %v", text, s, err)
		}
	}
}
