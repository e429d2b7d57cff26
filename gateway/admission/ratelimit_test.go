package admission_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway/admission"
)

func TestRateLimit(t *testing.T) {
	p, _ := policy(t, "rate_limit: {requests: 60, per: 1m, burst: 3}")
	now := start
	send := func(addr string) (int, string, string) {
		e, d := p.Decide(from(addr, ask("/")), now)
		fields := e.AppendFields(nil, nil)
		if d != nil {
			fields = append(fields, d.Fields...)
		}
		if got := values(fields, "ratelimit-policy"); got != `"default";q=60;w=60` {
			t.Fatalf("policy %s", got)
		}
		return status(d), values(fields, "ratelimit"), values(fields, "retry-after")
	}
	for i, want := range []string{`"default";r=2;t=1`, `"default";r=1;t=2`, `"default";r=0;t=3`} {
		if code, state, _ := send("2001:db8::1"); code != 200 || state != want {
			t.Errorf("request %d: %d, %s, want %s", i, code, state, want)
		}
	}
	if code, state, after := send("2001:db8::2"); code != 429 || state != `"default";r=0;t=1` || after != "1" {
		t.Errorf("one more: %d, %s, %s", code, state, after)
	}
	if code, _, _ := send("2001:db8:0:1::1"); code != 200 {
		t.Errorf("another network: %d", code)
	}
	now = now.Add(time.Second)
	if code, _, _ := send("2001:db8::1"); code != 200 {
		t.Errorf("a second later: %d", code)
	}
	if code, _, _ := send("2001:db8::1"); code != 429 {
		t.Errorf("and one more: %d", code)
	}
	now = now.Add(-time.Hour) // the clock is set back
	send("2001:db8::1")
	now = now.Add(4 * time.Second)
	if code, _, _ := send("2001:db8::1"); code != 200 {
		t.Errorf("after the clock was set back: %d", code)
	}
	now = start.Add(time.Hour)
	for range 3 {
		if code, _, _ := send("2001:db8::1"); code != 200 {
			t.Errorf("an hour later: %d", code)
		}
	}
}

func TestRateLimitBy(t *testing.T) {
	p, token := policy(t, "auth: {token: true, basic: {users: u}, open: [/open]}\nrate_limit: {requests: 1, per: 1h, by: token}")
	for i, c := range []struct {
		addr, path, field string
		want              int
	}{
		{"192.0.2.1", "/", bearer(token), 200}, {"192.0.2.2", "/", bearer(token), 429}, {"192.0.2.2", "/", basic("alice", "secret"), 200},
		{"192.0.2.3", "/", basic("alice", "secret"), 429}, {"192.0.2.3", "/open", "X: y", 200}, {"192.0.2.3", "/open", "X: y", 429},
		{"192.0.2.4", "/", "X: y", 401},
	} {
		if _, d := p.Decide(from(c.addr, ask(c.path, c.field)), start); status(d) != c.want {
			t.Errorf("by token, %d: got %+v, want %d", i, d, c.want)
		}
	}
	p, _ = policy(t, "rate_limit: {requests: 1, per: 1h, by: header:X-Api-Key}")
	for i, c := range []struct {
		addr, field string
		want        int
	}{
		{"192.0.2.1", "x-api-key: a", 200}, {"192.0.2.2", "X-API-KEY: a", 429}, {"192.0.2.1", "x-api-key: b", 200},
		{"192.0.2.1", "X: y", 200}, {"192.0.2.1", "x-api-key: ", 429},
	} {
		if _, d := p.Decide(from(c.addr, ask("/", c.field)), start); status(d) != c.want {
			t.Errorf("by header, %d: got %+v, want %d", i, d, c.want)
		}
	}
}

// However many senders there are, the table is bounded, and who sends most stays in it.
func TestRateLimitOfMany(t *testing.T) {
	p, _ := policy(t, "rate_limit: {requests: 10, per: 1h}")
	flood := func(from, to uint32) {
		for i := from; i < to; i++ {
			var addr [4]byte
			binary.BigEndian.PutUint32(addr[:], i)
			r := ask("/")
			r.Addr = netip.AddrFrom4(addr)
			p.Decide(r, start)
		}
	}
	for range 10 {
		if _, d := p.Decide(from("192.0.2.1", ask("/")), start); d != nil {
			t.Fatal(d)
		}
	}
	flood(0, 200_000)
	if n := len(p.Rates(start)); n > 1<<16 {
		t.Errorf("%d senders are remembered", n)
	}
	if _, d := p.Decide(from("192.0.2.1", ask("/")), start); status(d) != 429 {
		t.Errorf("who has sent most was forgotten: %+v", d)
	}
	for i := range uint32(50_000) { // what is over makes room
		var addr [4]byte
		binary.BigEndian.PutUint32(addr[:], 1<<24+i)
		r := ask("/")
		r.Addr = netip.AddrFrom4(addr)
		p.Decide(r, start.Add(2*time.Hour))
	}
	if n := len(p.Rates(start)); n > 1<<16 {
		t.Errorf("%d senders are remembered later", n)
	}
}

func TestRatesAreHandedOver(t *testing.T) {
	const text = "rate_limit: {requests: 2, per: 1h}"
	before, _ := policy(t, text)
	after, _ := policy(t, text)
	for range 2 {
		before.Decide(ask("/"), start)
	}
	after.AdoptRates(before.Rates(start))
	if _, d := after.Decide(ask("/"), start); status(d) != 429 {
		t.Errorf("the gateway that follows: %+v", d)
	}
	if n := len(before.Rates(start.Add(3 * time.Hour))); n != 0 {
		t.Errorf("%d that are over are handed over", n)
	}
	none, _ := policy(t, "deny: [10.0.0.0/8]")
	none.AdoptRates(map[admission.Sender]int64{{1}: 1})
	if none.Rates(start) != nil {
		t.Error("without a limit there are rates")
	}
}
