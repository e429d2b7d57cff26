package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// rawH2C is an app that answers requests of HTTP/2 with whatever frames it likes.
type rawH2C struct {
	settings []http2.Setting
	answer   func(c *rawH2CConn, number int, head *http2.MetaHeadersFrame) // number counts from 1, over all connections
	seen     atomic.Int32
	conns    atomic.Int32
}

// rawH2CConn is a connection to such an app.
type rawH2CConn struct {
	net.Conn
	app    *rawH2C
	first  []http2.Setting // of the gateway
	mu     sync.Mutex      // held while frames are written
	framer *http2.Framer
	block  bytes.Buffer
	coder  *hpack.Encoder
}

// newRawH2C is a world with such an app.
func newRawH2C(t *testing.T, app *rawH2C) *world {
	t.Helper()
	w := newWorld(t)
	w.route(ping, overHTTP2)
	a := w.arm(ping, 1)
	go func() {
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			go app.serve(c)
		}
	}()
	return w
}

func (app *rawH2C) serve(conn net.Conn) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return // a proof
	}
	app.conns.Add(1)
	c := &rawH2CConn{Conn: conn, app: app, framer: http2.NewFramer(conn, conn)}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.coder = hpack.NewEncoder(&c.block)
	c.framer.WriteSettings(app.settings...)
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				f.ForeachSetting(func(s http2.Setting) error { c.first = append(c.first, s); return nil })
				c.mu.Lock()
				c.framer.WriteSettingsAck()
				c.mu.Unlock()
			}
		case *http2.PingFrame:
			c.mu.Lock()
			c.framer.WritePing(true, f.Data)
			c.mu.Unlock()
		case *http2.MetaHeadersFrame:
			app.answer(c, int(app.seen.Add(1)), f)
		}
	}
}

func (c *rawH2CConn) head(stream uint32, end bool, fields ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.coder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	const most = 16 << 10 // in one frame
	rest := c.block.Bytes()
	piece := rest[:min(len(rest), most)]
	rest = rest[len(piece):]
	c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: piece, EndHeaders: len(rest) == 0, EndStream: end})
	for len(rest) > 0 {
		piece = rest[:min(len(rest), most)]
		rest = rest[len(piece):]
		c.framer.WriteContinuation(stream, len(rest) == 0, piece)
	}
}

func (c *rawH2CConn) fine(stream uint32) { c.head(stream, true, ":status", "200") }

func (c *rawH2CConn) reset(stream uint32, code http2.ErrCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framer.WriteRSTStream(stream, code)
}

func (c *rawH2CConn) goAway(last uint32, code http2.ErrCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framer.WriteGoAway(last, code, nil)
}

