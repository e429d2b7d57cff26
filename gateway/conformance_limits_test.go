package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// limited is a world with one function, ping, behind a gateway that is set up in another way.
func limited(t *testing.T, h http.HandlerFunc, adjust func(*gateway.Config), shares ...func(*platform.TrafficShare)) *world {
	t.Helper()
	w := newWorld(t, adjust)
	w.route(ping, shares...)
	w.arm(ping, 1).serve(t, h)
	return w
}

// drip sends a byte every 20 ms until that is not possible any more, or the rest is empty.
func drip(c net.Conn, text string) {
	for _, b := range []byte(text) {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A client that sends its head byte by byte is told so, and cut off, in time; so is one that sends nothing at all.
func TestSlowHead(t *testing.T) {
	const limit = 300 * time.Millisecond
	w := limited(t, func(http.ResponseWriter, *http.Request) {}, func(cfg *gateway.Config) { cfg.ReadHeaderTimeout = limit })
	for name, text := range map[string]string{"request line": strings.Repeat("G", 1000), "fields": "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1000), "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, r := w.dial(t)
			began := time.Now()
			head, rest := text[:len(text)/2], text[len(text)/2:]
			go func() {
				io.WriteString(c, head)
				drip(c, rest)
			}()
			answer, err := io.ReadAll(r)
			if took := time.Since(began); took < limit/2 || took >= 10*time.Second { // of the bytes, and of the usual limit
				t.Errorf("it took %v", took)
			}
			if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || len(answer) == 0 && text != "" {
				t.Errorf("got %q, %v", answer, err)
			}
		})
	}
}

// The preface of HTTP/2 has the same time.
func TestSlowHeadOfHTTP2(t *testing.T) {
	t.Parallel()
	w := limited(t, func(http.ResponseWriter, *http.Request) {}, func(cfg *gateway.Config) {
		cfg.ReadHeaderTimeout, cfg.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond
	})
	for _, text := range []string{"PRI * HTTP/2.0\r\n\r", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		c, r := w.dial(t)
		began := time.Now()
		io.WriteString(c, text)
		if _, err := io.Copy(io.Discard, r); errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) >= 10*time.Second { // the usual limit
			t.Errorf("%q: open after %v", text, time.Since(began))
		}
	}
}

// An idle connection is closed in time, and not before.
func TestIdleConnection(t *testing.T) {
	w := limited(t, echo("1").ServeHTTP, func(cfg *gateway.Config) { cfg.IdleTimeout = 300 * time.Millisecond })
	c, r := w.dial(t)
	for range 6 {
		io.WriteString(c, getX)
		if status, body := nextAnswer(t, r); status != http.StatusOK || body != "1" {
			t.Fatalf("got %d %q", status, body)
		}
		time.Sleep(100 * time.Millisecond)
	}
	began := time.Now()
	if b, err := r.ReadByte(); err != io.EOF || time.Since(began) >= requestTimeout {
		t.Errorf("got %v, %v after %v", b, err, time.Since(began))
	}
}

func inSeconds(seconds float64) func(*platform.TrafficShare) {
	return func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(seconds) }
}

// A client that sends content of an unknown length byte by byte is cut off when the time of its request is over, and the app is
// free again.
func TestSlowContent(t *testing.T) {
	ended := make(chan error, 1)
	w := limited(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}, func(*gateway.Config) {}, inSeconds(2))
	c, r := w.dial(t)
	began := time.Now()
	io.WriteString(c, "POST /x HTTP/1.1\r\nHost: ping.localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
	w.eventually("it is passed on", func() bool { return w.inFlight() == 1 })
	go drip(c, strings.Repeat("1\r\nx\r\n", 200))
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusGatewayTimeout && res.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("got %+v, %v", res, err)
	}
	if _, err := io.ReadAll(r); errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) >= requestTimeout {
		t.Errorf("open after %v, %v", time.Since(began), err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the app got a whole request")
		}
	case <-time.After(requestTimeout):
		t.Error("the app still waits for the rest")
	}
	w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
}

