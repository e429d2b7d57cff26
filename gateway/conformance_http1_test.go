package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// script is an app that has read the head of a request, and answers with bytes.
type script func(c net.Conn, r *bufio.Reader, req *http.Request)

// withScript is a world with one function, ping, whose instance is a script. The connection is closed when that returns.
func withScript(t *testing.T, s script, adjust ...func(*platform.TrafficShare)) *world {
	t.Helper()
	w := newWorld(t)
	w.route(ping, adjust...)
	a := w.arm(ping, 1)
	go func() {
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if req, err := http.ReadRequest(r); err == nil {
					s(c, r, req)
				}
			}()
		}
	}()
	return w
}

const getX = "GET /x HTTP/1.1\r\nHost: ping.localhost\r\n\r\n"

// answersOf sends bytes and returns all answers up to the end of the connection, without their fields.
func (w *world) answersOf(t *testing.T, request string) []string {
	t.Helper()
	c, r := w.dial(t)
	go io.WriteString(c, request)
	var answers []string
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
				t.Errorf("after %q: %v", answers, err)
			}
			return answers
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			body = append(body, " (cut)"...)
		}
		answers = append(answers, fmt.Sprintf("%d %s", res.StatusCode, body))
		if res.Close {
			r.ReadByte() // closed it must be, too
		}
	}
}

func TestHTTP10(t *testing.T) {
	var app ledger
	w := withApp(t, app.ServeHTTP)
	const head = " /x HTTP/1.0\r\nHost: ping.localhost\r\n"
	for name, test := range map[string]struct {
		request string
		want    []string
	}{
		"closed":         {"GET" + head + "\r\n" + getX, []string{"200 GET /x 0"}},
		"kept":           {"GET" + head + "Connection: keep-alive\r\n\r\nGET" + head + "\r\n", []string{"200 GET /x 0", "200 GET /x 0"}},
		"with a body":    {"POST" + head + "Content-Length: 5\r\n\r\nhello", []string{"200 POST /x 5"}},
		"without length": {"POST" + head + "\r\nhello", []string{"200 POST /x 0"}},
	} {
		if got := w.answersOf(t, test.request); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// A client of HTTP/1.0 knows neither chunks nor interim responses.
func TestHTTP10GetsWhatItUnderstands(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "so ")
		http.NewResponseController(w).Flush()
		fmt.Fprint(w, "far")
	})
	c, r := w.dial(t)
	io.WriteString(c, "GET / HTTP/1.0\r\nHost: ping.localhost\r\nConnection: keep-alive\r\n\r\n")
	answer, err := io.ReadAll(r)
	if err != nil || strings.Count(string(answer), "HTTP/1.") != 1 || !strings.HasSuffix(string(answer), "\r\n\r\nso far") || strings.Contains(string(answer), "chunked") {
		t.Errorf("got %q, %v", answer, err)
	}
}

// Requests that arrive together are answered one after the other, in order.
func TestPipelinedBodies(t *testing.T) {
	var busy, together atomic.Int32
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		if busy.Add(1) > 1 {
			together.Add(1)
		}
		defer busy.Add(-1)
		n, _ := io.Copy(io.Discard, r.Body)
		time.Sleep(time.Millisecond)
		fmt.Fprintf(w, "%s %d", r.URL.Path, n)
	})
	var request strings.Builder
	var want []string
	const host = " HTTP/1.1\r\nHost: ping.localhost\r\n"
	for i := range 100 {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&request, "GET /%d%s\r\n", i, host)
		case 1:
			fmt.Fprintf(&request, "POST /%d%sContent-Length: 5\r\n\r\nhello", i, host)
		default:
			fmt.Fprintf(&request, "POST /%d%sTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", i, host)
		}
		want = append(want, fmt.Sprintf("200 /%d %d", i, min(i%3, 1)*5))
	}
	request.WriteString("GET /last" + host + "Connection: close\r\n\r\n")
	if got := w.answersOf(t, request.String()); !slices.Equal(got, append(want, "200 /last 0")) {
		t.Errorf("got %q", got)
	}
	if n := together.Load(); n > 0 {
		t.Errorf("%d requests of one connection ran beside another one", n)
	}
}

