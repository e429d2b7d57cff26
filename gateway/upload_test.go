package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// protocols are those by which an app is asked.
var protocols = []platform.Protocol{platform.HTTP1, platform.H2C}

func over(protocol platform.Protocol) func(*platform.TrafficShare) {
	return func(s *platform.TrafficShare) { s.Protocol = protocol }
}

// speaks makes a server one of a protocol.
func speaks(protocol platform.Protocol) func(*http.Server) {
	return func(s *http.Server) {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetHTTP1(protocol == platform.HTTP1)
		s.Protocols.SetUnencryptedHTTP2(protocol == platform.H2C)
	}
}

const chunkedPost = "POST %s HTTP/1.1\r\nHost: ping.localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"

// An app that breaks off during an upload is the reason of what its client gets, and of what is counted; its instance is proved
// again.
func TestAppBreaksOffDuringUpload(t *testing.T) {
	for _, protocol := range protocols {
		for _, path := range []string{"/before", "/after"} {
			t.Run(string(protocol)+path, func(t *testing.T) {
				w := newWorld(t)
				w.route(ping, over(protocol))
				w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					http.NewResponseController(w).EnableFullDuplex()
					io.ReadFull(r.Body, make([]byte, 5))
					if r.URL.Path == "/after" {
						io.WriteString(w, "so far")
						http.NewResponseController(w).Flush()
					}
					if protocol == platform.HTTP1 { // a server of Go's would wait for the rest
						if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
							c.Close()
						}
					}
					panic(http.ErrAbortHandler)
				}), speaks(protocol))
				c, r := w.dial(t)
				fmt.Fprintf(c, chunkedPost, path)
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(res.Body); path == "/after" {
					if res.StatusCode != http.StatusOK || string(body) != "so far" || err == nil {
						t.Errorf("got %d %q, %v", res.StatusCode, body, err)
					}
					w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason=upstream") == 1 })
				} else if res.StatusCode != http.StatusBadGateway {
					t.Errorf("got %d %q", res.StatusCode, body)
				}
				w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
				if isReset := protocol == platform.H2C && path == "/before"; w.has(platform.MetricInstanceInFlight, "state=ready") != isReset {
					t.Errorf("the instance has its proof: %v; one that resets a stream is there", !isReset)
				}
			})
		}
	}
}

func startsWithin(seconds float64) func(*platform.TrafficShare) {
	return func(s *platform.TrafficShare) { s.ResponseStartTimeout = platform.Seconds(seconds) }
}

// The time in which an app must begin to answer does not run while the client sends.
func TestUploadIsNotTheAppsTime(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.route(ping, over(protocol), startsWithin(0.5))
			release := make(chan bool)
			w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/deaf" {
					<-release
					return
				}
				n, err := io.Copy(io.Discard, r.Body)
				if r.URL.Path == "/silent" {
					<-release
				}
				fmt.Fprint(w, n, err)
			}), speaks(protocol))
			defer close(release)
			slowly := func(path string) (int, string, time.Duration) {
				c, r := w.dial(t)
				fmt.Fprintf(c, chunkedPost, path)
				for range 4 {
					time.Sleep(300 * time.Millisecond)
					io.WriteString(c, "5\r\nhello\r\n")
				}
				io.WriteString(c, "0\r\n\r\n")
				sent := time.Now()
				status, body := nextAnswer(t, r)
				return status, body, time.Since(sent)
			}
			if status, body, _ := slowly("/x"); status != http.StatusOK || body != "25 <nil>" {
				t.Errorf("got %d %q", status, body)
			}
			if status, body, took := slowly("/silent"); status != http.StatusGatewayTimeout || took < 400*time.Millisecond || took > requestTimeout/2 {
				t.Errorf("of an app that is silent: got %d %q after %v", status, body, took)
			}
			// What the app does not take is its own time.
			c, r := w.dial(t)
			began := time.Now()
			fmt.Fprintf(c, "POST /deaf HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: %d\r\n\r\n", 1<<30)
			go io.Copy(c, io.LimitReader(zeros{}, 1<<30))
			if status, body := nextAnswer(t, r); status != http.StatusGatewayTimeout || time.Since(began) > requestTimeout/2 {
				t.Errorf("of an app that reads nothing: got %d %q after %v", status, body, time.Since(began))
			}
		})
	}
}