// A request is sent again only if its app says that it has not taken it, and only a few times.
func TestH2CRepeats(t *testing.T) {
	always := func(f func(c *rawH2CConn, stream uint32)) func(*rawH2CConn, int, *http2.MetaHeadersFrame) {
		return func(c *rawH2CConn, _ int, head *http2.MetaHeadersFrame) { f(c, head.StreamID) }
	}
	once := func(f func(c *rawH2CConn, stream uint32)) func(*rawH2CConn, int, *http2.MetaHeadersFrame) {
		return func(c *rawH2CConn, number int, head *http2.MetaHeadersFrame) {
			if number > 1 {
				c.fine(head.StreamID)
				return
			}
			f(c, head.StreamID)
		}
	}
	reset := func(code http2.ErrCode) func(*rawH2CConn, uint32) {
		return func(c *rawH2CConn, stream uint32) { c.reset(stream, code) }
	}
	leave := func(c *rawH2CConn, stream uint32) { c.goAway(stream-1, http2.ErrCodeNo) }
	for name, test := range map[string]struct {
		answer func(*rawH2CConn, int, *http2.MetaHeadersFrame)
		status int
		seen   int32
	}{
		"protocol error":  {always(reset(http2.ErrCodeProtocol)), http.StatusBadGateway, 1},
		"internal error":  {always(reset(http2.ErrCodeInternal)), http.StatusBadGateway, 1},
		"refused":         {always(reset(http2.ErrCodeRefusedStream)), http.StatusBadGateway, 4},
		"refused once":    {once(reset(http2.ErrCodeRefusedStream)), http.StatusOK, 2},
		"goes away":       {always(leave), http.StatusBadGateway, 4},
		"goes away once":  {once(leave), http.StatusOK, 2},
		"closes":          {always(func(c *rawH2CConn, _ uint32) { c.Close() }), http.StatusBadGateway, 1},
		"goes away after": {always(func(c *rawH2CConn, stream uint32) { c.goAway(stream, http2.ErrCodeNo); c.fine(stream) }), http.StatusOK, 1},
		"goes away after, and closes": {always(func(c *rawH2CConn, stream uint32) {
			c.goAway(stream, http2.ErrCodeNo)
			c.Close()
		}), http.StatusBadGateway, 1},
		"refused after an interim response": {always(func(c *rawH2CConn, stream uint32) {
			c.head(stream, false, ":status", "103")
			c.reset(stream, http2.ErrCodeRefusedStream)
		}), http.StatusBadGateway, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := &rawH2C{answer: test.answer}
			w := newRawH2C(t, app)
			if got := w.get("ping", "/"); got.status != test.status {
				t.Errorf("got %+v, want %d", got, test.status)
			}
			if seen := app.seen.Load(); seen != test.seen {
				t.Errorf("the app has seen it %d times, want %d", seen, test.seen)
			}
			want := float64(max(test.seen-1, 0))
			if test.status != http.StatusOK && test.seen > 1 {
				want = 3
			}
			if got := w.metric("fnctl_gateway_retries_total"); got != want {
				t.Errorf("%v retries are counted, want %v", got, want)
			}
		})
	}
}

// An app that resets a stream is there: it need not be proved again, or each client could have the others wait.
func TestH2CResetIsNoStrike(t *testing.T) {
	app := &rawH2C{answer: func(c *rawH2CConn, _ int, head *http2.MetaHeadersFrame) {
		c.reset(head.StreamID, http2.ErrCodeInternal)
	}}
	w := newRawH2C(t, app)
	w.get("ping", "/")
	w.get("ping", "/")
	if n := app.conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if !w.has(platform.MetricInstanceInFlight, "instance=1", "state=ready") {
		t.Error("the instance is not ready")
	}
}

// A connection gets no more streams than its app takes: what is beyond that goes over others.
func TestH2CStreamLimit(t *testing.T) {
	const limit, requests = 5, 60
	var most, refused atomic.Int32
	running := make(map[*rawH2CConn]int32)
	var mu sync.Mutex
	app := &rawH2C{settings: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: limit}}}
	app.answer = func(c *rawH2CConn, _ int, head *http2.MetaHeadersFrame) {
		mu.Lock()
		defer mu.Unlock()
		if running[c]++; running[c] > limit {
			running[c]--
			refused.Add(1)
			c.reset(head.StreamID, http2.ErrCodeRefusedStream)
			return
		}
		most.Store(max(most.Load(), running[c]))
		time.AfterFunc(50*time.Millisecond, func() {
			mu.Lock()
			defer mu.Unlock()
			running[c]--
			c.fine(head.StreamID)
		})
	}
	w := newRawH2C(t, app)
	var all sync.WaitGroup
	for range requests {
		all.Go(func() {
			if got := w.get("ping", "/"); got.status != http.StatusOK {
				t.Errorf("got %+v", got)
			}
		})
	}
	all.Wait()
	if most.Load() > limit || refused.Load() > 0 {
		t.Errorf("%d at once, %d refused", most.Load(), refused.Load())
	}
}