// Fields of the head and the trailer, and chunks, go through in both directions.
func TestTrailers(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Answer")
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v", n, err)
		http.NewResponseController(w).Flush()
		w.Header().Set("X-Answer", r.Trailer.Get("X-Sum")+r.Trailer.Get("Host")+r.Trailer.Get("Content-Length"))
	})
	c, r := w.dial(t)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: ping.localhost\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if string(body) != "5 <nil>" || err != nil || res.Trailer.Get("X-Answer") != "42" {
		t.Errorf("got %q, %v, trailer %v", body, err, res.Trailer)
	}
}

// 100 Continue is the app's to say: before that the client waits, and if it says something else, the body is not sent.
func TestExpectContinue(t *testing.T) {
	const request = "POST /x HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	t.Run("sent on", func(t *testing.T) {
		ask := make(chan bool)
		w := withScript(t, func(c net.Conn, r *bufio.Reader, req *http.Request) {
			ask <- req.Header.Get("Expect") == "100-continue" && r.Buffered() == 0
			<-ask
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			body, _ := io.ReadAll(req.Body)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		})
		c, r := w.dial(t)
		io.WriteString(c, request)
		if !<-ask {
			t.Error("the app was not asked, or got a body at once")
		}
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if b, err := r.Peek(1); err == nil {
			t.Errorf("the client got %q before the app agreed", b)
		}
		c.SetReadDeadline(time.Now().Add(requestTimeout))
		ask <- true
		if status, _ := nextAnswer(t, r); status != http.StatusContinue {
			t.Fatalf("got %d", status)
		}
		io.WriteString(c, "hello")
		if status, body := nextAnswer(t, r); status != http.StatusOK || body != "hello" {
			t.Errorf("got %d %q", status, body)
		}
	})
	for _, status := range []int{http.StatusExpectationFailed, http.StatusRequestEntityTooLarge, http.StatusOK} {
		t.Run(fmt.Sprint("refused with ", status), func(t *testing.T) {
			var app ledger
			w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Expect") == "" {
					app.ServeHTTP(w, r)
					return
				}
				w.WriteHeader(status)
				fmt.Fprint(w, "no")
			})
			c, r := w.dial(t)
			io.WriteString(c, request)
			if got, body := nextAnswer(t, r); got != status || body != "no" {
				t.Errorf("got %d %q", got, body)
			}
			// A client that goes on sends its body, or another request: one must not be taken for the other.
			io.WriteString(c, getX)
			http.ReadResponse(r, nil)
			if seen := app.take(); len(seen) > 1 || len(seen) == 1 && seen[0] != "GET /x 0" {
				t.Errorf("the app saw %q", seen)
			}
		})
	}
	t.Run("by a real client", func(t *testing.T) {
		w := withApp(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
		w.client.Transport.(*http.Transport).ExpectContinueTimeout = requestTimeout
		began, continued := time.Now(), false
		req := w.request("POST", "ping", "/", "hello")
		req.Header.Set("Expect", "100-continue")
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued = true }}))
		if got := send(w.client, req); got.body != "hello" || !continued || time.Since(began) >= requestTimeout {
			t.Errorf("got %+v after %v, continued %v", got, time.Since(began), continued)
		}
	})
}

// Interim responses come before the one that counts, as soon as they are sent.
func TestInterimResponses(t *testing.T) {
	next := make(chan bool)
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 2 {
			w.Header().Set("Link", fmt.Sprintf("</%d.css>", i))
			w.WriteHeader(http.StatusEarlyHints)
			<-next
		}
		w.WriteHeader(http.StatusProcessing)
		fmt.Fprint(w, "done")
	})
	var links []string
	var codes []int
	req := w.request("GET", "ping", "/", "")
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			codes, links = append(codes, code), append(links, header.Get("Link"))
			if code == http.StatusEarlyHints {
				next <- true
			}
			return nil
		}}))
	if got := send(w.client, req); got.body != "done" || got.header.Get("Link") != "</1.css>" {
		t.Errorf("got %+v", got)
	}
	if !slices.Equal(codes, []int{103, 103, 102}) || links[0] != "</0.css>" || links[1] != "</1.css>" {
		t.Errorf("got %v %v", codes, links)
	}
}