// A client that does not read its response is cut off when the time of its request is over.
func TestClientThatReadsNothing(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{"GET": "", "while it sends": "POST"} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			w := limited(t, func(w http.ResponseWriter, r *http.Request) {
				http.NewResponseController(w).EnableFullDuplex()
				_, err := io.Copy(w, io.LimitReader(zeros{}, 1<<30))
				ended <- err
			}, func(*gateway.Config) {}, inSeconds(0.5))
			c, _ := w.dial(t)
			c.SetReadBuffer(4096)
			if request == "" {
				io.WriteString(c, getX)
			} else {
				io.WriteString(c, "POST /x HTTP/1.1\r\nHost: ping.localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
			}
			select {
			case err := <-ended:
				if err == nil {
					t.Error("the app could send everything")
				}
			case <-time.After(requestTimeout):
				t.Fatal("the app still sends")
			}
			w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
			w.eventually("it is counted as broken off", func() bool { return w.metric(gateway.MetricAborted) == 1 })
		})
	}
}

// Content that is too long is refused, at once if its length is known, and else when there is too much of it.
func TestContentTooLarge(t *testing.T) {
	var app ledger
	w := limited(t, app.ServeHTTP, func(*gateway.Config) {}, func(s *platform.TrafficShare) { s.MaxBody = 10 })
	const head = "POST /x HTTP/1.1\r\nHost: ping.localhost\r\n"
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"length":            {head + "Content-Length: 11\r\n\r\nhello hello", 413},
		"length, unsent":    {head + "Content-Length: 1000000000000\r\n\r\n", 413},
		"length, 100":       {head + "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n", 413},
		"chunks":            {head + "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nhello\r\n0\r\n\r\n", 413},
		"chunks, not ended": {head + "Transfer-Encoding: chunked\r\n\r\nb\r\nhello hello\r\n", 413},
		"just fits":         {head + "Content-Length: 10\r\n\r\nhello hell", 200},
		"just fits, chunks": {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\n hell\r\n0\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			c, r := w.dial(t)
			io.WriteString(c, test.request)
			if status, body := nextAnswer(t, r); status != test.status {
				t.Errorf("got %d %q", status, body)
			}
			if seen := app.take(); (len(seen) == 1) != (test.status == http.StatusOK) {
				t.Errorf("the app saw %q", seen)
			}
			if test.status != http.StatusOK && name != "chunks" { // of which all has been read
				if _, err := r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the connection is open: %v", err)
				}
			}
		})
	}
	h2 := dialHTTP2(t, w)
	if status := h2.send(h2.fields(), "hello hello"); status != "413" {
		t.Errorf("HTTP/2: got %s", status)
	}
}

func TestHeadTooLarge(t *testing.T) {
	t.Parallel()
	var app ledger
	w := limited(t, app.ServeHTTP, func(cfg *gateway.Config) { cfg.MaxHeaderBytes = 4 << 10 })
	field := func(size int) string {
		return "GET /x HTTP/1.1\r\nHost: ping.localhost\r\nX: " + strings.Repeat("x", size) + "\r\n\r\n"
	}
	for size, want := range map[int]int{3000: 200, 5000: 431, 1 << 20: 431} {
		c, r := w.dial(t)
		go io.WriteString(c, field(size))
		if status, body := nextAnswer(t, r); status != want {
			t.Errorf("%d bytes: got %d %q", size, status, body)
		}
	}
	h2 := dialHTTP2(t, w)
	if status := h2.send(h2.fields("x", strings.Repeat("x", 20_000)), ""); status == "200" {
		t.Error("HTTP/2: 20,000 bytes got 200")
	}
}

