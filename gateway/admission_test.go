package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
)

// guarded is a world with a function whose jcloud.yml says who may come in: alice with the password secret, and whoever has the token.
type guarded struct {
	*world
	token string
	calls atomic.Int64
	seen  atomic.Pointer[http.Request]
	app   *armed
}

func newGuarded(t *testing.T, text string, adjust ...func(*gateway.Config)) *guarded {
	t.Helper()
	g := &guarded{world: newWorld(t, adjust...)}
	g.admit(text)
	g.app = g.arm(ping, 1)
	g.eventually("the route is taken", func() bool { return g.has(platform.MetricInFlight, "revision="+ping.String()) })
	return g
}

// admit writes the rules of a jcloud.yml to the function's route, and the users and tokens that it may name.
func (g *guarded) admit(text string, adjust ...func(*platform.Route)) {
	g.t.Helper()
	config, err := platform.ParseConfig("jcloud.yml", []byte(text))
	if err != nil {
		g.t.Fatal(err)
	}
	mkdir(g.t, g.paths.Revision(ping))
	hash, _ := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err := os.WriteFile(g.paths.Users(ping), []byte("alice:"+string(hash)+"\n"), 0o640); err != nil {
		g.t.Fatal(err)
	}
	if g.token == "" {
		var token auth.Token
		g.token, token, _ = auth.NewToken("ci", time.Now(), time.Time{})
		if err := auth.WriteTokens(g.paths, "ping", []auth.Token{token}); err != nil {
			g.t.Fatal(err)
		}
	}
	route := platform.RouteTo(platform.Revision{ID: ping, Config: config})
	route.Tags = map[string]platform.RevisionID{"canary": ping}
	for _, f := range adjust {
		f(&route)
	}
	g.put(route)
}

// serve runs an app that keeps what it was asked last.
func (g *guarded) serve() {
	g.app.serve(g.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.calls.Add(1)
		g.seen.Store(r)
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/ws" {
			if c, err := websocket.Accept(w, r, nil); err == nil {
				c.Close(websocket.StatusNormalClosure, "")
			}
			return
		}
		fmt.Fprint(w, "in")
	}))
}

// send sends the lines of a head, and returns the answer.
func (g *guarded) send(lines ...string) *http.Response {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(requestTimeout))
	io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n")
	method, _, _ := strings.Cut(lines[0], " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		g.t.Fatalf("%q: %v", lines, err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res
}

// Who is turned away wakes nothing, and is no request of the function.
func TestDeniedRequestsWakeNothing(t *testing.T) {
	log := &requestLog{}
	g := newGuarded(t, "auth: {token: true}", func(c *gateway.Config) { c.AccessLog = log })
	for range 3 {
		got := g.get("ping", "/")
		if got.status != http.StatusUnauthorized || got.body != "credentials are needed\n" || got.header.Get("Www-Authenticate") != `Bearer realm="ping"` {
			t.Fatalf("got %+v", got)
		}
	}
	req := g.request(http.MethodPost, "ping", "/", strings.Repeat("x", 1000))
	if got := send(g.client, req); got.status != http.StatusUnauthorized {
		t.Errorf("with content: %+v", got)
	}
	if n := g.metric(gateway.MetricDenied, "function=ping", "reason=auth"); n != 4 {
		t.Errorf("%v are counted as denied", n)
	}
	if n := g.metric(gateway.MetricRequests) + g.metric(platform.MetricInFlightSeconds) + g.metric(gateway.MetricServingSeconds) + g.metric(gateway.MetricUnrouted); n != 0 {
		t.Errorf("they are counted as load: %v", n)
	}
	g.app.Listener.(*net.UnixListener).SetDeadline(time.Now().Add(20 * time.Millisecond))
	if c, err := g.app.Accept(); err == nil {
		c.Close()
		t.Error("the instance was woken")
	}
	g.eventually("they are logged", func() bool {
		all := log.all()
		return len(all) == 4 && all[0].Function == "ping" && all[0].Revision == "" && all[0].Status == http.StatusUnauthorized
	})
}

