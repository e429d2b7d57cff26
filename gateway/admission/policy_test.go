package admission_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/fnctl/fnctl/gateway/admission"
	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
)

var (
	start = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	home  = netip.MustParseAddr("192.0.2.7")
)

// rules reads the keys of a jcloud.yml.
func rules(t testing.TB, text string) platform.Admission {
	t.Helper()
	config, err := platform.ParseConfig("jcloud.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config.Admission
}

// someUsers are alice, whose password is secret, and bob, whose password is hidden.
func someUsers(t testing.TB) auth.Users {
	t.Helper()
	users := auth.Users{}
	for name, password := range map[string]string{"alice": "secret", "bob": "hidden"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users[name] = string(hash)
	}
	return users
}

// policy is that of some rules, with alice, bob, and a token whose text it returns.
func policy(t testing.TB, text string) (*admission.Policy, string) {
	t.Helper()
	p := admission.NewGuard().Policy("ping", rules(t, text), someUsers(t), nil)
	secret, token, err := auth.NewToken("ci", start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetTokens([]auth.Token{token}); err != nil {
		t.Fatal(err)
	}
	return p, secret
}

func basic(user, password string) string {
	return "authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// ask makes a request of a path and fields; the path may have the method before it.
func ask(path string, fields ...string) *admission.Request {
	r := &admission.Request{Method: http.MethodGet, Path: path, Addr: home, Plain: true, Context: context.Background}
	if method, rest, has := strings.Cut(path, " "); has {
		r.Method, r.Path = method, rest
	}
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Fields = append(r.Fields, wire.Field{Name: []byte(name), Value: []byte(value)})
	}
	return r
}

func from(addr string, r *admission.Request) *admission.Request {
	r.Addr = netip.Addr{}
	if addr != "" {
		r.Addr = netip.MustParseAddr(addr)
	}
	return r
}

// status is that of the denial, 200 without one.
func status(d *admission.Denial) int {
	if d == nil {
		return http.StatusOK
	}
	return d.Status
}

// values are those of a field, joined.
func values(fields []wire.Field, name string) string {
	var all []string
	for _, f := range fields {
		if f.Is(name) {
			all = append(all, string(f.Value))
		}
	}
	return strings.Join(all, ", ")
}

func TestAuth(t *testing.T) {
	p, token := policy(t, "auth: {basic: {users: u}, token: true, open: [/healthz, /hooks/*]}")
	other, _, _ := auth.NewToken("other", start, time.Time{})
	for _, c := range []struct {
		what string
		r    *admission.Request
		want int
		user string
	}{
		{"nothing", ask("/"), 401, ""},
		{"a user", ask("/", basic("alice", "secret")), 200, "alice"},
		{"the same again", ask("/", basic("alice", "secret")), 200, "alice"},
		{"another case of the scheme", ask("/", strings.Replace(basic("alice", "secret"), "Basic", "bASIC", 1)), 200, "alice"},
		{"a token", ask("/", bearer(token)), 200, "ci"},
		{"another token", from("192.0.2.8", ask("/", bearer(other))), 401, ""},
		{"a token that was cut", from("192.0.2.8", ask("/", bearer(token[:len(token)-1]))), 401, ""},
		{"a token that is longer", from("192.0.2.8", ask("/", bearer(token+"x"))), 401, ""},
		{"a token as a password", from("192.0.2.9", ask("/", basic("ci", token))), 401, ""},
		{"another password", from("192.0.2.9", ask("/", basic("alice", "hidden"))), 401, ""},
		{"a user in another case", from("192.0.2.9", ask("/", basic("Alice", "secret"))), 401, ""},
		{"a hash", from("192.0.2.10", ask("/", basic("alice", someUsers(t)["alice"]))), 401, ""},
		{"nobody", from("192.0.2.10", ask("/", basic("mallory", "secret"))), 401, ""},
		{"no password", from("192.0.2.10", ask("/", basic("alice", ""))), 401, ""},
		{"no user", ask("/", basic("", "secret")), 401, ""},
		{"no colon", ask("/", "Authorization: Basic YWxpY2U="), 401, ""},
		{"no base64", ask("/", "Authorization: Basic !"), 401, ""},
		{"a NUL", ask("/", basic("alice", "secret\x00secret")), 401, ""},
		{"two fields", ask("/", bearer(token), bearer(token)), 401, ""},
		{"two of which one is wrong", ask("/", bearer("x"), bearer(token)), 401, ""},
		{"an empty one before", ask("/", "Authorization: ", bearer(token)), 401, ""},
		{"another scheme", ask("/", "Authorization: Digest username=alice"), 401, ""},
		{"a token of its own scheme", ask("/", "Authorization: "+token), 401, ""},
		{"a field that is none", ask("/", "X-Authorization: Bearer "+token, "Authorization_: Bearer "+token, "Proxy-Authorization: Bearer "+token), 401, ""},
		{"open", ask("/healthz"), 200, ""},
		{"open below", ask("POST /hooks/github"), 200, ""},
		{"not below", ask("/hooks"), 401, ""},
		{"nothing below", ask("/hooks/"), 401, ""},
		{"another that begins so", ask("/healthzz"), 401, ""},
		{"a preflight", ask("OPTIONS /", "Origin: https://a.example", "Access-Control-Request-Method: PUT"), 200, ""},
		{"OPTIONS of its own", ask("OPTIONS /"), 401, ""},
		{"OPTIONS that stands for something else", ask("OPTIONS /", "Origin: https://a.example", "Access-Control-Request-Method: PUT", "X-HTTP-Method-Override: PUT"), 401, ""},
		{"a preflight with content", content(ask("OPTIONS /", "Origin: https://a.example", "Access-Control-Request-Method: PUT")), 401, ""},
		{"GET as a preflight", ask("/", "Origin: https://a.example", "Access-Control-Request-Method: PUT"), 401, ""},
	} {
		e, d := p.Decide(c.r, start)
		if status(d) != c.want || d == nil && e.User != c.user {
			t.Errorf("%s: got %+v for %q, want %d for %q", c.what, d, e.User, c.want, c.user)
		}
		if want := `Basic realm="ping", charset="UTF-8", Bearer realm="ping"`; d != nil && values(d.Fields, "www-authenticate") != want {
			t.Errorf("%s: is asked for %q", c.what, values(d.Fields, "www-authenticate"))
		}
	}
}

func content(r *admission.Request) *admission.Request {
	r.Plain = false
	return r
}

// Whatever the app, or what stands before it, makes of a path, one is open only if there is no other way to read it.
func TestOpenPathsAreSimple(t *testing.T) {
	p, _ := policy(t, "auth: {token: true, open: [/, /hooks/*, /a.b/c]}")
	for path, want := range map[string]int{
		"/": 200, "/hooks/x": 200, "/hooks/x/y.z": 200, "/hooks/x/": 200, "/a.b/c": 200, "/hooks/a+b@c,d=e": 200, "/hooks/...": 200,
		"/hooks/../admin": 401, "/hooks/./x": 401, "/hooks/..": 401, "/hooks/.": 401, "/hooks//x": 401, "//hooks/x": 401, "/hooks/x//": 401,
		"/hooks/%2e%2e/admin": 401, "/hooks/..%2fadmin": 401, "/hooks%2f..%2fadmin": 401, "/hooks/%61": 401, "/hooks/%": 401, "/hooks/a%00": 401,
		"/hooks/..;/admin": 401, "/hooks/x;y": 401, `/hooks/..\admin`: 401, `/hooks\x`: 401, "/HOOKS/x": 401, "/hooks/\xc0\xae": 401, "/hooks/ä": 401,
		"/hooks/x#": 401, "/hooks/x y": 401, "/hooks/x\t": 401, "*": 401, "": 401, "hooks/x": 401, "/./": 401, "/a.b/c/": 401, "/a.b/c.": 401,
		"http://ping/hooks/x": 401,
	} {
		if _, d := p.Decide(ask("GET "+path), start); status(d) != want {
			t.Errorf("%q: got %d, want %d", path, status(d), want)
		}
	}
}

func TestCredentialsAreNotTheApps(t *testing.T) {
	p, token := policy(t, "auth: {basic: {users: u}, token: true, open: [/healthz]}")
	for _, c := range []struct {
		r    *admission.Request
		want bool
	}{
		{ask("/", basic("alice", "secret")), true},
		{ask("/", bearer(token)), true},
		{ask("/healthz", basic("alice", "secret")), true},
		{ask("/healthz", bearer(token)), true},
		{ask("/healthz", bearer("of-another-service")), false},
		{ask("/healthz", "Authorization: HMAC x"), false},
	} {
		if e, d := p.Decide(c.r, start); d != nil || e.Strips([]byte("AuThorization")) != c.want || e.Strips([]byte("cookie")) {
			t.Errorf("%q: %v, stripped: %v", c.r.Fields, d, e.Strips([]byte("authorization")))
		}
	}
}

func TestTokensChange(t *testing.T) {
	p, token := policy(t, "auth: {token: true}")
	at := func(now time.Time) int { _, d := p.Decide(ask("/", bearer(token)), now); return status(d) }
	if got := at(start.Add(time.Hour - 1)); got != 200 {
		t.Errorf("before it expires: %d", got)
	}
	if got := at(start.Add(time.Hour)); got != 401 {
		t.Errorf("once it has expired: %d", got)
	}
	p.CloseTokens()
	_, d := p.Decide(ask("/", bearer(token)), start)
	if status(d) != 503 || d.Reason != admission.ReasonClosed {
		t.Errorf("of a file that cannot be read: %+v", d)
	}
	if err := p.SetTokens(nil); err != nil || at(start) != 401 {
		t.Errorf("revoked: %v", err)
	}
	if err := p.SetTokens([]auth.Token{{Label: "x", Hash: "abc"}}); err == nil || at(start) != 503 {
		t.Errorf("damaged: %v", err)
	}
}

func TestUsersThatCannotBeRead(t *testing.T) {
	p := admission.NewGuard().Policy("ping", rules(t, "auth: {basic: {users: u}, open: [/healthz]}"), nil, nil)
	if _, d := p.Decide(ask("/", basic("alice", "secret")), start); status(d) != 503 {
		t.Errorf("got %+v", d)
	}
	if _, d := p.Decide(ask("/healthz"), start); d != nil {
		t.Errorf("what is open: %+v", d)
	}
}

func TestNetworks(t *testing.T) {
	p, token := policy(t, "allow: [192.0.2.0/24, '2001:db8::/32']\ndeny: [192.0.2.66, '2001:db8:bad::/48']\nauth: {token: true, open: [/healthz]}")
	for addr, want := range map[string]int{
		"192.0.2.7": 200, "192.0.2.66": 403, "192.0.3.1": 403, "2001:db8::1": 200, "2001:db8:bad::1": 403, "::1": 403, "127.0.0.1": 403, "": 403,
	} {
		for _, r := range []*admission.Request{ask("/", bearer(token)), ask("/healthz")} {
			if _, d := p.Decide(from(addr, r), start); status(d) != want {
				t.Errorf("%s: got %+v, want %d", addr, d, want)
			}
		}
	}
	p, _ = policy(t, "deny: [192.0.2.66]")
	for addr, want := range map[string]int{"192.0.2.7": 200, "192.0.2.66": 403, "": 403} {
		if _, d := p.Decide(from(addr, ask("/")), start); status(d) != want {
			t.Errorf("%s: got %+v, want %d", addr, d, want)
		}
	}
}

func TestGuessing(t *testing.T) {
	p, token := policy(t, "auth: {basic: {users: u}, token: true}")
	now := start
	guess := func(addr, field string) (int, string) {
		_, d := p.Decide(from(addr, ask("/", field)), now)
		if d == nil {
			return 200, ""
		}
		return d.Status, values(d.Fields, "retry-after")
	}
	if got, _ := guess("2001:db8::9", basic("bob", "hidden")); got != 200 {
		t.Fatalf("before: %d", got)
	}
	now = time.Now() // what is wrong counts from then on
	for i := range 6 {
		if got, _ := guess("2001:db8::1", basic("alice", string(rune('a'+i)))); got != 401 {
			t.Fatalf("guess %d: %d", i, got)
		}
	}
	now = time.Now()
	if got, after := guess("2001:db8::2", basic("alice", "secret")); got != 429 || after != "1" {
		t.Errorf("another address of the network: %d, %s", got, after)
	}
	if got, _ := guess("2001:db8::9", basic("bob", "hidden")); got != 429 {
		t.Errorf("a password that was right before, which would tell it from others: %d", got)
	}
	if got, _ := guess("2001:db8:0:1::1", basic("alice", "secret")); got != 200 {
		t.Errorf("another network: %d", got)
	}
	if got, _ := guess("2001:db8::1", bearer(token)); got != 200 {
		t.Errorf("a token: %d", got)
	}
	now = now.Add(2 * time.Second)
	if got, _ := guess("2001:db8::1", basic("alice", "secret")); got != 200 {
		t.Errorf("later: %d", got)
	}
	for i := range 6 {
		if got, _ := guess("192.0.2.99", bearer("fnctl_"+string(rune('a'+i)))); got != 401 {
			t.Fatalf("token %d: %d", i, got)
		}
	}
	if got, _ := guess("192.0.2.99", bearer("fnctl_x")); got != 429 {
		t.Errorf("one token more: %d", got)
	}
}

// What is kept of an earlier policy is what has not changed.
func TestPolicyIsReplaced(t *testing.T) {
	guard, text := admission.NewGuard(), "auth: {token: true, basic: {users: u}}\nrate_limit: {requests: 1, per: 1h}"
	before := guard.Policy("ping", rules(t, text), someUsers(t), nil)
	secret, token, _ := auth.NewToken("ci", start, time.Time{})
	if err := before.SetTokens([]auth.Token{token}); err != nil {
		t.Fatal(err)
	}
	if _, d := before.Decide(ask("/", bearer(secret)), start); d != nil {
		t.Fatal(d)
	}
	after := guard.Policy("ping", rules(t, text+"\ndeny: [10.0.0.0/8]"), someUsers(t), before)
	if _, d := after.Decide(ask("/", bearer(secret)), start); status(d) != 429 {
		t.Errorf("the rate begins again: %+v", d)
	}
	other := guard.Policy("ping", rules(t, strings.Replace(text, "requests: 1", "requests: 2", 1)), auth.Users{"carol": someUsers(t)["bob"]}, before)
	if _, d := other.Decide(ask("/", basic("alice", "secret")), start); status(d) != 401 {
		t.Errorf("a user that is no more: %+v", d)
	}
	if e, d := other.Decide(ask("/", basic("carol", "hidden")), start); d != nil || e.User != "carol" {
		t.Errorf("a new one: %+v", d)
	}
}