// What has no body by its status or its method has none, whatever its fields say, and the connections go on.
func TestBodilessResponses(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusNotModified)
		case "/length":
			w.Header().Set("Content-Length", "1000")
			io.CopyN(w, zeros{}, 1000)
		case "/chunked":
			fmt.Fprint(w, "so far")
			http.NewResponseController(w).Flush()
		}
	})
	c, r := w.dial(t)
	for _, test := range []struct {
		method, path string
		status       int
		length       int64
	}{
		{"GET", "/204", 204, 0}, {"GET", "/304", 304, 1000}, {"HEAD", "/length", 200, 1000}, {"HEAD", "/chunked", 200, -1},
		{"HEAD", "/empty", 200, -1}, {"HEAD", "/204", 204, 0}, {"GET", "/empty", 200, 0}, {"DELETE", "/204", 204, 0},
	} {
		io.WriteString(c, test.method+" "+test.path+" HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
		res, err := http.ReadResponse(r, &http.Request{Method: test.method})
		if err != nil {
			t.Fatalf("%s %s: %v", test.method, test.path, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || len(body) > 0 || res.StatusCode != test.status || res.Header.Get("Etag") != `"1"` || res.Close {
			t.Errorf("%s %s: got %+v with %d bytes, %v", test.method, test.path, res, len(body), err)
		}
		length := res.ContentLength
		if test.status == http.StatusNotModified && res.Header.Get("Content-Length") != "" {
			length = test.length // net/http does not parse it there
		}
		if test.path == "/length" && length != test.length {
			t.Errorf("%s %s: got length %d", test.method, test.path, length)
		}
		if test.status == http.StatusNoContent && (res.Header.Get("Content-Length") != "" || len(res.TransferEncoding) > 0) {
			t.Errorf("204 has a length: %v %v", res.Header, res.TransferEncoding)
		}
	}
}

// The target reaches the app as the client wrote it, in the form that is for apps.
func TestTargets(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host, " ", r.RequestURI) })
	for target, want := range map[string]string{
		"/a//b/./../c%2Fd?x=%zz;y&?": "ping.localhost /a//b/./../c%2Fd?x=%zz;y&?",
		"http://ping.localhost/a?b":  "ping.localhost /a?b",
		"http://ping.localhost?b":    "ping.localhost /?b",
		"http://PING.localhost:80/a": "PING.localhost:80 /a",
		"/http://nobody/":            "ping.localhost /http://nobody/",
	} {
		c, r := w.dial(t)
		io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
		if status, body := nextAnswer(t, r); status != http.StatusOK || body != want {
			t.Errorf("%s: got %d %q, want %q", target, status, body, want)
		}
	}
	c, r := w.dial(t)
	io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
	if status, _ := nextAnswer(t, r); status != http.StatusOK {
		t.Errorf("OPTIONS *: got %d", status)
	}
}