// No way to the function leads past its rules.
func TestNoWayAround(t *testing.T) {
	g := newGuarded(t, "auth: {basic: {users: u}, token: true, open: [/open, /hooks/*]}\nhosts: [shop.example, '*.wild.example', example.org/shop]\nstrip_prefix: true")
	g.serve()
	ways := [][]string{
		{"GET / HTTP/1.1", "Host: ping.localhost"},
		{"GET / HTTP/1.0", "Host: ping.localhost"},
		{"GET / HTTP/1.1", "Host: PING.localhost.:80"},
		{"GET / HTTP/1.1", "Host: shop.example"},
		{"GET / HTTP/1.1", "Host: a.wild.example"},
		{"GET / HTTP/1.1", "Host: canary.ping.localhost"},
		{"GET / HTTP/1.1", "Host: 00001.ping.localhost"},
		{"GET /shop/x HTTP/1.1", "Host: example.org"},
		{"GET /shop HTTP/1.1", "Host: example.org"},
		{"GET http://ping.localhost/ HTTP/1.1", "Host: other.localhost"},
		{"GET http://ping.localhost/open/../x HTTP/1.1", "Host: ping.localhost"},
		{"OPTIONS / HTTP/1.1", "Host: ping.localhost"},
		{"POST / HTTP/1.1", "Host: ping.localhost", "Content-Length: 0"},
		{"GET / HTTP/1.1", "Host: ping.localhost", "X-Forwarded-User: alice", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1"},
		{"GET / HTTP/1.1", "Host: ping.localhost", "X-Original-URL: /open", "X-Rewrite-URL: /open", "X-Forwarded-Prefix: /open", "X-Forwarded-Host: a"},
		{"GET /hooks/..%2fx HTTP/1.1", "Host: ping.localhost"},
		{"GET /hooks%2f HTTP/1.1", "Host: ping.localhost"},
		{"GET /hooks/%2e%2e/x HTTP/1.1", "Host: ping.localhost"},
		{"GET //hooks/x HTTP/1.1", "Host: ping.localhost"},
		{"GET /open;x HTTP/1.1", "Host: ping.localhost"},
		{"GET /?/hooks/x HTTP/1.1", "Host: ping.localhost"},
		{"GET /x?a=/../hooks/x HTTP/1.1", "Host: ping.localhost"},
		{"GET /shop/open HTTP/1.1", "Host: shop.example"}, // the app sees /shop/open
		{"GET /shop/shop/open HTTP/1.1", "Host: example.org"},
	}
	tricks := [][]string{
		{"HEAD / HTTP/1.1", "Host: ping.localhost"},
		{"OPTIONS * HTTP/1.1", "Host: ping.localhost"},
		{"GET / HTTP/1.1", "Host: ping.localhost", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"},
		{"GET / HTTP/1.1", "Host: ping.localhost", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: "},
		{"OPTIONS / HTTP/1.1", "Host: ping.localhost", "Origin: a", "Access-Control-Request-Method: GET", "Connection: Upgrade", "Upgrade: websocket"},
		{"OPTIONS / HTTP/1.1", "Host: ping.localhost", "Origin: a", "Access-Control-Request-Method: GET", "Content-Length: 1", "", "x"},
		{"GET / HTTP/1.1", "Host: ping.localhost", "Authorization: Bearer " + g.token, "Authorization: Bearer " + g.token},
	}
	for _, way := range append(ways, tricks...) {
		if res := g.send(way...); res.StatusCode != http.StatusUnauthorized || g.calls.Load() != 0 {
			t.Errorf("%q: got %s, calls of the app: %d", way, res.Status, g.calls.Load())
		}
	}
	for _, way := range ways { // they do lead there
		if res := g.send(append(way, "Authorization: Bearer "+g.token)...); res.StatusCode != http.StatusOK {
			t.Errorf("%q with a token: got %s", way, res.Status)
		}
	}
	for _, open := range [][]string{
		{"GET /open?x=y HTTP/1.1", "Host: ping.localhost"}, {"GET /shop/open HTTP/1.1", "Host: example.org"}, {"POST /shop/hooks/x HTTP/1.1", "Host: example.org"},
		{"OPTIONS / HTTP/1.1", "Host: ping.localhost", "Origin: a", "Access-Control-Request-Method: GET"},
	} {
		if res := g.send(open...); res.StatusCode != http.StatusOK {
			t.Errorf("%q: got %s", open, res.Status)
		}
	}
}

func TestAdmissionOverHTTP2(t *testing.T) {
	g := newGuarded(t, "auth: {token: true, open: [/open]}")
	g.serve()
	client := &http.Client{Transport: http2Transport(t)}
	ask := func(path string, header ...string) answer {
		req := g.request(http.MethodGet, "ping", path, "")
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			req.Header.Add(name, value)
		}
		return send(client, req)
	}
	for path, want := range map[string]int{"/": 401, "/open": 200, "/open/": 401, "/open%2f": 401, "//open": 401} {
		if got := ask(path); got.status != want || got.err != nil {
			t.Errorf("%s: got %+v", path, got)
		}
	}
	if got := ask("/", "Host: other.localhost", "X-Forwarded-Host: other.localhost"); got.status != 401 {
		t.Errorf("a Host beside the authority: %+v", got)
	}
	if got := ask("/", "Authorization: Bearer "+g.token); got.body != "in" || g.seen.Load().Header.Get("X-Forwarded-User") != "ci" {
		t.Errorf("with a token: %+v", got)
	}
}

// What the app is told of who asks nobody else can say, and what they have shown it does not get.
func TestTheAppKnowsTheUser(t *testing.T) {
	local := netip.MustParsePrefix("127.0.0.0/8")
	for name, trusted := range map[string][]netip.Prefix{"a stranger": nil, "a trusted proxy": {local}} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(t, "auth: {basic: {users: u}, token: true, open: [/open]}", func(c *gateway.Config) { c.TrustedProxies = trusted })
			g.serve()
			forged := []string{"X-Forwarded-User: root", "X_Forwarded_User: root", "x-forwarded_user: root", "X-FORWARDED-USER: root"}
			ask := func(path string, fields ...string) http.Header {
				t.Helper()
				lines := append([]string{"GET " + path + " HTTP/1.1", "Host: ping.localhost"}, append(forged, fields...)...)
				if res := g.send(lines...); res.StatusCode != http.StatusOK {
					t.Fatalf("%q: %s", fields, res.Status)
				}
				return g.seen.Load().Header
			}
			for want, header := range map[string]http.Header{
				"ci":    ask("/", "Authorization: Bearer "+g.token),
				"alice": ask("/", "Authorization: Basic YWxpY2U6c2VjcmV0"),
				"":      ask("/open", "Authorization: Basic YWxpY2U6c2VjcmV0"),
			} {
				var users []string
				for name, values := range header {
					if strings.ReplaceAll(strings.ToLower(name), "_", "-") == "x-forwarded-user" {
						users = append(users, values...)
					}
				}
				if strings.Join(users, ",") != want || header.Get("Authorization") != "" {
					t.Errorf("the app is told %q, with the credentials %q, want %q", users, header.Get("Authorization"), want)
				}
			}
			if got := ask("/open", "Authorization: Bearer of-another").Get("Authorization"); got != "Bearer of-another" {
				t.Errorf("credentials of the app's own: %q", got)
			}
		})
	}
}

