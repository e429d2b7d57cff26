package gateway

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
)

// targetOf has revisions with these percents.
func targetOf(percents ...int) *target {
	t := &target{function: &function{name: "ping"}, route: platform.Route{Function: "ping"}}
	for i, percent := range percents {
		id := platform.RevisionID{Function: "ping", Number: i + 1}
		t.shares = append(t.shares, share{pool: &pool{roster: roster{revision: id}}, percent: percent})
		t.route.Traffic = append(t.route.Traffic, platform.TrafficShare{Revision: id, Percent: percent})
	}
	return t
}

func exchangeWith(fields ...string) *exchange {
	x := &exchange{request: request{req: &wire.Request{}}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		x.req.Fields = append(x.req.Fields, wire.Field{Name: []byte(name), Value: []byte(value)})
	}
	return x
}

// chiSquare is how far counts are from what the percents say.
func chiSquare(counts []int, percents []int, n int) (sum float64) {
	for i, percent := range percents {
		expected := float64(n) * float64(percent) / 100
		sum += math.Pow(float64(counts[i])-expected, 2) / expected
	}
	return sum
}

// A split is exact within statistics: above 25 the statistic with three degrees of freedom is by chance once in 65,000 runs.
// That of values is the same in every run.
func TestSplitIsExact(t *testing.T) {
	percents, n := []int{1, 9, 30, 60}, 100_000
	for name, request := range map[string]func(int) *exchange{
		"at random":        func(int) *exchange { return exchangeWith() },
		"by numbers":       func(i int) *exchange { return exchangeWith(fmt.Sprintf("X-User: %d", i)) },
		"by similar names": func(i int) *exchange { return exchangeWith(fmt.Sprintf("X-User: user-%08d@example.com", i)) },
	} {
		target := targetOf(percents...)
		target.sticky = &platform.Sticky{Header: "X-User"}
		counts := make([]int, len(percents))
		for i := range n {
			counts[target.pick(request(i)).pool.revision.Number-1]++
		}
		if off := chiSquare(counts, percents, n); off > 25 {
			t.Errorf("%s: got %v of %d, chi-square %.1f", name, counts, n, off)
		}
	}
}

// When the newer of two revisions gets more, all values that it had stay with it.
func TestStickyMovesNoMoreThanItMust(t *testing.T) {
	sticky := &platform.Sticky{Header: "X-User"}
	for i := range 1000 {
		x, last := exchangeWith(fmt.Sprintf("X-User: %d", i)), 1
		for percent := 0; percent <= 100; percent++ {
			target := targetOf(100-percent, percent)
			target.sticky = sticky
			now := target.pick(x).pool.revision.Number
			if now < last {
				t.Fatalf("%d goes back to the old revision at %d percent", i, percent)
			}
			last = now
		}
	}
}

// These are for all times: another version of the gateway, or the next on a handover, must not move anybody.
func TestPercentile(t *testing.T) {
	for value, want := range map[string]int{"": 93, "a": 82, "user-1": 63, "user-2": 45, "4f2d": 12} {
		if got := percentile([]byte(value)); got != want {
			t.Errorf("%q: got %d, want %d", value, got, want)
		}
	}
}

func TestStickyValue(t *testing.T) {
	header, cookie := &platform.Sticky{Header: "X-User"}, &platform.Sticky{Cookie: "session"}
	for _, test := range []struct {
		sticky *platform.Sticky
		fields []string
		want   string
	}{
		{header, []string{"x-user: a"}, "a"},
		{header, []string{"X-Users: a"}, ""},
		{header, []string{"X-User: a", "X-User: b"}, "a"},
		{header, nil, ""},
		{cookie, []string{"Cookie: session=a"}, "a"},
		{cookie, []string{"cookie: x=y; session=a; z=session=b"}, "a"},
		{cookie, []string{"Cookie: x=y", "Cookie: session=a"}, "a"}, // as HTTP/2 splits it
		{cookie, []string{"Cookie: session=a=b"}, "a=b"},
		{cookie, []string{"Cookie: session=; session=a"}, ""},
		{cookie, []string{"Cookie: Session=a"}, ""},
		{cookie, []string{"Cookie: mysession=a;session"}, ""},
		{cookie, []string{"X-Cookie: session=a"}, ""},
	} {
		if got := stickyValue(test.sticky, exchangeWith(test.fields...).req.Fields); string(got) != test.want {
			t.Errorf("%v: got %q, want %q", test.fields, got, test.want)
		}
	}
}

// Whatever clients send, what is found is the value of a cookie.
func FuzzCookieValue(f *testing.F) {
	for _, seed := range []string{"session=a", "x=y; session=a", "session", "session=", ";;;=;session=a;", " session = a", "session=\"a\"", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookies string) {
		got := string(cookieValue([]byte(cookies), "session"))
		if strings.Contains(got, ";") || got != "" && !strings.Contains(cookies, "session="+got) {
			t.Errorf("%q: got %q", cookies, got)
		}
		// Among others, before and after, it is found as alone.
		if among := string(cookieValue([]byte("a=b; "+cookies+"; c=d"), "session")); among != strings.TrimRight(got, " \t\r\n\v\f\u0085\u00a0") && among != got {
			t.Errorf("%q: got %q, among others %q", cookies, got, among)
		}
	})
}

// The gateway gives its cookie to clients that have none, and only where it matters.
func TestClientCookie(t *testing.T) {
	split := targetOf(50, 50)
	split.sticky = &platform.Sticky{Cookie: platform.ClientCookie}
	for range 100 {
		x := exchangeWith()
		first := split.pick(x).pool.revision
		pair, attributes, _ := strings.Cut(x.cookie, ";")
		if !strings.HasPrefix(pair, "fnctl-client=") || attributes != " Path=/; HttpOnly; SameSite=Lax" {
			t.Fatalf("got %q", x.cookie)
		}
		again := exchangeWith("Cookie: a=b; " + pair)
		if got := split.pick(again).pool.revision; got != first || again.cookie != "" {
			t.Fatalf("%s: got %v after %v, and %q", pair, got, first, again.cookie)
		}
	}
	whole := targetOf(100)
	whole.sticky = split.sticky
	app := targetOf(50, 50)
	app.sticky = &platform.Sticky{Cookie: "session"}
	for _, target := range []*target{whole, app} {
		if x := exchangeWith(); target.pick(x).pool == nil || x.cookie != "" {
			t.Errorf("got %q", x.cookie)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	random, sticky, x := targetOf(90, 10), targetOf(90, 10), exchangeWith("Cookie: a=b; session=c")
	sticky.sticky = &platform.Sticky{Cookie: "session"}
	if n := testing.AllocsPerRun(100, func() { random.pick(x); sticky.pick(x) }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}