// A client that waits for the app to ask for its content is not the one who is late.
func TestAppThatDoesNotContinue(t *testing.T) {
	release := make(chan bool)
	w := withApp(t, func(http.ResponseWriter, *http.Request) { <-release }, startsWithin(0.3))
	defer close(release)
	c, r := w.dial(t)
	began := time.Now()
	io.WriteString(c, "POST /x HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if status, body := nextAnswer(t, r); status != http.StatusGatewayTimeout || time.Since(began) > requestTimeout/2 {
		t.Errorf("got %d %q after %v", status, body, time.Since(began))
	}
}

// A request that is sent again, to another revision, has its content and its path there, whatever protocol that speaks.
func TestRequestThatMoves(t *testing.T) {
	for _, to := range protocols {
		for name, request := range map[string]string{
			"at once": "POST /api/x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\nhello",
			"chunked": "POST /api/x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		} {
			t.Run(string(to)+" "+name, func(t *testing.T) {
				w := newWorld(t)
				next := platform.RevisionID{Function: ping.Function, Number: 2}
				put := func(id platform.RevisionID, strip bool, protocol platform.Protocol) {
					w.put(platform.Route{Function: id.Function, Hosts: []string{"shop.example/api"}, StripPrefix: strip, Traffic: []platform.TrafficShare{
						{Revision: id, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Duration(requestTimeout)}, Protocol: protocol},
					}})
					w.eventually("the route is taken", func() bool { return w.has(platform.MetricInFlight, "revision="+id.String()) })
				}
				put(ping, false, platform.HTTP1)
				first := w.arm(ping, 1)
				app := first.serve(t, echo("1"))
				app.SetKeepAlivesEnabled(false) // no connection tells that it has gone
				if got := w.get("ping", "/"); got.body != "1" {
					t.Fatalf("got %+v", got)
				}
				first.Close() // its file stays: connections are refused
				app.Close()
				w.arm(next, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					fmt.Fprint(w, r.URL.Path, " ", string(body), " ", err)
				}), speaks(to))
				c, r := w.dial(t)
				io.WriteString(c, request)
				w.eventually("it waits", func() bool { return w.metric(platform.MetricQueued) == 1 })
				put(next, true, to)
				if status, body := nextAnswer(t, r); status != http.StatusOK || body != "/x hello <nil>" {
					t.Errorf("got %d %q", status, body)
				}
			})
		}
	}
}

func one(s *platform.TrafficShare) { s.Concurrency = 1 }

// length is the head of a request whose content has a length.
func length(n int) string {
	return fmt.Sprintf("POST /x HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: %d\r\n\r\n", n)
}

// Content with a length takes no instance while its client sends it, whatever the protocols.
func TestSlowClientsTakeNoInstance(t *testing.T) {
	const size = 100_000
	for _, protocol := range protocols {
		t.Run(string(protocol), func(t *testing.T) {
			w := newWorld(t)
			w.route(ping, over(protocol), one)
			asked := make(chan int64, 10)
			w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(io.Discard, r.Body)
				asked <- n
				fmt.Fprint(w, n)
			}), speaks(protocol))
			slow, r := w.dial(t)
			io.WriteString(slow, length(size)+strings.Repeat("x", size/2))
			time.Sleep(200 * time.Millisecond)
			if got := w.get("ping", "/"); got.body != "0" {
				t.Errorf("another client got %+v", got)
			}
			w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
			if n := <-asked; n != 0 || len(asked) > 0 {
				t.Error("the app has seen the slow request")
			}
			for _, next := range []string{length(size) + strings.Repeat("x", size/2), ""} { // the connection serves another request after it
				io.WriteString(slow, strings.Repeat("y", size/2))
				if status, body := nextAnswer(t, r); status != http.StatusOK || body != fmt.Sprint(size) {
					t.Errorf("got %d %q", status, body)
				}
				io.WriteString(slow, next)
			}
		})
	}
}

// head sends the head of a request whose content follows.
func (c *rawHTTP2) head(fields []hpack.HeaderField) {
	c.block.Reset()
	for _, f := range fields {
		c.coder.WriteField(f)
	}
	head := http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: []byte(c.block.String()), EndHeaders: true}
	if err := c.framer.WriteHeaders(head); err != nil {
		c.t.Fatal(err)
	}
}

// The content of a stream of HTTP/2 is no different.
func TestSlowStreamsTakeNoInstance(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }, one)
	h2 := dialHTTP2(t, w)
	h2.head(h2.fields("content-length", "10"))
	h2.framer.WriteData(h2.stream, false, []byte("hello"))
	time.Sleep(200 * time.Millisecond)
	if got := w.do("POST", "ping", "/", "me"); got.body != "me" {
		t.Errorf("another client got %+v", got)
	}
	w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
	h2.framer.WriteData(h2.stream, true, []byte("hello"))
	if status := h2.status(); status != "200" {
		t.Errorf("got %s", status)
	}
}