func TestTokensTakeEffect(t *testing.T) {
	g := newGuarded(t, "auth: {token: true}")
	g.serve()
	ask := func() int { return g.getFrom("ping.localhost", "Authorization: Bearer "+g.token).status }
	if got := ask(); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	tokens, err := auth.ReadTokens(g.paths, "ping")
	if err != nil || auth.WriteTokens(g.paths, "ping", nil) != nil {
		t.Fatal(err)
	}
	g.eventually("the token is revoked", func() bool { return ask() == http.StatusUnauthorized })
	if err := auth.WriteTokens(g.paths, "ping", tokens); err != nil {
		t.Fatal(err)
	}
	g.eventually("the token is back", func() bool { return ask() == http.StatusOK })
	if err := platform.WriteFile(g.paths.Tokens("ping"), []byte(`{"format": 99}`), 0o640); err != nil {
		t.Fatal(err)
	}
	g.eventually("nobody comes in by a file of a later version", func() bool { return ask() == http.StatusServiceUnavailable })
	if err := os.WriteFile(g.paths.Route("ping"), []byte("{"), 0o644); err != nil { // the last good route stays, and its tokens are followed
		t.Fatal(err)
	}
	g.eventually("the route is bad", func() bool { return g.metric(platform.MetricBadRoutes) == 1 })
	if err := auth.WriteTokens(g.paths, "ping", tokens); err != nil {
		t.Fatal(err)
	}
	g.eventually("the token is back again", func() bool { return ask() == http.StatusOK })
}