// An app that takes no streams at all is not asked for ever.
func TestH2CWithoutStreams(t *testing.T) {
	app := &rawH2C{settings: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 0}}}
	app.answer = func(*rawH2CConn, int, *http2.MetaHeadersFrame) {}
	w := newWorld(t)
	w.route(ping, overHTTP2, func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(2) })
	a := w.arm(ping, 1)
	go func() {
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			go app.serve(c)
		}
	}()
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if got := w.get("ping", "/"); got.status != http.StatusBadGateway && got.status != http.StatusGatewayTimeout {
				t.Errorf("got %+v", got)
			}
		})
	}
	all.Wait()
	if n := app.conns.Load(); n > 20 {
		t.Errorf("%d connections", n)
	}
}

// What the gateway keeps of a response that its client does not read is bounded: net/http's default is 4 MiB for each.
func TestH2CResponseBuffer(t *testing.T) {
	offered := make(chan map[http2.SettingID]uint32, 1)
	app := &rawH2C{answer: func(c *rawH2CConn, _ int, head *http2.MetaHeadersFrame) {
		all := make(map[http2.SettingID]uint32)
		for _, s := range c.first {
			all[s.ID] = s.Val
		}
		offered <- all
		c.fine(head.StreamID)
	}}
	w := newRawH2C(t, app)
	w.get("ping", "/")
	got := <-offered
	if got[http2.SettingInitialWindowSize] > 128<<10 {
		t.Errorf("a response may have %d bytes under way", got[http2.SettingInitialWindowSize])
	}
	if n := got[http2.SettingMaxHeaderListSize]; n == 0 || n > 300<<10 {
		t.Errorf("the head of a response may have %d bytes", n)
	}
}

// What the gateway keeps of the contents of requests is bounded for each connection of a client.
func TestHTTP2RequestBuffer(t *testing.T) {
	w := limited(t, func(http.ResponseWriter, *http.Request) {}, func(*gateway.Config) {})
	c := dialHTTP2(t, w)
	stream, conn := uint32(65535), uint32(65535)
	c.framer.WritePing(false, [8]byte{})
	for ponged := false; !ponged; {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
				stream = v
			}
			c.acknowledge(f)
		case *http2.WindowUpdateFrame:
			conn += f.Increment
		case *http2.PingFrame:
			ponged = true
		}
	}
	if stream != 256<<10 || conn != 512<<10 {
		t.Errorf("a stream may have %d bytes under way, a connection %d", stream, conn)
	}
}

// options is a Connection field that names as many others.
func options(n int) string {
	var names []string
	for i := range n {
		names = append(names, "x-"+strconv.Itoa(i))
	}
	return strings.Join(names, ", ")
}

// repeated are as many fields, for a head of HTTP/1.
func repeated(n int) string { return strings.Repeat("X: y\r\n", n) }

// What it costs to leave out the fields that Connection names is bounded: there are only so many options, and only so many fields.
func TestOptionsOfConnection(t *testing.T) {
	const reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-0: y\r\nX-63: y\r\nConnection: "
	for name, test := range map[string]struct {
		request, response string // more fields
		want              int
	}{
		"64 in a request":           {"Connection: " + options(64) + "\r\nX-0: y\r\nX-63: y\r\n", "", http.StatusOK},
		"65 in a request":           {"Connection: " + options(65) + "\r\n", "", http.StatusBadRequest},
		"65 in a request, spread":   {strings.Repeat("Connection: a\r\n", 65), "", http.StatusBadRequest},
		"31000 in a request":        {"Connection: " + strings.Repeat("a,", 31000) + "\r\n" + repeated(200), "", http.StatusBadRequest},
		"empty ones in a request":   {"Connection: " + strings.Repeat(",", 100) + "x-0\r\nX-0: y\r\n", "", http.StatusOK},
		"64 in a response":          {"", options(64), http.StatusOK},
		"65 in a response":          {"", options(65), http.StatusBadGateway},
		"130000 in a response":      {"", strings.Repeat("a,", 130000/2), http.StatusBadGateway},
		"a usual one in a response": {"", "keep-alive, x-0, x-63", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.route(ping)
			a := w.arm(ping, 1)
			heads := make(chan string, 10)
			go serveRaw(a, func(head string) string { heads <- head; return reply + test.response + "\r\n\r\n" })
			res, _ := w.raw(t, "GET / HTTP/1.1\r\nHost: ping.localhost\r\n"+test.request+"\r\n")
			if res.StatusCode != test.want {
				t.Errorf("got %d, want %d", res.StatusCode, test.want)
			}
			if test.want != http.StatusOK {
				return
			}
			if head := <-heads; strings.Contains(head, "X-0:") || strings.Contains(head, "X-63:") {
				t.Errorf("the app got %q", head)
			}
			if test.response != "" && (res.Header.Get("X-0") != "" || res.Header.Get("X-63") != "") {
				t.Errorf("the client got %v", res.Header)
			}
		})
	}
}