// The head of a request is whole, in whatever pieces its content comes: it stays what it was while that is read.
func TestHeadOfHeldContent(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(string(protocol), func(t *testing.T) {
			w := newWorld(t)
			w.route(ping, over(protocol))
			w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				fmt.Fprint(w, r.Method, r.RequestURI, r.Header.Get("X-Given"), string(body))
			}), speaks(protocol))
			c, r := w.dial(t)
			given := strings.Repeat("g", 1000)
			io.WriteString(c, "POST /some/path?query HTTP/1.1\r\nHost: ping.localhost\r\nX-Given: "+given+"\r\nContent-Length: 3000\r\n\r\n")
			for range 3 { // each less than what is read past the buffer
				time.Sleep(20 * time.Millisecond)
				io.WriteString(c, strings.Repeat("/", 1000))
			}
			if status, body := nextAnswer(t, r); status != http.StatusOK || body != "POST/some/path?query"+given+strings.Repeat("/", 3000) {
				t.Errorf("got %d %.100q", status, body)
			}
		})
	}
}

// An app that answers before it has read what it gets at once, and more than fits, is not waited for.
func TestEarlyResponseToHeldContent(t *testing.T) {
	const size = 256 << 10
	w := withScript(t, func(c net.Conn, r *bufio.Reader, _ *http.Request) {
		for range 2000 { // small pieces fill the socket, too
			if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return
			}
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		io.Copy(io.Discard, r)
	})
	c, r := w.dial(t)
	io.WriteString(c, length(size)+strings.Repeat("x", size))
	for range 2000 {
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusContinue {
			body, _ := io.ReadAll(res.Body)
			t.Fatalf("got %+v %s, %v", res, body, err)
		}
	}
	if status, body := nextAnswer(t, r); status != http.StatusOK || body != "ok" {
		t.Errorf("got %d %q", status, body)
	}
}

// Content for which there is no memory goes to the app as it comes; the memory of what has ended is there again.
func TestHeldContentIsBounded(t *testing.T) {
	const size = 64 << 10
	began := make(chan bool, 100)
	w := limited(t, func(w http.ResponseWriter, r *http.Request) {
		began <- true
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}, func(cfg *gateway.Config) { cfg.MaxBuffered = 2*size + 20<<10 }) // and the head
	half := strings.Repeat("x", size/2)
	for range 5 {
		held, heldAnswer := w.dial(t)
		io.WriteString(held, length(size)+half)
		io.WriteString(held, half[1:])
		time.Sleep(100 * time.Millisecond)
		passed, passedAnswer := w.dial(t)
		io.WriteString(passed, length(size)+half)
		select {
		case <-began:
		case <-time.After(requestTimeout):
			t.Fatal("it is held without memory")
		}
		if len(began) > 0 {
			t.Fatal("it is not held though there is memory")
		}
		io.WriteString(passed, half)
		io.WriteString(held, "x")
		for _, r := range []*bufio.Reader{heldAnswer, passedAnswer} {
			if status, body := nextAnswer(t, r); status != http.StatusOK || body != fmt.Sprint(size) {
				t.Fatalf("got %d %q", status, body)
			}
		}
		<-began
	}
	w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
}

// A client that leaves or is late with its content is told so if it can be; the app never hears of it.
func TestHeldContentThatDoesNotCome(t *testing.T) {
	var app ledger
	w := limited(t, app.ServeHTTP, func(cfg *gateway.Config) { cfg.DrainTimeout = 100 * time.Millisecond }, inSeconds(0.4))
	c, r := w.dial(t)
	began := time.Now()
	io.WriteString(c, length(1000))
	go drip(c, strings.Repeat("x", 1000))
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusRequestTimeout || !res.Close {
		t.Errorf("got %+v, %v", res, err)
	}
	if _, err := io.ReadAll(r); errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) >= requestTimeout {
		t.Errorf("open after %v, %v", time.Since(began), err)
	}
	c, _ = w.dial(t)
	io.WriteString(c, length(1000)+"hello")
	c.Close()
	h2 := dialHTTP2(t, w)
	h2.head(h2.fields("content-length", "10"))
	h2.framer.WriteData(h2.stream, false, []byte("hello"))
	if status := h2.status(); status != "408" {
		t.Errorf("HTTP/2: got %s", status)
	}
	codes := func() float64 { return w.metric(platform.MetricRequests) }
	w.eventually("all are counted", func() bool { return codes() == 3 })
	if seen := app.take(); len(seen) > 0 {
		t.Errorf("the app saw %q", seen)
	}
	if n := w.inFlight(); n != 0 {
		t.Errorf("%v in flight", n)
	}
}