// Users that cannot be read let nobody in, and a policy that is taken away lets everybody.
func TestUsersThatCannotBeRead(t *testing.T) {
	g := newGuarded(t, "deny: [10.0.0.0/8]")
	g.serve()
	if got := g.get("ping", "/"); got.status != http.StatusOK {
		t.Fatalf("got %+v", got)
	}
	g.admit("auth: {basic: {users: u}}", func(*platform.Route) { os.Remove(g.paths.Users(ping)) })
	g.eventually("nobody comes in", func() bool {
		return g.getFrom("ping.localhost", "Authorization: Basic YWxpY2U6c2VjcmV0").status == http.StatusServiceUnavailable
	})
	g.admit("auth: {basic: {users: u}}")
	g.eventually("alice comes in, as the users can be read again", func() bool {
		return g.getFrom("ping.localhost", "Authorization: Basic YWxpY2U6c2VjcmV0").status == http.StatusOK
	})
	g.admit("")
	g.eventually("everybody comes in", func() bool { return g.get("ping", "/").status == http.StatusOK })
}

// A request that was let in by a route, and then meets another one, has to be let in by that, too.
func TestRulesThatChangeDuringARequest(t *testing.T) {
	g := newGuarded(t, "")
	g.serve()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(requestTimeout))
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: 2\r\n\r\nx")
	g.eventually("its content is read", func() bool { return g.metric(gateway.MetricConnections) == 1 })
	g.admit("auth: {token: true}")
	g.eventually("the rules hold", func() bool { return g.get("ping", "/").status == http.StatusUnauthorized })
	io.WriteString(c, "y")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %v, %v", res, err)
	}
}

func TestNetworksAreThoseOfTheClient(t *testing.T) {
	g := newGuarded(t, "allow: [198.51.100.0/24]", func(c *gateway.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	g.serve()
	for given, want := range map[string]int{
		"X-Forwarded-For: 198.51.100.1": 200, "X-Forwarded-For: 203.0.113.1": 403, "X-Forwarded-For: 198.51.100.1, 203.0.113.1": 403,
		"X: y": 403, "Forwarded: for=198.51.100.2": 200,
	} {
		if res := g.send("GET / HTTP/1.1", "Host: ping.localhost", given); res.StatusCode != want {
			t.Errorf("%s: got %s, want %d", given, res.Status, want)
		}
	}
	stranger := newGuarded(t, "allow: [198.51.100.0/24]")
	if res := stranger.send("GET / HTTP/1.1", "Host: ping.localhost", "X-Forwarded-For: 198.51.100.1"); res.StatusCode != 403 {
		t.Errorf("a stranger's word: %s", res.Status)
	}
}

func TestCORSWakesNothing(t *testing.T) {
	g := newGuarded(t, "cors: {origins: https://app.example.com, credentials: true}\nauth: {token: true}")
	const origin, method = "Origin: https://app.example.com", "Access-Control-Request-Method: PUT"
	res := g.send("OPTIONS /x HTTP/1.1", "Host: ping.localhost", origin, method)
	if res.StatusCode != http.StatusNoContent || res.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || res.Header.Get("Content-Type") != "" {
		t.Errorf("preflight: %s %v", res.Status, res.Header)
	}
	over := &http.Client{Transport: http2Transport(t)}
	req := g.request(http.MethodOptions, "ping", "/x", "")
	req.Header = http.Header{"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"PUT"}}
	if got := send(over, req); got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Methods") == "" || got.err != nil {
		t.Errorf("preflight over HTTP/2: %+v", got)
	}
	if n := g.metric(gateway.MetricDenied); n != 0 {
		t.Errorf("%v are counted as denied", n)
	}
	if got := g.getFrom("ping.localhost", origin); got.status != 401 || got.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("a script may not see why it was turned away: %+v", got)
	}
	g.serve()
	got := g.getFrom("ping.localhost", origin, "Authorization: Bearer "+g.token)
	if got.body != "in" || got.header.Get("Access-Control-Allow-Credentials") != "true" || got.header.Get("Vary") != "Origin" {
		t.Errorf("a response: %+v", got)
	}
	if got = g.getFrom("ping.localhost", "Authorization: Bearer "+g.token); got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Vary") != "Origin" {
		t.Errorf("a response to no site: %+v", got)
	}
}

