package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/net/http2"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// uploader sends a request whose content has no length, unless a field gives it one, over either protocol.
type uploader struct {
	send   func(text string, last bool)
	status func() int
}

func (w *world) upload(t *testing.T, protocol platform.Protocol, fields ...string) uploader {
	if protocol == platform.H2C {
		h2 := dialHTTP2(t, w)
		h2.head(h2.fields(fields...))
		data := http2.NewFramer(h2.conn, nil) // one for each of those that may write at once
		return uploader{
			send: func(text string, last bool) { data.WriteData(h2.stream, last, []byte(text)) },
			status: func() (code int) {
				fmt.Sscan(h2.status(), &code)
				return code
			},
		}
	}
	c, r := w.dial(t)
	head := "POST /x HTTP/1.1\r\nHost: ping.localhost\r\n"
	isChunked := !slices.Contains(fields, "content-length")
	if isChunked {
		fields = append(fields, "transfer-encoding", "chunked")
	}
	for pair := range slices.Chunk(fields, 2) {
		head += pair[0] + ": " + pair[1] + "\r\n"
	}
	io.WriteString(c, head+"\r\n")
	return uploader{
		send: func(text string, last bool) {
			if isChunked && text != "" {
				text = fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
			}
			if isChunked && last {
				text += "0\r\n\r\n"
			}
			io.WriteString(c, text)
		},
		status: func() int {
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Errorf("read the answer: %v", err)
				return 0
			}
			return res.StatusCode
		},
	}
}

// Content without a length that trickles in takes no instance either, whatever the protocols: the app gets it when it is whole.
func TestSlowStreamsOfContentTakeNoInstance(t *testing.T) {
	for _, app := range protocols {
		for _, client := range protocols {
			t.Run(string(client)+" to "+string(app), func(t *testing.T) {
				w := newWorld(t)
				w.route(ping, over(app), one)
				asked := make(chan string, 10)
				w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					asked <- string(body) + fmt.Sprint(r.ContentLength)
				}), speaks(app))
				for {
					slow := w.upload(t, client)
					other, longest := answer{status: http.StatusOK}, time.Duration(0)
					for i := range 40 {
						began := time.Now()
						slow.send("x", false)
						time.Sleep(25 * time.Millisecond)
						longest = max(longest, time.Since(began))
						if i == 30 && longest < 100*time.Millisecond {
							other = w.get("ping", "/")
						}
					}
					slow.send("end", true)
					status := slow.status()
					if longest >= 100*time.Millisecond {
						for len(asked) > 0 {
							<-asked
						}
						continue // a machine that halts is a client that pauses
					}
					if other.status != http.StatusOK || status != http.StatusOK {
						t.Errorf("got %d, another client %+v", status, other)
					}
					for _, want := range []string{"0", strings.Repeat("x", 40) + "end-1"} {
						if seen := <-asked; seen != want {
							t.Errorf("the app got %q, want %q", seen, want)
						}
					}
					return
				}
			})
		}
	}
}

// Whatever its length, held or not, and however it comes, chunked content arrives as it was.
func TestContentWithoutLength(t *testing.T) {
	for _, app := range protocols {
		w := newWorld(t)
		w.route(ping, over(app))
		w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Write(body)
		}), speaks(app))
		for _, size := range []int{0, 1, 5000, 100_000, 256 << 10, 256<<10 + 1, 1 << 20} {
			content := make([]byte, size)
			rand.Read(content)
			req := w.request("POST", "ping", "/", "x")
			req.ContentLength, req.Body = -1, io.NopCloser(bytes.NewReader(content))
			if got := send(w.client, req); got.err != nil || got.body != string(content) {
				t.Errorf("%d bytes to %s: got %d of %d, %v", size, app, got.status, len(got.body), got.err)
			}
		}
	}
}