// serveRaw answers each request without content.
func serveRaw(a *armed, answer func(head string) string) {
	for {
		c, err := a.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var head []byte
			buf := make([]byte, 64<<10)
			for {
				n, err := c.Read(buf)
				if head = append(head, buf[:n]...); bytes.HasSuffix(head, []byte("\r\n\r\n")) {
					io.WriteString(c, answer(string(head)))
					head = nil
				}
				if err != nil {
					return
				}
			}
		}()
	}
}

// The heads of an app that speaks HTTP/2 have the bounds of those of HTTP/1.
func TestH2CHeads(t *testing.T) {
	many := func(n int) (fields []string) {
		for range n {
			fields = append(fields, "x", "y")
		}
		return fields
	}
	for name, test := range map[string]struct {
		status string
		fields []string
		want   int
	}{
		"fields":                        {"200", many(256), http.StatusOK},
		"too many fields":               {"200", many(257), http.StatusBadGateway},
		"options":                       {"200", []string{"connection", options(64), "x-0", "y", "x-63", "y"}, http.StatusOK},
		"too many options":              {"200", []string{"connection", options(65)}, http.StatusBadGateway},
		"long":                          {"200", []string{"x", strings.Repeat("y", 200<<10)}, http.StatusOK},
		"too long":                      {"200", []string{"x", strings.Repeat("y", 150<<10), "x", strings.Repeat("z", 150<<10)}, http.StatusBadGateway},
		"interim with fields":           {"103", many(256), http.StatusOK},
		"interim with too many fields":  {"103", many(257), http.StatusBadGateway},
		"interim with too many options": {"103", []string{"connection", options(65)}, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := &rawH2C{answer: func(c *rawH2CConn, _ int, head *http2.MetaHeadersFrame) {
				c.head(head.StreamID, test.status == "200", append([]string{":status", test.status}, test.fields...)...)
				if test.status != "200" {
					c.fine(head.StreamID)
				}
			}}
			w := newRawH2C(t, app)
			got := w.get("ping", "/")
			if got.status != test.want {
				t.Errorf("got %+v, want %d", got.status, test.want)
			}
			if test.want == http.StatusBadGateway && !strings.Contains(got.body, "the app's answer cannot be passed on") {
				t.Errorf("got %q", got.body)
			}
			if got.header.Get("X-0") != "" || got.header.Get("X-63") != "" {
				t.Errorf("got %v", got.header)
			}
			if n := app.seen.Load(); n != 1 {
				t.Errorf("the app has seen %d requests", n)
			}
		})
	}
}

// So have the heads of requests in HTTP/2.
func TestHTTP2RequestFields(t *testing.T) {
	w := limited(t, func(http.ResponseWriter, *http.Request) {}, func(*gateway.Config) {})
	for n, want := range map[int]string{250: "200", 257: "431"} {
		c := dialHTTP2(t, w)
		fields := c.fields(":method", "GET")
		for i := range n {
			fields = append(fields, hpack.HeaderField{Name: fmt.Sprintf("x-%d", i), Value: "y"})
		}
		if got := c.send(fields, ""); got != want {
			t.Errorf("%d fields: got %s, want %s", n, got, want)
		}
	}
}