// Connections above the limit are told so and closed; when others have gone, there is room again.
func TestConnectionLimits(t *testing.T) {
	trusted := netip.MustParsePrefix("127.0.0.1/32")
	for name, test := range map[string]struct {
		adjust  func(*gateway.Config)
		refused int // 0: not at all
	}{
		"total":         {func(cfg *gateway.Config) { cfg.MaxConnections = 3 }, http.StatusServiceUnavailable},
		"of an address": {func(cfg *gateway.Config) { cfg.MaxConnectionsPerAddress = 3 }, http.StatusTooManyRequests},
		"of a trusted proxy": {func(cfg *gateway.Config) {
			cfg.MaxConnectionsPerAddress, cfg.TrustedProxies = 3, []netip.Prefix{trusted}
		}, 0},
		"total, if it trusts": {func(cfg *gateway.Config) { cfg.MaxConnections, cfg.TrustedProxies = 3, []netip.Prefix{trusted} }, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := limited(t, echo("1").ServeHTTP, test.adjust)
			ask := func() (*net.TCPConn, *http.Response) {
				c, r := w.dial(t)
				io.WriteString(c, getX)
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, res.Body)
				return c, res
			}
			var open []*net.TCPConn
			for range 3 {
				c, res := ask()
				open = append(open, c)
				if res.StatusCode != http.StatusOK {
					t.Fatalf("got %+v", res)
				}
			}
			_, res := ask()
			if test.refused == 0 {
				if res.StatusCode != http.StatusOK {
					t.Errorf("got %+v", res)
				}
				return
			}
			if res.StatusCode != test.refused || !res.Close || res.Header.Get("Retry-After") == "" {
				t.Errorf("got %+v", res)
			}
			open[0].Close()
			w.eventually("there is room again", func() bool { _, res := ask(); return res.StatusCode == http.StatusOK })
		})
	}
}

// peerLog remembers the address of the client of the last request.
type peerLog struct{ last atomic.Value }

func (p *peerLog) Record(a *gateway.Access) { p.last.Store(a.Peer) }