// The limit of a sender goes on where another gateway takes over.
func TestRateLimitOverAHandover(t *testing.T) {
	w := newDynasty(t)
	g := &guarded{world: w}
	g.admit("rate_limit: {requests: 3, per: 1h}")
	g.app = g.arm(ping, 1)
	g.serve()
	g.eventually("the route is taken", func() bool { return g.has(platform.MetricInFlight, "revision="+ping.String()) })
	for range 2 {
		if got := g.get("ping", "/"); got.status != 200 || got.header.Get("Ratelimit-Policy") != `"default";q=3;w=3600` {
			t.Fatalf("got %+v", got)
		}
	}
	ended := w.succeed()
	g.client = newClient(t)
	if got := g.get("ping", "/"); got.status != 200 || !strings.HasPrefix(got.header.Get("Ratelimit"), `"default";r=0;t=`) {
		t.Errorf("the third: %+v", got)
	}
	if got := g.get("ping", "/"); got.status != 429 || got.header.Get("Retry-After") == "1" || got.header.Get("Retry-After") == "" {
		t.Errorf("the fourth: %+v", got)
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
}

func TestWebSocketsComeInWithATokenOnly(t *testing.T) {
	g := newGuarded(t, "auth: {token: true}")
	g.serve()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, g.addr)
	}}}
	dial := func(header http.Header) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), "ws://ping.localhost/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
	}
	if _, res, err := dial(nil); err == nil || res.StatusCode != http.StatusUnauthorized || g.calls.Load() != 0 {
		t.Errorf("without: %v", err)
	}
	c, _, err := dial(http.Header{"Authorization": {"Bearer " + g.token}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("with: %v", err)
	}
}

// Clients of gRPC are told in their own words.
func TestGRPCIsTurnedAway(t *testing.T) {
	client, app, w := newGRPC(t)
	g := &guarded{world: w}
	g.admit("auth: {token: true}\nprotocol: h2c\ncommand: x")
	g.eventually("the rules hold", func() bool { return g.get("ping", "/").status == http.StatusUnauthorized })
	_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
	if grpcstatus.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "credentials are needed") || len(app.deadlines) != 0 {
		t.Errorf("without: %v", err)
	}
	if _, err := client.UnaryCall(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+g.token), &pb.SimpleRequest{}); err != nil {
		t.Errorf("with: %v", err)
	}
}

// Passwords are checked as fast as the machine can while others ask for what needs none.
func TestPasswordsHoldNobodyUp(t *testing.T) {
	g := newGuarded(t, "auth: {basic: {users: u}, token: true}")
	g.serve()
	var wg sync.WaitGroup
	var right, other atomic.Int64
	for range 30 {
		wg.Go(func() {
			if g.getFrom("ping.localhost", "Authorization: Basic YWxpY2U6c2VjcmV0").status == http.StatusOK {
				right.Add(1)
			}
		})
		wg.Go(func() {
			if g.getFrom("ping.localhost", "Authorization: Bearer "+g.token).status == http.StatusOK {
				other.Add(1)
			}
		})
	}
	wg.Wait()
	if right.Load() != 30 || other.Load() != 30 {
		t.Errorf("%d with a password, %d with a token of 30 each", right.Load(), other.Load())
	}
	if errors.Is(g.get("ping", "/").err, io.EOF) {
		t.Error("the connection was closed")
	}
}

