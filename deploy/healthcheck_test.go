package deploy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/visitor"
)

// serveOn is an app on a unix socket that speaks one protocol only.
func serveOn(t *testing.T, protocol platform.Protocol, app http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "app.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	spoken := new(http.Protocols)
	spoken.SetHTTP1(protocol == platform.HTTP1)
	spoken.SetUnencryptedHTTP2(protocol == platform.H2C)
	server := &http.Server{Protocols: spoken, Handler: app, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return socket
}

// A deploy asks an app in the protocol that the app speaks. Without a path any answer is a good one.
func TestAnswersByProtocol(t *testing.T) {
	for _, speaks := range []platform.Protocol{platform.HTTP1, platform.H2C} {
		socket := serveOn(t, speaks, http.NotFound)
		for _, asked := range []platform.Protocol{platform.HTTP1, platform.H2C} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			check := healthcheck{socket: socket, protocol: asked, visitor: visitor.Visitor{Host: "shop.localhost", Scheme: "http"}}
			if _, err := check.pass(ctx); (err == nil) != (asked == speaks) {
				t.Errorf("an app that speaks %s, asked in %s: %v", speaks, asked, err)
			}
			cancel()
		}
	}
}

// An app that warms up is asked until it is healthy, as its clients ask.
func TestHealthcheckWaits(t *testing.T) {
	for _, protocol := range []platform.Protocol{platform.HTTP1, platform.H2C} {
		var asked atomic.Int32
		socket := serveOn(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			switch n := asked.Add(1); {
			case r.Header.Get("X-Forwarded-Proto") != "https":
				http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusTemporaryRedirect)
			case r.Header.Get("X-Forwarded-For") != "127.0.0.1" || r.Header.Get("X-Real-Ip") != "127.0.0.1" || r.Header.Get("X-Forwarded-Host") != r.Host:
				http.Error(w, "where are you?", http.StatusTeapot)
			case r.URL.Path != "/ready" || r.Host != "shop.example.com:8443" || !strings.HasPrefix(r.UserAgent(), "fnctl/"):
				http.Error(w, "who are you?", http.StatusTeapot)
			case n == 1:
				panic(http.ErrAbortHandler) // no answer is none yet
			case n == 2:
				http.Error(w, "warming up", http.StatusServiceUnavailable)
			default:
				w.WriteHeader(http.StatusNoContent)
			}
		})
		check := healthcheck{platform.Healthcheck{Path: "/ready"}, socket, protocol, visitor.Visitor{Host: "shop.example.com:8443", Scheme: "https"}, "1"}
		if _, err := check.pass(t.Context()); err != nil || asked.Load() != 3 {
			t.Errorf("%s: asked %d times: %v", protocol, asked.Load(), err)
		}
	}
}

// What is not healthy in time is said with its last answer, whatever is in it.
func TestHealthcheckFails(t *testing.T) {
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{503, "no\n\x1b[31mdatabase\xff", "it was not healthy within 5s (healthcheck.timeout): /ready answers 503 Service Unavailable: no [31mdatabase"},
		{301, "", "it was not healthy within 5s (healthcheck.timeout): /ready answers 301 Moved Permanently"},
		{500, strings.Repeat("x", 1<<20), "answers 500 Internal Server Error: " + strings.Repeat("x", 200) + "…"},
	} {
		socket := serveOn(t, platform.HTTP1, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		})
		check := healthcheck{platform.Healthcheck{Path: "/ready", Timeout: platform.Seconds(5)}, socket, platform.HTTP1, visitor.Visitor{Host: "localhost", Scheme: "http"}, "1"}
		ctx, cancel := context.WithTimeout(t.Context(), 8*healthPoll)
		_, complaint := check.pass(ctx)
		err := check.late(complaint)
		cancel()
		if !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("got %q, want %q", err, test.want)
		}
	}
	check := healthcheck{Healthcheck: platform.Healthcheck{Path: "/ready", Timeout: platform.Seconds(5)}}
	if check.tells(`INFO: - "GET /ready HTTP/1.1" 503 Service Unavailable`) || !check.tells("no database") || !(healthcheck{}).tells(`GET / HTTP/1.1`) {
		t.Error("the access log of questions is no news, and all else is")
	}
	if got, want := check.late(errors.New("reset")).Error(), "it did not answer /ready within 5s (healthcheck.timeout)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What the gateway would not pass on is not healthy, and not asked for again.
func TestImpassable(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"whole":               {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		"after an early hint": {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		"two lengths": {
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
			"the gateway cannot pass on what it answers: ",
		},
	} {
		socket := filepath.Join(t.TempDir(), "app.sock")
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		var asked atomic.Int32
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				asked.Add(1)
				conn.Read(make([]byte, 4096))
				io.WriteString(conn, c.answer)
				conn.Close()
			}
		}()
		for _, path := range []string{"", "/ready"} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			asked.Store(0)
			check := healthcheck{platform.Healthcheck{Path: path}, socket, platform.HTTP1, visitor.Visitor{Host: "localhost", Scheme: "http"}, "1"}
			_, err := check.pass(ctx)
			cancel()
			if asked.Load() != 1 || (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s, path %q: asked %d times, got %v", name, path, asked.Load(), err)
			}
		}
	}
}