// However the end of a response is told, the client gets all of it, and knows when that is.
func TestEndsOfResponses(t *testing.T) {
	for name, test := range map[string]struct{ response, want string }{
		"length":               {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		"chunks":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n4;x=y\r\nello\r\n0\r\n\r\n", "hello"},
		"padded chunks":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5  \r\nhello\r\n0  \r\n\r\n", "hello"},
		"close":                {"HTTP/1.1 200 OK\r\n\r\nhello", "hello"},
		"close, said":          {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "hello"},
		"close in 1.0":         {"HTTP/1.0 200 OK\r\n\r\nhello", "hello"},
		"length in 1.0":        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		"without reason":       {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		"with an empty reason": {"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", "hello"},
		"nothing":              {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := withScript(t, func(c net.Conn, _ *bufio.Reader, _ *http.Request) { io.WriteString(c, test.response) })
			c, r := w.dial(t)
			for range 2 { // the client's connection goes on where that can be
				io.WriteString(c, getX)
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				if string(body) != test.want || err != nil {
					t.Errorf("got %q, %v", body, err)
				}
				if res.Close {
					return
				}
			}
		})
	}
}

// What an app sends that is no response, or whose end is in doubt, becomes 502 while the status can still change.
func TestBadResponsesBecome502(t *testing.T) {
	for name, response := range map[string]string{
		"nothing":                 "",
		"half a head":             "HTTP/1.1 200 OK\r\nContent-Le",
		"noise":                   "hello\r\n\r\n",
		"no status":               "HTTP/1.1 OK\r\n\r\n",
		"status of 4 digits":      "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"status 099":              "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
		"other version":           "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"length and chunks":       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
		"length of a word":        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
		"negative length":         "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
		"unknown coding":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
		"space before colon":      "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
		"NUL in a value":          "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
		"CR in a value":           "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
		"bare LF":                 "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"upgrade without request": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
		"a head without end":      "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			w := withScript(t, func(c net.Conn, _ *bufio.Reader, _ *http.Request) { io.WriteString(c, response) })
			// POST, which is never repeated.
			got := w.do("POST", "ping", "/", "hello")
			if got.status != http.StatusBadGateway || !strings.HasSuffix(got.body, ": see fnctl logs ping\n") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A response that breaks off or turns bad in its body is cut for the client: it never looks whole.
func TestCutResponses(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	for name, response := range map[string]string{
		"in the length":          "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello",
		"between chunks":         chunked,
		"in a size":              chunked + "5",
		"in a chunk":             chunked + "5\r\nhel",
		"in the last chunk":      chunked + "0\r\n",
		"in the trailer":         chunked + "0\r\nX: y\r\n",
		"by a bad size":          chunked + "x\r\n",
		"by a negative size":     chunked + "-1\r\n\r\n",
		"by a size out of range": chunked + "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"by data without end":    chunked + "5\r\nhelloX0\r\n\r\n",
		"by a bad trailer":       chunked + "0\r\nX : y\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := withScript(t, func(c net.Conn, _ *bufio.Reader, _ *http.Request) { io.WriteString(c, response) })
			c, r := w.dial(t)
			io.WriteString(c, getX)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err == nil || res.StatusCode == http.StatusOK && !strings.HasPrefix("hellohello", string(body)) {
				t.Errorf("got %d %q, and it looks whole: %v", res.StatusCode, body, err)
			}
			if _, err := r.ReadByte(); err == nil {
				t.Error("the connection is still open")
			}
			h2 := dialHTTP2(t, w)
			end := h2.send(h2.fields(":method", "GET"), "")
			if end == "200" {
				end = h2.end()
			}
			if end != "reset" {
				t.Errorf("HTTP/2: it ended with %s", end)
			}
			w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason=upstream") == 2 })
		})
	}
}

// end reads the rest of the response to the last request, and says how it ended.
func (c *rawHTTP2) end() string {
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return "end"
			}
		}
	}
}

// What an app sends behind a response belongs to no request.
func TestNothingIsTakenForTheNextResponse(t *testing.T) {
	const smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
	for name, first := range map[string]string{
		"length": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + smuggled,
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + smuggled,
		"204":    "HTTP/1.1 204 No Content\r\n\r\n" + smuggled,
		"304":    "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok" + smuggled,
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			w := withScript(t, func(c net.Conn, r *bufio.Reader, _ *http.Request) {
				for err := error(nil); err == nil; _, err = http.ReadRequest(r) {
					if requests.Add(1) == 1 {
						io.WriteString(c, first)
					} else {
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
					}
				}
			})
			w.get("ping", "/first")
			if got := w.get("ping", "/second"); got.body != "second" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// The body of an answer to HEAD, which must not be there, is not the answer to what follows.
func TestBodyForHEADIsDropped(t *testing.T) {
	w := withScript(t, func(c net.Conn, r *bufio.Reader, req *http.Request) {
		for err := error(nil); err == nil; req, err = http.ReadRequest(r) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"+req.Method[:2]+"...")
		}
	})
	w.do("HEAD", "ping", "/", "")
	if got := w.get("ping", "/"); got.body != "GE..." {
		t.Errorf("got %+v", got)
	}
}

// An app may answer while the body is still sent, and need not read the rest.
func TestEarlyResponse(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" {
			http.Error(w, "enough", http.StatusRequestEntityTooLarge)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			c, r := w.dial(t)
			io.WriteString(c, "POST /early HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: 100000000\r\n\r\n")
			go io.Copy(c, io.LimitReader(zeros{}, 10<<20))
			if status, body := nextAnswer(t, r); status != http.StatusRequestEntityTooLarge || body != "enough\n" {
				t.Errorf("got %d %q", status, body)
			}
		})
	}
	group.Wait()
	w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
	if got := w.do("POST", "ping", "/", "hello"); got.body != "5" {
		t.Errorf("got %+v", got)
	}
}

