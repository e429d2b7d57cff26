package gateway_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// An interim response has the time of its own request, however late that comes.
func TestLateInterimResponse(t *testing.T) {
	t.Parallel()
	w := withScript(t, func(c net.Conn, r *bufio.Reader, req *http.Request) {
		for err := error(nil); err == nil; req, err = http.ReadRequest(r) {
			if req.URL.Path != "/x" {
				fmt.Fprintf(c, "HTTP/1.1 %s Early\r\n\r\n", req.URL.Path[1:])
			}
			io.Copy(io.Discard, req.Body)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}, inSeconds(0.5))
	for path, head := range map[string]string{"100": "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "103": "Transfer-Encoding: chunked\r\n"} {
		c, r := w.dial(t)
		io.WriteString(c, getX)
		nextAnswer(t, r)
		time.Sleep(1700 * time.Millisecond) // the time of that request is over, and the moment to tell its client
		fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: ping.localhost\r\n%s\r\n", path, head)
		for _, want := range []string{path + " ", "200 ok"} {
			if status, body := nextAnswer(t, r); fmt.Sprint(status, " ", body) != want {
				t.Errorf("got %d %q, want %q", status, body, want)
			}
			if want != "200 ok" {
				io.WriteString(c, "5\r\nhello\r\n0\r\n\r\n")
			}
		}
	}
}

// What connections have brought before a gateway stops is answered: that it reads no more from them is no departure of theirs.
func TestStopIsNoDeparture(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(100 * time.Millisecond)
		fmt.Fprint(w, "1")
	})
	type conn struct {
		*net.TCPConn
		*bufio.Reader
	}
	conns := make([]conn, 300)
	for i := range conns {
		c, r := w.dial(t)
		conns[i] = conn{c, r}
		io.WriteString(c, getX)
	}
	for _, c := range conns {
		nextAnswer(t, c.Reader)
	}
	for _, c := range conns {
		io.WriteString(c.TCPConn, getX)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	lost := 0
	for _, c := range conns {
		if res, err := http.ReadResponse(c.Reader, nil); err != nil || res.StatusCode != http.StatusOK {
			lost++
		}
	}
	if err := <-stopped; lost > 0 || err != nil {
		t.Errorf("%d of %d requests were lost; stop: %v", lost, len(conns), err)
	}
	if n := w.metric(gateway.MetricRequests, "code=499"); n != 0 {
		t.Errorf("%v requests count as left by their clients", n)
	}
}

// A client that has sent its request and closes its half of the connection, as nc does, gets its answer; also if it takes long, from
// zero, and of several requests.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 3<<20)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			time.Sleep(1500 * time.Millisecond)
		case "/large":
			w.Header().Set("Content-Length", fmt.Sprint(len(large)))
			io.WriteString(w, large)
			return
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			time.Sleep(300 * time.Millisecond)
		case "/steps":
			for range 3 {
				fmt.Fprint(w, "step ")
				http.NewResponseController(w).Flush()
				time.Sleep(200 * time.Millisecond)
			}
		}
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %v", r.URL.Path, body, err)
	})
	const end = " HTTP/1.1\r\nHost: ping.localhost\r\n\r\n"
	for name, test := range map[string]struct {
		request string
		want    []string
		cold    bool
	}{
		"GET":      {"GET /x" + end, []string{"200 /x  <nil>"}, false},
		"slow":     {"GET /slow" + end, []string{"200 /slow  <nil>"}, false},
		"in steps": {"GET /steps" + end, []string{"200 step step step /steps  <nil>"}, false},
		"large":    {"GET /large" + end, []string{"200 " + large}, false},
		"hints":    {"GET /hints" + end, []string{"103 ", "200 /hints  <nil>"}, false},
		"1.0":      {"GET /slow HTTP/1.0\r\nHost: ping.localhost\r\n\r\n", []string{"200 /slow  <nil>"}, false},
		"POST":     {"POST /slow HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: 5\r\n\r\nhello", []string{"200 /slow hello <nil>"}, false},
		"chunks": {"POST /slow HTTP/1.1\r\nHost: ping.localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			[]string{"200 /slow hello <nil>"}, false},
		"several":   {"GET /slow" + end + "GET /x" + end + "GET /slow" + end, []string{"200 /slow  <nil>", "200 /x  <nil>", "200 /slow  <nil>"}, false},
		"at zero":   {"GET /x" + end, []string{"200 /x  <nil>"}, true},
		"malformed": {"GET /x HTTP/1.1\r\nHost: ping.localhost\r\nX : y\r\n\r\n", []string{"400 the request cannot be read"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.route(ping)
			a := w.arm(ping, 1)
			if !test.cold {
				a.serve(t, app)
			}
			c, r := w.dial(t)
			io.WriteString(c, test.request)
			c.CloseWrite()
			if test.cold {
				time.Sleep(1200 * time.Millisecond)
				a.serve(t, app)
			}
			for _, want := range test.want {
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				if got := fmt.Sprintf("%d %s", res.StatusCode, body); err != nil || !strings.HasPrefix(got, want) {
					t.Errorf("got %.100q, %v, want %.100q", got, err, want)
				}
			}
			if b, err := r.ReadByte(); err != io.EOF {
				t.Errorf("behind it: %q, %v", b, err)
			}
		})
	}
}

