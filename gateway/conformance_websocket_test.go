package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/platform"
)

// chat is an app that echoes messages, until it is told which code to close with, and tells how it was closed.
type chat struct {
	compression websocket.CompressionMode
	closed      chan error
}

func (a *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/no" {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: a.compression, Subprotocols: []string{"chat"}})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		kind, data, err := c.Read(r.Context())
		if err != nil {
			a.closed <- err
			return
		}
		if code, ok := strings.CutPrefix(string(data[:min(len(data), 20)]), "close "); ok {
			var number websocket.StatusCode
			fmt.Sscan(code, &number)
			a.closed <- c.Close(number, "as told")
			return
		}
		c.Write(r.Context(), kind, data)
	}
}

func newChat(t *testing.T, mode websocket.CompressionMode) (*world, *chat) {
	app := &chat{compression: mode, closed: make(chan error, 10)}
	return withApp(t, app.ServeHTTP), app
}

func (w *world) dialWebSocket(t *testing.T, mode websocket.CompressionMode) *websocket.Conn {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.addr)
	}}}
	c, _, err := websocket.Dial(t.Context(), "ws://ping.localhost/", &websocket.DialOptions{HTTPClient: client, CompressionMode: mode,
		Subprotocols: []string{"other", "chat"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(-1)
	return c
}

// Messages of every length that is coded in another way, and a large one, come back as they were.
func TestWebSocketMessages(t *testing.T) {
	for name, mode := range map[string]websocket.CompressionMode{
		"plain": websocket.CompressionDisabled, "compressed": websocket.CompressionContextTakeover, "compressed alone": websocket.CompressionNoContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newChat(t, mode)
			c := w.dialWebSocket(t, mode)
			if c.Subprotocol() != "chat" {
				t.Errorf("got subprotocol %q", c.Subprotocol())
			}
			for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 16 << 20} {
				message := bytes.Repeat([]byte("fnctl "), size/6+1)[:size]
				for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
					if err := c.Write(t.Context(), kind, message); err != nil {
						t.Fatalf("%d bytes: %v", size, err)
					}
					got, data, err := c.Read(t.Context())
					if err != nil || got != kind || !bytes.Equal(data, message) {
						t.Fatalf("%v of %d bytes: got %v of %d, %v", kind, size, got, len(data), err)
					}
				}
			}
		})
	}
}

func TestWebSocketPing(t *testing.T) {
	w, _ := newChat(t, websocket.CompressionDisabled)
	c := w.dialWebSocket(t, websocket.CompressionDisabled)
	ctx := c.CloseRead(t.Context())
	for range 3 {
		if err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWebSocketCloseCodes(t *testing.T) {
	w, app := newChat(t, websocket.CompressionDisabled)
	for _, code := range []websocket.StatusCode{websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusMessageTooBig, 4001} {
		c := w.dialWebSocket(t, websocket.CompressionDisabled)
		if err := c.Close(code, "bye"); err != nil {
			t.Errorf("client closes with %d: %v", code, err)
		}
		var closed websocket.CloseError
		if err := <-app.closed; !errors.As(err, &closed) || closed.Code != code || closed.Reason != "bye" {
			t.Errorf("client closes with %d: the app saw %v", code, err)
		}
		c = w.dialWebSocket(t, websocket.CompressionDisabled)
		if err := c.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, "close %d", code)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(t.Context()); !errors.As(err, &closed) || closed.Code != code || closed.Reason != "as told" {
			t.Errorf("app closes with %d: the client saw %v", code, err)
		}
		if err := <-app.closed; err != nil {
			t.Errorf("app closes with %d: %v", code, err)
		}
	}
}

// Each end of a WebSocket learns that the other one has vanished.
func TestWebSocketBreaksOff(t *testing.T) {
	w, app := newChat(t, websocket.CompressionDisabled)
	w.dialWebSocket(t, websocket.CompressionDisabled).CloseNow()
	select {
	case err := <-app.closed:
		if websocket.CloseStatus(err) != -1 {
			t.Errorf("the app saw %v", err)
		}
	case <-time.After(requestTimeout):
		t.Error("the app does not know that the client has gone")
	}
	w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
}

// A client that resets its connection has gone: nothing waits for it, and nothing turns in a circle, though the app never ends.
func TestWebSocketReset(t *testing.T) {
	w := newWorld(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(300) })
	release := make(chan struct{})
	defer close(release)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			<-release
		}
	}))
	c, r := w.dial(t)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %+v, %v", res, err)
	}
	c.SetLinger(0)
	c.Close()
	w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
}