// A client that waits for an answer to what it has sent gets it, whatever the protocols, and so over and over.
func TestConversation(t *testing.T) {
	for _, app := range protocols {
		for _, client := range protocols {
			t.Run(string(client)+" to "+string(app), func(t *testing.T) {
				w := newWorld(t)
				w.route(ping, over(app))
				came := make(chan string)
				w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					http.NewResponseController(w).EnableFullDuplex()
					w.WriteHeader(http.StatusAccepted)
					http.NewResponseController(w).Flush()
					buf := make([]byte, 100)
					for {
						n, err := r.Body.Read(buf)
						if n > 0 {
							came <- string(buf[:n])
						}
						if err != nil {
							close(came)
							return
						}
					}
				}), speaks(app))
				c := w.upload(t, client)
				c.send("hello", false)
				if got := <-came; got != "hello" {
					t.Errorf("the app got %q", got)
				}
				if status := c.status(); status != http.StatusAccepted {
					t.Errorf("got %d", status)
				}
				for range 3 {
					c.send("and", false)
					if got := <-came; got != "and" {
						t.Errorf("the app got %q", got)
					}
				}
				c.send("", true)
				if got, open := <-came; open {
					t.Errorf("the app got %q", got)
				}
			})
		}
	}
}

// Who says by the kind of content that both sides talk at once is passed on at once, and for ever; others are when they have sent steadily
// for some time.
func TestStreamsThatDoNotPause(t *testing.T) {
	for name, fields := range map[string][]string{
		"gRPC": {"content-type", "application/grpc+proto"}, "Connect": {"content-type", "application/connect+json"}, "steady": nil,
	} {
		for _, client := range protocols {
			t.Run(name+" "+string(client), func(t *testing.T) {
				t.Parallel()
				w := withRate(t, nil, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
				c := w.upload(t, client, fields...)
				began, done := time.Now(), make(chan bool)
				go func() {
					defer close(done)
					for w.inFlight() == 0 && time.Since(began) < requestTimeout {
						c.send(strings.Repeat("x", 200), false)
						time.Sleep(20 * time.Millisecond)
					}
				}()
				<-done
				if took := time.Since(began); took > requestTimeout || (took < 5*time.Second) != (fields != nil) || took > 20*time.Second {
					t.Errorf("it is passed on after %v", took)
				}
				c.send("", true)
				if status := c.status(); status != http.StatusOK {
					t.Errorf("got %d", status)
				}
			})
		}
	}
}

const window = 400 * time.Millisecond

// longWindow is one in which a busy machine is not taken for a client that is slow.
func longWindow(cfg *gateway.Config) { cfg.MinRate, cfg.MinRateTime = 500, 3*time.Second }

// withRate is an app behind a gateway with a least rate.
func withRate(t *testing.T, log io.Writer, h http.HandlerFunc, shares ...func(*platform.TrafficShare)) *world {
	return limited(t, h, func(cfg *gateway.Config) {
		tinyBuffers(cfg)
		cfg.MinRate, cfg.MinRateTime = 500, window
		if log != nil {
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		}
	}, shares...)
}

func (w *world) isTold(log *lockedBuffer, what string) {
	w.t.Helper()
	w.eventually("the operator is told", func() bool {
		text := log.String()
		return strings.Contains(text, "level=WARN") && strings.Contains(text, "function=ping") && strings.Contains(text, what)
	})
}

// A client that holds an instance with content that does not come is cut, and told so; the operator is, too.
func TestSlowContentIsCut(t *testing.T) {
	for name, fields := range map[string][]string{"without a length": nil, "large": {"content-length", "1000000"}} {
		for _, client := range protocols {
			t.Run(name+" "+string(client), func(t *testing.T) {
				var log lockedBuffer
				seen := make(chan error, 1)
				w := withRate(t, &log, func(_ http.ResponseWriter, r *http.Request) {
					_, err := io.Copy(io.Discard, r.Body)
					seen <- err
				}, one)
				c := w.upload(t, client, fields...)
				c.send("hello", false)
				if status := c.status(); status != http.StatusRequestTimeout {
					t.Errorf("got %d", status)
				}
				if err := <-seen; err == nil {
					t.Error("the app got a whole request")
				}
				w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
				w.isTold(&log, "sends it more slowly than gateway.min_rate")
				w.eventually("it is counted", func() bool { return w.metric(platform.MetricRequests, "code=408") == 1 })
			})
		}
	}
}

// A client that trickles below the rate, and never pauses, has no instance before it is cut.
func TestTrickleIsCut(t *testing.T) {
	for _, client := range protocols {
		t.Run(string(client), func(t *testing.T) {
			var app ledger
			w := withRate(t, nil, app.ServeHTTP)
			c := w.upload(t, client)
			go func() {
				for range 500 {
					c.send("x", false)
					time.Sleep(20 * time.Millisecond)
				}
			}()
			if status := c.status(); status != http.StatusRequestTimeout {
				t.Errorf("got %d", status)
			}
			if seen := app.take(); len(seen) > 0 {
				t.Errorf("the app saw %q", seen)
			}
		})
	}
}

// A client that sends at the rate is not cut, for however long it does.
func TestContentAtTheLeastRate(t *testing.T) {
	for _, client := range protocols {
		t.Run(string(client), func(t *testing.T) {
			t.Parallel()
			w := withRate(t, nil, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
			c := w.upload(t, client)
			c.send("x", false)
			w.eventually("it is passed on", func() bool { return w.inFlight() == 1 })
			for began := time.Now(); time.Since(began) < 4*window; time.Sleep(20 * time.Millisecond) {
				c.send(strings.Repeat("x", 100), false)
			}
			c.send("", true)
			if status := c.status(); status != http.StatusOK {
				t.Errorf("got %d", status)
			}
		})
	}
}

// withoutEnd answers with content without an end, for which it has a length or not, and tells how it ended.
func withoutEnd(ended chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		if r.URL.RawQuery == "length" {
			w.Header().Set("Content-Length", fmt.Sprint(1<<40))
		}
		_, err := io.Copy(w, zeros{})
		ended <- err
	}
}

// A client that holds an instance by not taking the response is cut, whether the kernel passes that on or not; the operator is told.
func TestSlowReaderIsCut(t *testing.T) {
	for _, query := range []string{"length", "chunked"} {
		for _, client := range protocols {
			t.Run(query+" "+string(client), func(t *testing.T) {
				var log lockedBuffer
				ended := make(chan error, 1)
				w := withRate(t, &log, withoutEnd(ended), one)
				if client == platform.HTTP1 {
					c, _ := w.dial(t)
					fmt.Fprintf(c, "GET /?%s HTTP/1.1\r\nHost: ping.localhost\r\n\r\n", query)
				} else if h2 := dialHTTP2(t, w); h2.send(h2.fields(":method", "GET", ":path", "/?"+query), "") != "200" {
					t.Fatal("it is not answered")
				}
				if err := <-ended; err == nil {
					t.Error("the app has sent everything")
				}
				if got := w.get("ping", "/quick"); got.status != http.StatusOK {
					t.Errorf("another client got %+v", got)
				}
				w.isTold(&log, "takes the response more slowly than gateway.min_rate")
				w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason=client") == 1 })
			})
		}
	}
}

// A connection of HTTP/2 that is not read at all does not keep an instance: the reset of the stream cannot be sent.
func TestSlowConnectionIsCut(t *testing.T) {
	ended := make(chan error, 1)
	w := withRate(t, nil, withoutEnd(ended))
	h2 := dialHTTP2(t, w)
	h2.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	h2.framer.WriteWindowUpdate(0, 1<<30)
	if h2.send(h2.fields(":method", "GET", ":path", "/?length"), "") != "200" {
		t.Fatal("it is not answered")
	}
	<-ended
	w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
}

// A client that takes the response at the rate is not cut.
func TestResponseAtTheLeastRate(t *testing.T) {
	ended := make(chan error, 1)
	w := withRate(t, nil, withoutEnd(ended))
	c, _ := w.dial(t)
	c.SetReadBuffer(4096)
	io.WriteString(c, "GET /?length HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
	buf := make([]byte, 32<<10)
	for began := time.Now(); time.Since(began) < 4*window; time.Sleep(20 * time.Millisecond) {
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Fatal(err)
		}
	}
	if len(ended) > 0 {
		t.Error("it is cut")
	}
}

// The silence of an app is not the client's, however long.
func TestSilenceOfTheAppIsNotTheClients(t *testing.T) {
	release := make(chan bool)
	w := limited(t, func(w http.ResponseWriter, r *http.Request) {
		say := func(text string) {
			io.WriteString(w, text)
			http.NewResponseController(w).Flush()
		}
		switch r.URL.Path {
		case "/":
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			<-release
			c.Write(r.Context(), websocket.MessageText, []byte("end"))
			return
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			say("data: x\n\n")
		case "/length":
			w.Header().Set("Content-Length", "1000003")
			say(strings.Repeat("x", 1_000_000))
		case "/upload":
			io.Copy(io.Discard, r.Body)
		case "/talk": // what the client may yet send is not waited for
			http.NewResponseController(w).EnableFullDuplex()
			say("x")
		case "/continue":
			<-release
			io.Copy(io.Discard, r.Body)
		}
		<-release
		io.WriteString(w, "end")
	}, longWindow)
	ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
	defer cancel()
	answers := make(chan error)
	asked := 0
	ask := func(read func() (string, error)) {
		asked++
		go func() {
			text, err := read()
			if err == nil && !strings.HasSuffix(text, "end") {
				err = fmt.Errorf("got %.100q", text)
			}
			answers <- err
		}()
	}
	for _, path := range []string{"/events", "/length", "/poll"} {
		ask(func() (string, error) { got := w.get("ping", path); return got.body, got.err })
	}
	for path, request := range map[string]string{
		"/upload":   "Content-Length: 300000\r\n\r\n" + strings.Repeat("x", 300_000),
		"/talk":     "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
		"/continue": "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
	} {
		c, r := w.dial(t)
		io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: ping.localhost\r\n"+request)
		ask(func() (string, error) {
			res, err := http.ReadResponse(r, nil)
			if err == nil && res.StatusCode == http.StatusContinue {
				io.WriteString(c, "abc")
				res, err = http.ReadResponse(r, nil)
			}
			if err != nil {
				return "", err
			}
			text := make([]byte, 1000)
			n := 0
			for !strings.HasSuffix(string(text[:n]), "end") && err == nil {
				var more int
				more, err = res.Body.Read(text[n:])
				n += more
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return string(text[:n]), err
		})
	}
	socket := w.dialWebSocket(t, websocket.CompressionDisabled)
	ask(func() (string, error) { _, text, err := socket.Read(ctx); return string(text), err })
	grpc := w.upload(t, platform.H2C, "content-type", "application/grpc", ":path", "/upload")
	grpc.send("hello", false)
	w.eventually("all are in flight", func() bool { return w.inFlight() == float64(asked+1) })
	select {
	case err := <-answers:
		t.Errorf("before the app says anything: %v", err)
		asked--
	case <-time.After(5 * time.Second):
	}
	close(release)
	for range asked {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	grpc.send("", true)
	if status := grpc.status(); status != http.StatusOK {
		t.Errorf("gRPC: got %d", status)
	}
}

// A client that is told to send its content, and does not, is one that is waited for.
func TestNothingAfterContinue(t *testing.T) {
	w := withRate(t, nil, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	c, r := w.dial(t)
	io.WriteString(c, "POST /x HTTP/1.1\r\nHost: ping.localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	for _, want := range []int{http.StatusContinue, http.StatusRequestTimeout} {
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != want {
			t.Fatalf("got %+v, %v, want %d", res, err, want)
		}
	}
}

// The end of a long response, or one of an unknown length, takes no instance while its client does not take it.
func TestEndOfLongResponseTakesNoInstance(t *testing.T) {
	for _, app := range protocols {
		for _, client := range protocols {
			for _, known := range []bool{true, false} {
				t.Run(fmt.Sprint(client, " to ", app, " known ", known), func(t *testing.T) {
					size := 10 << 20
					switch {
					case !known:
						size = 230 << 10
					case client == platform.H2C: // which is slow with so small a window
						size = 1 << 20
					}
					content := make([]byte, size)
					rand.Read(content)
					w := newWorld(t, buffersOf(16<<10))
					w.route(ping, over(app), one)
					w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/quick" {
							return
						}
						if known {
							w.Header().Set("Content-Length", fmt.Sprint(size))
						}
						w.Write(content[:1000])
						http.NewResponseController(w).Flush()
						w.Write(content[1000:])
					}), speaks(app))
					transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, ReadBufferSize: 4096}
					transport.Protocols.SetHTTP1(client == platform.HTTP1)
					transport.Protocols.SetUnencryptedHTTP2(client == platform.H2C)
					transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReceiveBufferPerConnection: 64 << 10}
					transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
						c, err := new(net.Dialer).DialContext(ctx, network, addr)
						if err == nil {
							c.(*net.TCPConn).SetReadBuffer(16 << 10)
						}
						return c, err
					}
					defer transport.CloseIdleConnections()
					res, err := (&http.Client{Transport: transport}).Do(w.request("GET", "ping", "/", ""))
					if err != nil {
						t.Fatal(err)
					}
					defer res.Body.Close()
					left := 220 << 10
					got := make([]byte, size-left)
					if _, err := io.ReadFull(res.Body, got); err != nil {
						t.Fatal(err)
					}
					if got := w.get("ping", "/quick"); got.status != http.StatusOK {
						t.Errorf("another client got %+v", got)
					}
					w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
					rest, err := io.ReadAll(res.Body)
					if err != nil || !bytes.Equal(append(got, rest...), content) {
						t.Errorf("got %d bytes, %v", len(got)+len(rest), err)
					}
					w.eventually("all is counted", func() bool { return w.metric(gateway.MetricSent) == float64(size) })
				})
			}
		}
	}
}

