package gateway_test

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// begin sends the head of a request that has no body, and returns its stream.
func (c *rawHTTP2) begin(others ...string) uint32 {
	c.t.Helper()
	c.block.Reset()
	for _, f := range c.fields(append([]string{":method", "GET"}, others...)...) {
		c.coder.WriteField(f)
	}
	stream := c.stream
	c.stream += 2
	head := http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte(c.block.String()), EndHeaders: true, EndStream: true}
	if err := c.framer.WriteHeaders(head); err != nil {
		c.t.Fatal(err)
	}
	return stream
}

// endless is an app that sends for as long as it can, and says when that was over.
func endless(ended chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(w, io.LimitReader(zeros{}, 1<<32))
		ended <- err
	}
}

// A client that gives every stream a large window, and then reads nothing of its connection, or a byte now and then, holds no
// instance for longer than the time of its request.
func TestHTTP2ClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(net.Conn){
		"nothing": func(net.Conn) {},
		"byte by byte": func(c net.Conn) {
			for b := make([]byte, 1); ; time.Sleep(10 * time.Millisecond) {
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			w := limited(t, endless(ended), func(cfg *gateway.Config) { cfg.DrainTimeout = time.Second }, inSeconds(0.5))
			c := dialHTTP2(t, w)
			c.conn.(*net.TCPConn).SetReadBuffer(4096)
			c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
			c.framer.WriteWindowUpdate(0, 1<<30)
			c.begin()
			go read(c.conn)
			select {
			case err := <-ended:
				if err == nil {
					t.Error("the app could send everything")
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the app still sends")
			}
			w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
			w.eventually("one request is counted as broken off", func() bool { return w.metric(gateway.MetricAborted) == 1 })
		})
	}
}

// A stream whose window is used up ends alone when its time is over: another one of its connection goes on.
func TestHTTP2StalledStreamHarmsNoOther(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	w := limited(t, endless(ended), func(cfg *gateway.Config) { cfg.DrainTimeout = time.Second }, inSeconds(0.5))
	pong := platform.RevisionID{Function: "pong", Number: 1}
	w.route(pong)
	goOn := make(chan struct{})
	w.arm(pong, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "be")
		http.NewResponseController(w).Flush()
		<-goOn
		io.WriteString(w, "gun")
	}))
	c := dialHTTP2(t, w)
	c.framer.WriteWindowUpdate(0, 1<<30)
	other := c.begin(":authority", "pong.localhost")
	stalled := c.begin()
	content, wasReset := "", false
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			c.acknowledge(frame)
		case *http2.RSTStreamFrame:
			if frame.StreamID != stalled {
				t.Fatalf("got %v", frame)
			}
			if !wasReset { // it may be told twice
				wasReset = true
				<-ended
				// Longer than the connection of a client that reads nothing would have.
				time.AfterFunc(3*time.Second, func() { close(goOn) })
			}
		case *http2.DataFrame:
			if frame.StreamID == other {
				content += string(frame.Data())
			}
			if frame.StreamID == other && frame.StreamEnded() {
				if content != "begun" {
					t.Errorf("got %q", content)
				}
				return
			}
		}
	}
}

// Requests that are too many on one connection are told so, in total and of an address, and others go on.
func TestHTTP2StreamLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		adjust func(*gateway.Config)
		want   string
	}{
		"total":         {func(cfg *gateway.Config) { cfg.MaxConnections = 5 }, "503"},
		"of an address": {func(cfg *gateway.Config) { cfg.MaxConnectionsPerAddress = 5 }, "429"},
		"files":         {func(cfg *gateway.Config) { cfg.MaxFiles = 6 }, "503"}, // two connections have two of five
		"of a trusted proxy": {func(cfg *gateway.Config) {
			cfg.MaxConnectionsPerAddress, cfg.TrustedProxies = 5, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			goOn := make(chan struct{})
			w := limited(t, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/wait" {
					<-goOn
				}
			}, test.adjust)
			h1, r := w.dial(t)
			io.WriteString(h1, getX)
			if status, _ := nextAnswer(t, r); status != http.StatusOK {
				t.Fatalf("got %d", status)
			}
			c := dialHTTP2(t, w)
			for range 4 {
				c.begin(":path", "/wait")
			}
			w.eventually("they are in flight", func() bool { return w.metric(platform.MetricInFlight) == 4 })
			if status := c.send(c.fields(":method", "GET"), ""); status != test.want {
				t.Errorf("got %s, want %s", status, test.want)
			}
			io.WriteString(h1, getX)
			if status, _ := nextAnswer(t, r); status != http.StatusOK {
				t.Errorf("HTTP/1 got %d", status)
			}
			close(goOn)
			w.eventually("they have ended", func() bool { return w.metric(platform.MetricInFlight) == 0 })
			if status := c.send(c.fields(":method", "GET"), ""); status != "200" {
				t.Errorf("got %s when others have ended", status)
			}
		})
	}
}

// A connection may have so many requests at once, and a trusted one more.
func TestHTTP2StreamsOfAConnection(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[string]uint32{"192.0.2.1/32": 100, "127.0.0.0/8": 250} {
		w := limited(t, func(http.ResponseWriter, *http.Request) {}, func(cfg *gateway.Config) {
			cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(trusted)}
		})
		frame, err := dialHTTP2(t, w).framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := frame.(*http2.SettingsFrame).Value(http2.SettingMaxConcurrentStreams); got != want {
			t.Errorf("%s is trusted: got %d, want %d", trusted, got, want)
		}
	}
}