// A gateway that stops does not wait for content for longer than for anything else.
func TestHeldContentAtTheEnd(t *testing.T) {
	w := limited(t, echo("1").ServeHTTP, func(cfg *gateway.Config) { cfg.DrainTimeout = 300 * time.Millisecond })
	c, r := w.dial(t)
	io.WriteString(c, length(1000)+"hello")
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	go w.stop()
	if status, body := nextAnswer(t, r); status != http.StatusServiceUnavailable {
		t.Errorf("got %d %q", status, body)
	}
	if err := w.stop(); err != nil || time.Since(began) > requestTimeout/2 {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// What was held moves with the request to the revision that has the traffic by then.
func TestHeldContentFollowsTheRoute(t *testing.T) {
	w := withApp(t, echo("1").ServeHTTP)
	next := platform.RevisionID{Function: ping.Function, Number: 2}
	c, r := w.dial(t)
	io.WriteString(c, length(10)+"hello")
	time.Sleep(100 * time.Millisecond)
	a := w.arm(next, 1)
	w.route(next)
	a.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "2")
		io.Copy(w, r.Body)
	}))
	io.WriteString(c, "hello")
	if status, body := nextAnswer(t, r); status != http.StatusOK || body != "2hellohello" {
		t.Errorf("got %d %q", status, body)
	}
}

// sends is an app that answers with so many bytes, and tells when it has.
func sends(n int, sent chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(n))
		_, err := io.WriteString(w, strings.Repeat("x", n))
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		sent <- err
	}
}

// A response of a known length takes no instance while its client does not read it.
func TestSlowReadersTakeNoInstance(t *testing.T) {
	const size = 250 << 10
	for _, protocol := range protocols {
		for _, client := range protocols {
			t.Run(string(protocol)+" to "+string(client), func(t *testing.T) {
				sent := make(chan error, 10)
				w := newWorld(t, tinyBuffers)
				w.route(ping, over(protocol), one)
				w.arm(ping, 1).serve(t, sends(size, sent), speaks(protocol))
				var r *bufio.Reader
				if client == platform.HTTP1 {
					var c net.Conn
					c, r = w.dial(t)
					io.WriteString(c, getX)
				} else if h2 := dialHTTP2(t, w); h2.send(h2.fields(":method", "GET"), "") != "200" { // its window is 64 KiB
					t.Fatal("it is not answered")
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				if got := w.get("ping", "/quick"); got.status != http.StatusOK {
					t.Errorf("another client got %+v", got)
				}
				w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
				w.eventually("the other has ended", func() bool { return w.metric(platform.MetricRequests) == 1 })
				if client != platform.HTTP1 {
					return
				}
				if status, body := nextAnswer(t, r); status != http.StatusOK || len(body) != size {
					t.Errorf("got %d and %d bytes", status, len(body))
				}
				w.eventually("it is counted", func() bool { return w.metric(platform.MetricRequests) == 2 })
				if n := w.inFlight(); n != 0 {
					t.Errorf("%v in flight", n)
				}
			})
		}
	}
}

// tinyBuffers has the kernel keep little of what is sent to clients.
func tinyBuffers(cfg *gateway.Config) { buffersOf(4096)(cfg) }

// buffersOf has the kernel keep about so much.
func buffersOf(size int) func(*gateway.Config) {
	return func(cfg *gateway.Config) {
		if listener, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
			cfg.Listeners[0] = tinyListener{listener, size}
		}
	}
}

type tinyListener struct {
	net.Listener
	size int
}

func (l tinyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		c.(*net.TCPConn).SetWriteBuffer(l.size)
	}
	return c, err
}

// A response that comes in pieces goes to its client in pieces, of a known length or not; one that stops is cut.
func TestPiecesAreNotKept(t *testing.T) {
	const size, piece = 100 << 10, 20 << 10
	next := make(chan bool)
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for i := range size / piece {
			if i == 3 && r.URL.Path == "/stops" {
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, strings.Repeat("x", piece))
			http.NewResponseController(w).Flush()
			<-next
		}
	})
	for path, pieces := range map[string]int{"/x": size / piece, "/stops": 3} {
		res, err := w.client.Do(w.request("GET", "ping", path, ""))
		if err != nil {
			t.Fatal(err)
		}
		for range pieces {
			if _, err := io.ReadFull(res.Body, make([]byte, piece)); err != nil {
				t.Fatal(err)
			}
			next <- true
		}
		if rest, err := io.ReadAll(res.Body); len(rest) > 0 || (err == nil) != (path == "/x") {
			t.Errorf("%s: at the end %q, %v", path, rest, err)
		}
		res.Body.Close()
	}
	w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason=upstream") == 1 })
}