// X-Forwarded fields are the gateway's own, unless a trusted proxy sends them.
func TestForwardedFields(t *testing.T) {
	const (
		given = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7, 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: example.com\r\n" +
			"X-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /shop\r\nForwarded: for=6.6.6.6\r\nX-Real-Ip: 6.6.6.6\r\nX_REAL_IP: 6.6.6.6\r\n" +
			"Script_Name: /x\r\nPath-Info: /x\r\nProxy: evil\r\nTrue-Client-IP: 6.6.6.6\r\nCf_Connecting_Ip: 6.6.6.6\r\n"
		lists = "X-Forwarded-Host: evil.example, shop.example\r\nX-Forwarded-Proto: http, https\r\nX-Forwarded-Port: 80, 443\r\n"
		wrong = "X-Forwarded-Proto: gopher\r\nX-Forwarded-Port: 99999\r\nX-Forwarded-Prefix: shop\r\n"
	)
	local, private := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")
	from := func(client, proto, host string) map[string]string {
		return map[string]string{
			"X-Forwarded-For": client, "X-Real-Ip": client, "X-Forwarded-Proto": proto, "X-Forwarded-Host": host,
			"Forwarded": "", "X_real_ip": "", "Script_name": "", "Path-Info": "", "Proxy": "",
		}
	}
	with := func(fields map[string]string, more ...string) map[string]string {
		for i := 0; i < len(more); i += 2 {
			fields[more[i]] = more[i+1]
		}
		return fields
	}
	for name, test := range map[string]struct {
		trusted []netip.Prefix
		given   string
		want    map[string]string
	}{
		"nobody is trusted": {nil, given, with(from("127.0.0.1", "http", "ping.localhost"),
			"X-Forwarded-Port", "", "X-Forwarded-Prefix", "", "True-Client-Ip", "", "Cf_connecting_ip", "")},
		"another is trusted": {[]netip.Prefix{private, netip.MustParsePrefix("fd00::/8")}, given, from("127.0.0.1", "http", "ping.localhost")},
		"the peer is trusted": {[]netip.Prefix{local}, given, with(from("8.8.8.8", "https", "example.com"),
			"X-Forwarded-Port", "8443", "X-Forwarded-Prefix", "/shop", "True-Client-Ip", "6.6.6.6")},
		"the peer is trusted, in the other family": {[]netip.Prefix{netip.MustParsePrefix("::1/128")}, given, with(from("8.8.8.8", "https", "example.com"),
			"X-Forwarded-Port", "8443", "X-Forwarded-Prefix", "/shop", "True-Client-Ip", "6.6.6.6")},
		"a trusted peer says nothing": {[]netip.Prefix{local}, "", from("127.0.0.1", "http", "ping.localhost")},
		"two proxies are trusted":     {[]netip.Prefix{local, private}, "X-Forwarded-For: 6.6.6.6, 8.8.8.8, 10.1.2.3\r\n", from("8.8.8.8", "http", "ping.localhost")},
		"all are trusted":             {[]netip.Prefix{local, private}, "X-Forwarded-For: 10.1.2.3, 127.0.0.2\r\n", from("10.1.2.3", "http", "ping.localhost")},
		"addresses with ports":        {[]netip.Prefix{local}, "X-Forwarded-For: [2001:db8::1]:4711\r\n", from("2001:db8::1", "http", "ping.localhost")},
		"an address in brackets":      {[]netip.Prefix{local}, "X-Forwarded-For: [::ffff:1.2.3.4]\r\n", from("1.2.3.4", "http", "ping.localhost")},
		"no address":                  {[]netip.Prefix{local}, "X-Forwarded-For: 6.6.6.6, unknown\r\n", from("127.0.0.1", "http", "ping.localhost")},
		"the last of lists":           {[]netip.Prefix{local}, lists, with(from("127.0.0.1", "https", "shop.example"), "X-Forwarded-Port", "443")},
		"a WebSocket":                 {[]netip.Prefix{local}, "X-Forwarded-Proto: wss\r\n", from("127.0.0.1", "https", "ping.localhost")},
		"only RFC 7239": {[]netip.Prefix{local, private}, "Forwarded: for=6.6.6.6;host=evil.example\r\n" +
			`Forwarded: For="[2001:db8::1]:4711";proto=https;host=shop.example, for=10.1.2.3;proto=http;by=10.1.2.4` + "\r\n",
			from("2001:db8::1", "https", "shop.example")},
		"RFC 7239 without a client":  {[]netip.Prefix{local}, "Forwarded: for=8.8.8.8, for=unknown;proto=wss\r\n", from("127.0.0.1", "https", "ping.localhost")},
		"RFC 7239 that is malformed": {[]netip.Prefix{local}, "Forwarded: for=8.8.8.8;proto=https, for=\"8.8.8.8\r\n", from("127.0.0.1", "http", "ping.localhost")},
		"RFC 7239 of a stranger":     {nil, "Forwarded: for=8.8.8.8;proto=https;host=shop.example\r\n", from("127.0.0.1", "http", "ping.localhost")},
		"RFC 7239 beside others":     {[]netip.Prefix{local}, "Forwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\n", from("127.0.0.1", "https", "ping.localhost")},
		"nothing of the kind": {[]netip.Prefix{local}, wrong, with(from("127.0.0.1", "http", "ping.localhost"),
			"X-Forwarded-Port", "", "X-Forwarded-Prefix", "")},
	} {
		t.Run(name, func(t *testing.T) {
			var got http.Header
			var log peerLog
			w := limited(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header }, func(cfg *gateway.Config) {
				cfg.TrustedProxies, cfg.AccessLog = test.trusted, &log
			})
			c, r := w.dial(t)
			io.WriteString(c, "GET /x HTTP/1.1\r\nHost: ping.localhost\r\n"+test.given+"\r\n")
			if status, _ := nextAnswer(t, r); status != http.StatusOK {
				t.Fatalf("got %d", status)
			}
			for field, want := range test.want {
				if strings.Join(got[field], ", ") != want {
					t.Errorf("%s: got %q, want %q", field, got[field], want)
				}
			}
			w.eventually("the access log has the client", func() bool { return log.last.Load() == test.want["X-Real-Ip"] })
		})
	}
}