// A client that goes is seen at once: before its answer, also if it had closed its half first, in the midst of its content, and while
// an answer has nothing to say.
func TestClientThatGoes(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(c *net.TCPConn, r *bufio.Reader){
		"at once": func(c *net.TCPConn, _ *bufio.Reader) {
			io.WriteString(c, getX)
			time.Sleep(100 * time.Millisecond)
			c.Close()
		},
		"late": func(c *net.TCPConn, _ *bufio.Reader) {
			io.WriteString(c, getX)
			time.Sleep(1500 * time.Millisecond)
			c.Close()
		},
		"in its content": func(c *net.TCPConn, _ *bufio.Reader) {
			io.WriteString(c, "POST /x HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: 1000\r\n\r\nhello")
			time.Sleep(100 * time.Millisecond)
			c.Close()
		},
		"from a stream": func(c *net.TCPConn, r *bufio.Reader) {
			io.WriteString(c, "GET /stream HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
			http.ReadResponse(r, nil)
			time.Sleep(1500 * time.Millisecond)
			c.Close()
		},
		"reset": func(c *net.TCPConn, _ *bufio.Reader) {
			io.WriteString(c, getX)
			time.Sleep(100 * time.Millisecond)
			c.SetLinger(0)
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stream" {
					fmt.Fprint(w, "so far")
					http.NewResponseController(w).Flush()
				}
				io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			})
			c, r := w.dial(t)
			leave(c, r)
			began := time.Now()
			w.eventually("it is counted", func() bool { return w.metric(gateway.MetricRequests, "code=499") == 1 })
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			w.eventually("the app is free", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
		})
	}
}

// An event stream that has said how long it is cannot be ended early: it goes on, and nothing is taken for its rest.
func TestDrainLeavesStreamsOfKnownLength(t *testing.T) {
	const event = "data: x\n\n"
	w := newWorld(t)
	w.route(ping, grace)
	a := w.arm(ping, 1)
	proceed := make(chan bool)
	a.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Length", fmt.Sprint(2*len(event)))
		io.WriteString(w, event)
		http.NewResponseController(w).Flush()
		select {
		case <-proceed:
		case <-r.Context().Done():
		}
		io.WriteString(w, event)
	}))
	c, r := w.dial(t)
	io.WriteString(c, getX)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(res.Body, make([]byte, len(event)))
	w.arm(ping, 2).serve(t, echo("next"))
	a.drain(t)
	time.Sleep(time.Second) // the grace is over
	io.WriteString(c, getX)
	close(proceed)
	if rest, err := io.ReadAll(res.Body); string(rest) != event || err != nil {
		t.Errorf("the rest: %q, %v", rest, err)
	}
	if status, body := nextAnswer(t, r); status != http.StatusOK || body != "next" {
		t.Errorf("the next: got %d %q", status, body)
	}
}

// A client gets all of the last response of its connection, whatever it sends meanwhile that is not read any more.
func TestLastResponseArrives(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	app := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		io.CopyN(w, zeros{}, size)
	}
	pipelined := strings.Repeat(getX, 1000)
	for name, half := range map[string]bool{"kept open": false, "closed by half": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withApp(t, app)
			c, r := w.dial(t)
			c.SetReadBuffer(16 << 10)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: close\r\n\r\n"+pipelined)
			if half {
				c.CloseWrite()
			} else {
				go func() {
					for range 100 {
						if _, err := io.WriteString(c, pipelined[:1000]); err != nil {
							return
						}
						time.Sleep(20 * time.Millisecond)
					}
				}()
			}
			time.Sleep(1500 * time.Millisecond) // all of it has been written by now, and more than a moment ago
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
				t.Errorf("%d of %d bytes arrived: %v", n, size, err)
			}
		})
	}
}

// A client that does not close its connection after the last response holds neither it nor the gateway's end up for long.
func TestLastResponseIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	w := withApp(t, echo("1").ServeHTTP)
	c, r := w.dial(t)
	began := time.Now()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: close\r\n\r\n")
	if status, body := nextAnswer(t, r); status != http.StatusOK || body != "1" {
		t.Errorf("got %d %q", status, body)
	}
	if _, err := r.ReadByte(); err != io.EOF || time.Since(began) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
	w.eventually("it is closed", func() bool { return w.metric(gateway.MetricConnections) == 0 })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Nor does one that does not take it hold up a gateway whose time to stop is over.
func TestLastResponseIsCutWhenTheGatewayEnds(t *testing.T) {
	t.Parallel()
	w := limited(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(1<<20))
		io.CopyN(w, zeros{}, 1<<20)
	}, func(cfg *gateway.Config) { cfg.DrainTimeout = time.Second })
	c, r := w.dial(t)
	c.SetReadBuffer(4 << 10)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: close\r\n\r\n")
	if _, err := r.ReadByte(); err != nil {
		t.Fatal(err)
	}
	w.eventually("all is written", func() bool { return w.metric(gateway.MetricRequests, "code=200") == 1 })
	time.Sleep(1500 * time.Millisecond)
	if n := w.metric(gateway.MetricConnections); n != 1 {
		t.Errorf("%v connections are left, want the one that has something to take", n)
	}
	began := time.Now()
	if err := w.stop(); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("stop: %v after %v", err, time.Since(began))
	}
}