// A body goes to the app while the client is still sending it, and comes back the same way.
func TestBodiesAreNotHeldBack(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		b := make([]byte, 100)
		for {
			n, err := r.Body.Read(b)
			w.Write(b[:n])
			http.NewResponseController(w).Flush()
			if err != nil {
				return
			}
		}
	})
	c, r := w.dial(t)
	io.WriteString(c, "POST /x HTTP/1.1\r\nHost: ping.localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	for _, word := range []string{"one..", "two..", "three"} {
		fmt.Fprintf(c, "5\r\n%s\r\n", word)
		if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != word {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	io.WriteString(c, "0\r\n\r\n")
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
		t.Errorf("at the end: %q, %v", rest, err)
	}
}

// Fields that are about one connection end there, in both directions; all others arrive as they were.
func TestHopByHopFields(t *testing.T) {
	hops := []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "X-Hop", "Upgrade"}
	var got http.Header
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		for _, hop := range hops {
			w.Header().Set(hop, "x")
		}
		w.Header().Set("Connection", "x-hop")
		w.Header()["X-Many"] = []string{"1", "2"}
		w.Header().Set("Server", "mine")
	})
	c, r := w.dial(t)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: keep-alive, x-HOP\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n"+
		"Proxy-Authorization: x\r\nProxy-Authenticate: x\r\nTE: gzip\r\nUpgrade: x\r\nX-Many: 1\r\nX-Many: 2\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"+
		"Tracestate: a=b\r\nAuthorization: me\r\nCookie: a=b\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, hop := range append(hops, "Te", "Transfer-Encoding") {
		if len(got[hop]) > 0 {
			t.Errorf("the app sees %s: %q", hop, got[hop])
		}
	}
	for _, hop := range hops {
		if len(res.Header[hop]) > 0 {
			t.Errorf("the client sees %s: %q", hop, res.Header[hop])
		}
	}
	for name, want := range map[string]string{"X-Many": "1|2", "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"Tracestate": "a=b", "Authorization": "me", "Cookie": "a=b"} {
		if strings.Join(got[name], "|") != want {
			t.Errorf("the app sees %s: %q", name, got[name])
		}
	}
	if strings.Join(res.Header["X-Many"], "|") != "1|2" || res.Header.Get("Server") != "mine" {
		t.Errorf("the client sees %v", res.Header)
	}
}

// What Connection may not take away is not taken away.
func TestConnectionNamesNothingOfOurs(t *testing.T) {
	var got *http.Request
	w := withApp(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	c, r := w.dial(t)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Host, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
	if status, _ := nextAnswer(t, r); status != http.StatusOK {
		t.Fatalf("got %d", status)
	}
	for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "ping.localhost"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: got %q", name, got.Header[name])
		}
	}
	if got.Host != "ping.localhost" || got.Header.Get("X-Request-Id") == "" {
		t.Errorf("got host %q and %v", got.Host, got.Header)
	}
}

// Events reach the client one by one, in HTTP/2 too.
func TestEventsOverHTTP2(t *testing.T) {
	next := make(chan bool)
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			<-next
		}
	})
	transport := http2Transport(t)
	res, err := (&http.Client{Transport: transport}).Do(w.request("GET", "ping", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for i := range 3 {
		event := make([]byte, len("data: 0\n\n"))
		if _, err := io.ReadFull(res.Body, event); err != nil || string(event) != fmt.Sprintf("data: %d\n\n", i) {
			t.Fatalf("got %q, %v", event, err)
		}
		next <- true
	}
}