// A request that an app sends back to the gateway goes round a few times, and then is refused.
func TestLoop(t *testing.T) {
	for _, protocol := range []platform.Protocol{platform.HTTP1, platform.H2C} {
		t.Run(string(protocol), func(t *testing.T) {
			var calls atomic.Int32
			var seen atomic.Value
			w := newWorld(t, func(cfg *gateway.Config) { cfg.Name = "ours" })
			w.route(ping, func(s *platform.TrafficShare) { s.Protocol = protocol })
			app := func(out http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				seen.Store(strings.Join(r.Header["Via"], ", "))
				if r.URL.Path != "/loop" {
					return
				}
				again, err := http.NewRequestWithContext(r.Context(), "GET", "http://"+w.addr+"/loop", nil)
				if err != nil {
					t.Error(err)
					return
				}
				again.Host, again.Header["Via"] = r.Host, r.Header["Via"]
				res, err := w.client.Do(again)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				out.WriteHeader(res.StatusCode)
				io.Copy(out, res.Body)
			}
			w.arm(ping, 1).serve(t, http.HandlerFunc(app), func(s *http.Server) {
				s.Protocols = new(http.Protocols)
				s.Protocols.SetHTTP1(true)
				s.Protocols.SetUnencryptedHTTP2(true)
			})
			ask := func(path, via string) string {
				c, r := w.dial(t)
				io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: ping.localhost\r\n"+via+"\r\n")
				status, body := nextAnswer(t, r)
				return fmt.Sprint(status, " ", body)
			}
			if got := ask("/", "Via: 1.0 fred, 2 ours\r\n"); got != "200 " || seen.Load() != "1.0 fred, 2 ours, 1.1 ours" {
				t.Errorf("got %s, and the app %v", got, seen.Load())
			}
			calls.Store(0)
			if got := ask("/loop", ""); !strings.HasPrefix(got, "508 ") || !strings.Contains(got, "ping.localhost") || calls.Load() != 16 {
				t.Errorf("got %s, and the app was asked %d times", got, calls.Load())
			}
			calls.Store(0)
			others := "Via: 1.1 theirs" + strings.Repeat(", 1.1 theirs", 30) + ", 1.1 ours-too (1.1 ours), ours\r\n"
			if got := ask("/", others); got != "200 " || calls.Load() != 1 {
				t.Errorf("by way of others: got %s", got)
			}
		})
	}
}

// A response whose head does not come in time is refused, and one that stops is cut.
func TestAppThatFallsSilent(t *testing.T) {
	release := make(chan bool)
	w := limited(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stops" {
			fmt.Fprint(w, "so far")
			http.NewResponseController(w).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, func(*gateway.Config) {}, func(s *platform.TrafficShare) {
		s.ResponseStartTimeout, s.IdleTimeout = platform.Seconds(0.3), platform.Seconds(0.3)
	})
	defer close(release)
	began := time.Now()
	if got := w.get("ping", "/silent"); got.status != http.StatusGatewayTimeout || got.err != nil {
		t.Errorf("got %+v", got)
	}
	if got := w.get("ping", "/stops"); got.status != http.StatusOK || got.body != "so far" || got.err == nil {
		t.Errorf("got %+v", got)
	}
	if took := time.Since(began); took < 600*time.Millisecond || took >= requestTimeout {
		t.Errorf("both took %v", took)
	}
	c, r := w.dial(t)
	io.WriteString(c, "GET /stops HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
	if rest, err := io.ReadAll(r); errors.Is(err, os.ErrDeadlineExceeded) || strings.HasSuffix(string(rest), "0\r\n\r\n") {
		t.Errorf("got %q, %v", rest, err)
	}
}

// Of a long upload something lies in the app's socket all the time: an app that reads it, however slowly, is not deaf. Neither is one
// that stops in the middle of it, and reads other requests.
func TestUploadIsNoSilence(t *testing.T) {
	t.Parallel()
	stop := make(chan bool)
	w := limited(t, func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 4<<10)
		for {
			select {
			case <-stop:
				<-r.Context().Done()
				return
			case <-time.After(5 * time.Millisecond):
				r.Body.Read(b)
			}
		}
	}, func(*gateway.Config) {}, func(s *platform.TrafficShare) { s.LivenessTimeout = platform.Seconds(1) })
	c, _ := w.dial(t)
	fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: %d\r\n\r\n", 1<<30)
	go io.Copy(c, io.LimitReader(zeros{}, 1<<30))
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if w.has(platform.MetricInstanceInFlight, "state=deaf") {
			t.Fatal("it counts as deaf while it reads")
		}
	}
	close(stop)
	w.stays("it counts as deaf though it reads other requests", w.isDeaf)
	c.Close()
}