// The other end of a unix socket, which is a proxy of this machine, may close its half, too, and is seen when it goes.
func TestHalfCloseOfUnixSocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	w := limited(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(500 * time.Millisecond):
			fmt.Fprint(w, "1")
		}
	}, func(cfg *gateway.Config) {
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Listeners = []net.Listener{listener}
	})
	dial := func() *net.UnixConn {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(requestTimeout))
		io.WriteString(c, getX)
		return c.(*net.UnixConn)
	}
	half, gone := dial(), dial()
	half.CloseWrite()
	gone.Close()
	if status, body := nextAnswer(t, bufio.NewReader(half)); status != http.StatusOK || body != "1" {
		t.Errorf("got %d %q", status, body)
	}
	w.eventually("the other one is counted", func() bool { return w.metric(gateway.MetricRequests, "code=499") == 1 })
}

// An answer that comes before the whole request says whether the connection goes on, and that holds: the rest of a small request is
// read, and that of another one is not waited for.
func TestEarlyResponseKeepsItsPromise(t *testing.T) {
	t.Parallel()
	const post = "POST /early HTTP/1.1\r\nHost: ping.localhost\r\n"
	for name, test := range map[string]struct {
		head   string
		read   int
		rest   string
		closes bool
	}{
		"bound":       {post + "Content-Length: 262154\r\n\r\n0123456789", 10, strings.Repeat("x", 256<<10), false},
		"large":       {post + "Content-Length: 262155\r\n\r\n0123456789", 10, strings.Repeat("x", 262_145), true},
		"of which":    {post + "Content-Length: 300000\r\n\r\n" + strings.Repeat("x", 100_000), 100_000, strings.Repeat("x", 200_000), false},
		"chunks":      {post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 5, "0\r\n\r\n", true},
		"all chunks":  {post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 5, "", false},
		"expectation": {post + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", 0, "hello", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withScript(t, func(c net.Conn, r *bufio.Reader, req *http.Request) {
				for err := error(nil); err == nil; req, err = http.ReadRequest(r) {
					io.ReadFull(req.Body, make([]byte, test.read))
					if test.rest == "" {
						io.Copy(io.Discard, req.Body)
					}
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			c, r := w.dial(t)
			io.WriteString(c, test.head)
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.Close != test.closes {
				t.Fatalf("got %+v, %v", res, err)
			}
			io.Copy(io.Discard, res.Body)
			time.Sleep(300 * time.Millisecond) // for longer than the app's response waits for the rest
			io.WriteString(c, test.rest+getX)
			if test.closes {
				if _, err := r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("it goes on: %v", err)
				}
				return
			}
			if status, body := nextAnswer(t, r); status != http.StatusOK || body != "ok" {
				t.Errorf("the next: got %d %q", status, body)
			}
		})
	}
}

// A 204 has no length, whatever the app says of one.
func TestNoLengthOf204(t *testing.T) {
	w := withScript(t, func(c net.Conn, _ *bufio.Reader, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
	})
	c, r := w.dial(t)
	io.WriteString(c, getX)
	var head bytes.Buffer
	for line := ""; line != "\r\n"; head.WriteString(line) {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(head.String(), "HTTP/1.1 204 ") || strings.Contains(strings.ToLower(head.String()), "content-length") {
		t.Errorf("got %q", head.String())
	}
	h2 := dialHTTP2(t, w)
	if status := h2.send(h2.fields(), ""); status != "204" {
		t.Errorf("HTTP/2: got %s", status)
	}
}

// An instance that breaks off between the head and the content of its response is one that has not answered.
func TestHeadWithoutContentBecomes502(t *testing.T) {
	for name, response := range map[string]string{
		"a length":  "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nSet-Cookie: a=b\r\n\r\n",
		"bad chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n\r\nx\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := withScript(t, func(c net.Conn, _ *bufio.Reader, _ *http.Request) { io.WriteString(c, response) })
			c, r := w.dial(t)
			for range 2 {
				io.WriteString(c, getX)
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				if res.StatusCode != http.StatusBadGateway || err != nil || len(body) == 0 || res.Close || res.Header.Get("Set-Cookie") != "" {
					t.Errorf("got %+v %q, %v", res, body, err)
				}
			}
			c10, r10 := w.dial(t)
			io.WriteString(c10, "GET / HTTP/1.0\r\nHost: ping.localhost\r\n\r\n")
			if status, _ := nextAnswer(t, r10); status != http.StatusBadGateway {
				t.Errorf("HTTP/1.0: got %d", status)
			}
			h2 := dialHTTP2(t, w)
			if status := h2.send(h2.fields(":method", "GET"), ""); status != "502" {
				t.Errorf("HTTP/2: got %s", status)
			}
		})
	}
}