// The memory for responses is bounded, too, and that of what has ended is there again.
func TestReadAheadIsBounded(t *testing.T) {
	const size = 250 << 10
	sent := make(chan error, 10)
	w := limited(t, sends(size, sent), func(cfg *gateway.Config) {
		cfg.MaxBuffered = 2 * 64 << 10
		tinyBuffers(cfg)
	})
	head := fmt.Sprintf("POST /quick HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: %d\r\n\r\n", 48<<10)
	for range 3 {
		held, heldAnswer := w.dial(t)
		io.WriteString(held, head+strings.Repeat("x", 47<<10))
		time.Sleep(50 * time.Millisecond)
		slow, slowAnswer := w.dial(t)
		io.WriteString(slow, getX)
		time.Sleep(100 * time.Millisecond)
		if n := w.inFlight(); n != 1 {
			t.Errorf("%v in flight, without memory to read ahead", n)
		}
		io.WriteString(held, strings.Repeat("x", 1<<10))
		if status, body := nextAnswer(t, heldAnswer); status != http.StatusOK {
			t.Errorf("got %d %q", status, body)
		}
		if status, body := nextAnswer(t, slowAnswer); status != http.StatusOK || len(body) != size {
			t.Errorf("got %d and %d bytes", status, len(body))
		}
		<-sent
	}
}

// A connection that was promised to go on does, also if the app has left unread what it has got of the request.
func TestEarlyResponseBeforeTheLastPiece(t *testing.T) {
	const size = 300_000
	for _, read := range []int{74_000, 81_000, 88_000} { // of which one leaves a single piece to be sent
		t.Run(strconv.Itoa(read), func(t *testing.T) {
			t.Parallel()
			done := make(chan bool)
			w := withScript(t, func(c net.Conn, r *bufio.Reader, req *http.Request) {
				if req.Method == http.MethodGet {
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nget")
					return
				}
				io.ReadFull(req.Body, make([]byte, read))
				time.Sleep(200 * time.Millisecond) // until the client has sent everything
				io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
				<-done
			})
			defer close(done)
			c, r := w.dial(t)
			go io.WriteString(c, length(size)+strings.Repeat("x", size))
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			if res.Close {
				return
			}
			time.Sleep(300 * time.Millisecond)
			io.WriteString(c, getX)
			if status, body := nextAnswer(t, r); status != http.StatusOK || body != "get" {
				t.Errorf("got %d %q", status, body)
			}
		})
	}
}

// Requests of which there is nothing but the head take next to nothing of the memory for content.
func TestHeadsHoldLittle(t *testing.T) {
	began := make(chan bool, 10)
	w := limited(t, func(_ http.ResponseWriter, r *http.Request) {
		began <- true
		io.Copy(io.Discard, r.Body)
	}, func(cfg *gateway.Config) { cfg.MaxBuffered = 64 << 10 })
	for range 2 {
		c, _ := w.dial(t)
		io.WriteString(c, length(200_000))
	}
	time.Sleep(100 * time.Millisecond)
	c, _ := w.dial(t)
	io.WriteString(c, length(2000)+"x")
	select {
	case <-began:
		t.Error("there is no memory for two kilobytes of content")
	case <-time.After(500 * time.Millisecond):
	}
}

// Streams that are reset as soon as they are opened leave nothing in flight.
func TestStreamsThatAreResetAtOnce(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(string(protocol), func(t *testing.T) {
			w := newWorld(t)
			w.route(ping, over(protocol))
			w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }), speaks(protocol))
			if got := w.get("ping", "/"); got.body != "ok" {
				t.Fatal(got)
			}
			h2 := dialHTTP2(t, w)
			go func() {
				for err := error(nil); err == nil; {
					_, err = h2.framer.ReadFrame()
				}
			}()
			for range 40 {
				for range 20 {
					h2.block.Reset()
					for _, f := range h2.fields(":method", "GET") {
						h2.coder.WriteField(f)
					}
					head := http2.HeadersFrameParam{StreamID: h2.stream, BlockFragment: []byte(h2.block.String()), EndHeaders: true, EndStream: true}
					h2.framer.WriteHeaders(head)
					h2.framer.WriteRSTStream(h2.stream, http2.ErrCodeCancel)
					h2.stream += 2
				}
				time.Sleep(5 * time.Millisecond)
			}
			w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
		})
	}
}