// rawHTTP2 sends one head over HTTP/2 as it is, and returns the status of the answer, "" if the stream or the connection is ended instead.
func (g *guarded) rawHTTP2(fields ...string) string {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(requestTimeout))
	var block bytes.Buffer
	coder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		coder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings()
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

// What decides is what the app is told, whatever else a client of HTTP/2 says of the host, the path or itself.
func TestHTTP2SaysOneThing(t *testing.T) {
	g := newGuarded(t, "auth: {token: true, open: [/open]}")
	g.serve()
	w := g.world
	w.put(platform.Route{Function: "free", Traffic: []platform.TrafficShare{{
		Revision: platform.RevisionID{Function: "free", Number: 1}, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(20)},
	}}})
	w.arm(platform.RevisionID{Function: "free", Number: 1}, 1).serve(t, echo("free"))
	w.eventually("the other function serves", func() bool { return w.get("free", "/").body == "free" })
	head := func(authority, path string, more ...string) []string {
		return append([]string{":method", "GET", ":scheme", "http", ":authority", authority, ":path", path}, more...)
	}
	for _, c := range []struct {
		want string
		head []string
	}{
		{"200", head("free.localhost", "/")},
		{"200", head("free.localhost", "/", "host", "ping.localhost")}, // it is the other function that gets it
		{"401", head("ping.localhost", "/")},
		{"401", head("ping.localhost", "/", "host", "free.localhost")},
		{"401", head("ping.localhost", "/", "x-forwarded-host", "free.localhost", "x-forwarded-user", "ci")},
		{"401", head("PING.localhost:80", "/open/../")},
		{"401", head("ping.localhost", "/open%2f..")},
		{"401", head("ping.localhost", "//open")},
		{"200", head("ping.localhost", "/open")},
		{"401", []string{":method", "GET", ":scheme", "http", ":path", "/", "host", "ping.localhost"}},
		{"401", head("ping.localhost", "/", "authorization", "Bearer "+g.token, "authorization", "Bearer x")},
		{"200", head("ping.localhost", "/", "authorization", "Bearer "+g.token)},
	} {
		before := g.calls.Load()
		if got := g.rawHTTP2(c.head...); got != c.want {
			t.Errorf("%q: got %q, want %s", c.head, got, c.want)
		}
		if c.want == "401" && g.calls.Load() != before {
			t.Errorf("%q reached the app", c.head)
		}
	}
	for _, odd := range [][]string{ // refused in whatever way
		head("ping.localhost", "http://ping.localhost/open"), head("ping.localhost", "*"), head("ping.localhost", ""), head("", "/"),
		{":method", "CONNECT", ":authority", "ping.localhost"},
		{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "ping.localhost", ":path", "/open"},
		head("ping.localhost", "/", ":path", "/open"),
	} {
		before := g.calls.Load()
		if got := g.rawHTTP2(odd...); got == "200" || g.calls.Load() != before {
			t.Errorf("%q: got %q, calls of the app: %d", odd, got, g.calls.Load()-before)
		}
	}
}

// The socket for a proxy of this machine, which is believed, is no way around either.
func TestTheProxySocketIsNoWayAround(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	g := newGuarded(t, "auth: {token: true}\ndeny: [203.0.113.0/24]", func(cfg *gateway.Config) {
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Listeners = append(cfg.Listeners, listener)
	})
	g.serve()
	client := &http.Client{Transport: &http.Transport{DialContext: platform.DialUnix(socket)}}
	ask := func(header ...string) answer {
		req := g.request(http.MethodGet, "ping", "/", "")
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			req.Header.Set(name, value)
		}
		return send(client, req)
	}
	bearer := "Authorization: Bearer " + g.token
	for want, header := range map[int][]string{
		401: {"X-Forwarded-User: ci", "X-Forwarded-For: 198.51.100.1"}, 403: {bearer, "X-Forwarded-For: 203.0.113.1"}, 200: {bearer, "X-Forwarded-User: root"},
	} {
		if got := ask(header...); got.status != want {
			t.Errorf("%q: got %+v, want %d", header, got, want)
		}
	}
	if user := g.seen.Load().Header.Values("X-Forwarded-User"); len(user) != 1 || user[0] != "ci" {
		t.Errorf("the app is told %q", user)
	}
}