func TestWebSocketRefusedByTheApp(t *testing.T) {
	w, _ := newChat(t, websocket.CompressionDisabled)
	c, r := w.dial(t)
	for range 2 { // over the same connection
		io.WriteString(c, "GET /no HTTP/1.1\r\nHost: ping.localhost\r\n"+handshake+"\r\n")
		if status, body := nextAnswer(t, r); status != http.StatusForbidden || body != "no\n" {
			t.Errorf("got %d %q", status, body)
		}
	}
}

const handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// frame is a masked one, as clients send them. The first byte has the flags and the opcode.
func frame(first byte, payload string) string {
	b := []byte{first, 0x80 | byte(min(len(payload), 126))}
	if len(payload) > 125 {
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	b = append(b, 0, 0, 0, 0) // a mask that leaves the payload as it is
	return string(b) + payload
}

// Fragments, with a ping in the middle of a message, that arrive together with the handshake, and byte by byte.
func TestWebSocketFragments(t *testing.T) {
	w, _ := newChat(t, websocket.CompressionDisabled)
	const fin, text, next, ping = 0x80, 0x1, 0x0, 0x9
	frames := frame(text, "one") + frame(fin|ping, "?") + frame(next, "") + frame(next, " two") + frame(fin|next, " three")
	want := "\x8a\x01?" + "\x81\x0done two three"
	request := "GET / HTTP/1.1\r\nHost: ping.localhost\r\n" + handshake + "\r\n"
	for name, pieces := range map[string][]string{
		"together":     {request + frames},
		"byte by byte": append([]string{request}, strings.Split(frames, "")...),
	} {
		t.Run(name, func(t *testing.T) {
			c, r := w.dial(t)
			go func() {
				for _, piece := range pieces {
					io.WriteString(c, piece)
				}
			}()
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("got %+v, %v", res, err)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

// dial makes a connection to the gateway that nothing waits on for ever.
func (w *world) dial(t *testing.T) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(requestTimeout))
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// nextAnswer reads a response to a GET.
func nextAnswer(t *testing.T, r *bufio.Reader) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("read the body: %v", err)
	}
	return res.StatusCode, string(body)
}

// After an upgrade each side may end its own direction and go on in the other.
func TestUpgradeIsClosedByHalves(t *testing.T) {
	w := withApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		if r.URL.Path == "/client-first" {
			n, err := io.Copy(io.Discard, buffered)
			fmt.Fprintf(c, "got %d bytes, %v", n, err)
			return
		}
		io.WriteString(c, "that's all")
		c.(*net.UnixConn).CloseWrite()
		io.Copy(io.Discard, buffered)
	})
	request := func(path string) (*net.TCPConn, *bufio.Reader) {
		c, r := w.dial(t)
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: ping.localhost\r\nConnection: upgrade\r\nUpgrade: fnctl/1\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != "fnctl/1" {
			t.Fatalf("got %+v, %v", res, err)
		}
		return c, r
	}
	c, r := request("/client-first")
	io.Copy(c, io.LimitReader(zeros{}, 1<<20))
	c.CloseWrite()
	if got, err := io.ReadAll(r); string(got) != "got 1048576 bytes, <nil>" || err != nil {
		t.Errorf("the client ends first: got %q, %v", got, err)
	}
	c, r = request("/app-first")
	if got, err := io.ReadAll(r); string(got) != "that's all" || err != nil {
		t.Errorf("the app ends first: got %q, %v", got, err)
	}
	if n, err := io.Copy(c, io.LimitReader(zeros{}, 1<<20)); err != nil {
		t.Errorf("the app ends first: %v after %d bytes", err, n)
	}
	c.CloseWrite()
	w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
}