// What an app that breaks off has sent before is the client's, however slow that is, and does not look whole.
func TestAppBreaksOffBeforeASlowClient(t *testing.T) {
	const size = 150 << 10
	for _, path := range []string{"/length", "/chunked"} {
		sent := make(chan bool, 1)
		w := limited(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/length" {
				w.Header().Set("Content-Length", fmt.Sprint(size+1))
			}
			w.Write(make([]byte, size))
			http.NewResponseController(w).Flush()
			sent <- true
			panic(http.ErrAbortHandler)
		}, tinyBuffers)
		c, r := w.dial(t)
		c.SetReadBuffer(4096)
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
		<-sent
		w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); len(body) != size || err == nil {
			t.Errorf("%s: got %d bytes, %v", path, len(body), err)
		}
		w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason=upstream") == 1 })
	}
}

// A slow client that leaves ends what is read ahead of it.
func TestSlowClientLeaves(t *testing.T) {
	ended := make(chan error, 1)
	w := limited(t, withoutEnd(ended), tinyBuffers)
	for _, query := range []string{"chunked", "length"} {
		c, r := w.dial(t)
		io.WriteString(c, "GET /?"+query+" HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
		if _, err := bufio.NewReaderSize(r, 10).Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // until it stalls, whether it has or not
		c.Close()
		if err := <-ended; err == nil {
			t.Error("the app has sent everything")
		}
		w.eventually("nothing is in flight", func() bool { return w.inFlight() == 0 })
	}
}
