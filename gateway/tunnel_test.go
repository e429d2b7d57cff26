package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// A client whose connection breaks off ends its WebSocket at once, and nothing goes round in circles until its time is over.
func TestTunnelOfClientThatResets(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		buffered.Flush()
		io.Copy(io.Discard, c)
	}))
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
	began := time.Now()
	for w.metric(platform.MetricInFlight) > 0 && time.Since(began) < 5*time.Second {
		time.Sleep(10 * time.Millisecond)
	}
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	if n := w.metric(platform.MetricInFlight); n != 0 {
		t.Errorf("after %v there are %v in flight; processor time %v", time.Since(began), n, used.Utime)
	}
}

// accessCounter counts what gateways record.
type accessCounter struct {
	mu  sync.Mutex
	all []gateway.Access
}

func (c *accessCounter) Record(a *gateway.Access) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, *a)
}

func (c *accessCounter) list() []gateway.Access {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// settle has a gateway serve that finds the instances when it starts. One that comes to be in the moment in which the gateway begins to
// watch the directory is seen twice, and drains in between.
func (w *world) settle() { w.succeed() }

// checkEcho expects a message back.
func checkEcho(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if _, got, err := c.Read(t.Context()); err != nil || string(got) != text {
		t.Fatalf("%s: got %q, %v", text, got, err)
	}
}

// dialRaw opens a WebSocket whose frames the test writes itself.
func (w *world) dialRaw(t *testing.T, path string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(requestTimeout))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path)
	in := bufio.NewReader(conn)
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	return conn, in
}

// expect reads what must come next.
func expect(t *testing.T, in io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(in, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got[:n], err, want)
	}
}

// hijacked is an app that switches to a WebSocket and leaves that to a function.
func hijacked(use func(c net.Conn)) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		buffered.Flush()
		use(c)
	})
}

// WebSockets outlive ten gateways, whatever is on its way in the moment, count once in the one that serves, and end with their
// instance.
func TestHandoverOfTunnels(t *testing.T) {
	const sockets, gateways = 100, 10
	w := newDynasty(t)
	w.route(ping, grace)
	app := &chat{closed: make(chan error, sockets+1)}
	halves := make(chan string)
	half := hijacked(func(c net.Conn) {
		for s := range halves {
			io.WriteString(c, s)
		}
		io.Copy(io.Discard, c)
	})
	a := w.arm(ping, 1)
	a.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			half.ServeHTTP(rw, r)
			return
		}
		app.ServeHTTP(rw, r)
	}))
	w.settle()
	var log accessCounter
	logged := func(c *gateway.Config) { c.AccessLog = &log }
	var conns []*websocket.Conn
	for range sockets {
		conns = append(conns, w.dialWebSocket(t, websocket.CompressionDisabled))
	}
	fragment, echoed := w.dialRaw(t, "/")
	_, halfRead := w.dialRaw(t, "/half")
	for n := range gateways {
		for i, c := range conns {
			checkEcho(t, c, fmt.Sprintf("%d in gateway %d", i, n))
		}
		io.WriteString(fragment, "\x81\x85\x00\x00\x00\x00he")
		halves <- "\x81\x05wo"
		expect(t, halfRead, "\x81\x05wo")
		before := w.wait // and no stop: it ends by itself
		w.succeed(logged)
		over := make(chan error, 1)
		go func() { over <- before() }()
		for done := false; !done; {
			select {
			case err := <-over:
				if done = true; err != nil {
					t.Fatal(err)
				}
			case <-time.After(requestTimeout):
				t.Fatal("the old gateway does not end")
			default:
				if got := w.inFlight(); got < sockets+2 {
					t.Fatalf("gateway %d counts %v in flight", n+1, got)
				}
				time.Sleep(time.Millisecond)
			}
		}
		io.WriteString(fragment, "llo")
		expect(t, echoed, "\x81\x05hello")
		halves <- "rld"
		expect(t, halfRead, "rld")
		w.eventually("each counts once", func() bool {
			return w.inFlight() == sockets+2 && w.onInstance("instance=1", "state=unproven") == sockets+2
		})
	}
	close(halves)
	if n := w.metric(platform.MetricRequestsStarted); n != 0 {
		t.Errorf("%v requests have come to the last gateway", n)
	}
	if n := len(log.list()); n != 0 {
		t.Errorf("%d requests have ended", n)
	}
	began := time.Now()
	a.drain(t)
	for _, c := range conns {
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway || time.Since(began) < 250*time.Millisecond {
			t.Fatalf("the client: %v after %v", err, time.Since(began))
		}
	}
	for range conns {
		if err := <-app.closed; websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Fatalf("the app: %v", err)
		}
	}
	w.eventually("nothing is left", func() bool { return w.inFlight() == 0 })
	if n := w.metric(gateway.MetricRequests, "code=101"); n != sockets+2 || w.metric(gateway.MetricAborted) != 0 {
		t.Errorf("%v requests count, %v of them as aborted", n, w.metric(gateway.MetricAborted))
	}
	all := log.list()
	if len(all) != sockets+2 {
		t.Fatalf("%d requests are recorded", len(all))
	}
	for _, a := range all {
		if a.Instance != "ping-00001@1" || a.Host != "ping.localhost" || a.Status != 101 || a.Protocol != "HTTP/1.1" || a.Peer != "127.0.0.1" ||
			a.Method != "GET" || a.Sent == 0 || a.Received == 0 && a.Path != "/half" || a.FirstByte == 0 || a.At.After(began) || a.RequestID == "" {
			t.Fatalf("recorded: %+v", a)
		}
	}
}

// numberBlock fills a block with what comes at a place of a stream.
func numberBlock(block []byte, at uint64) {
	for i := 0; i < len(block); i += 8 {
		binary.BigEndian.PutUint64(block[i:], at+uint64(i))
	}
}

// Traffic both ways that never pauses, and a client that is slow to read, lose and double nothing while gateways change.
func TestHandoverOfBusyTunnels(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, hijacked(func(c net.Conn) { io.Copy(c, c) }))
	w.settle()
	var stop atomic.Bool
	var busy sync.WaitGroup
	var passed atomic.Uint64
	for n := range 4 {
		conn, in := w.dialRaw(t, "/")
		var written, read uint64
		var clients sync.WaitGroup
		clients.Go(func() {
			block := make([]byte, 8<<10)
			for ; !stop.Load(); written += uint64(len(block)) {
				numberBlock(block, written)
				if _, err := conn.Write(block); err != nil {
					t.Error(err)
					return
				}
			}
			conn.(*net.TCPConn).CloseWrite()
		})
		clients.Go(func() {
			got, block := make([]byte, 8<<10), make([]byte, 8<<10)
			for {
				if n == 0 && !stop.Load() {
					time.Sleep(10 * time.Millisecond) // so that writes wait
				}
				k, err := io.ReadFull(in, got)
				if numberBlock(block, read); !bytes.Equal(got[:k], block[:k]) || err != nil && err != io.EOF {
					t.Errorf("connection %d at %d: %v, equal %v", n, read, err, bytes.Equal(got[:k], block[:k]))
					conn.Close()
					return
				}
				if read += uint64(k); err != nil {
					return
				}
			}
		})
		busy.Go(func() {
			clients.Wait()
			passed.Add(read)
			if read != written {
				t.Errorf("connection %d: wrote %d, read %d", n, written, read)
			}
		})
	}
	for range 10 {
		if err := w.succeed()(); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop.Store(true)
	busy.Wait()
	t.Logf("%d MiB", passed.Load()>>20)
}

// The limits of a WebSocket go on where they were.
func TestHandoverKeepsLimitsOfTunnels(t *testing.T) {
	for name, limit := range map[string]func(*platform.TrafficShare){
		"timeout":      func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(2) },
		"idle_timeout": func(s *platform.TrafficShare) { s.IdleTimeout = platform.Seconds(2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newDynasty(t)
			w.route(ping, limit)
			w.arm(ping, 1).serve(t, &chat{closed: make(chan error, 1)})
			w.settle()
			c := w.dialWebSocket(t, websocket.CompressionDisabled)
			began := time.Now()
			for range 2 {
				time.Sleep(600 * time.Millisecond)
				if err := w.succeed()(); err != nil {
					t.Fatal(err)
				}
			}
			_, _, err := c.Read(t.Context())
			if took := time.Since(began); websocket.CloseStatus(err) != websocket.StatusGoingAway || took < 1900*time.Millisecond || took > 3*time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}

// standIn takes the place of the world's gateway, and answers what that asks as another version would.
func (w *world) standIn(t *testing.T, h http.Handler) {
	t.Helper()
	conn, err := net.Dial("unix", w.paths.GatewaySocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, "POST /handover HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	in := bufio.NewReader(conn)
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	io.WriteString(conn, "\n")
	fds := receiveRights(t, conn.(*net.UnixConn))
	unix.Close(fds[0])
	file := os.NewFile(uintptr(fds[1]), "socket")
	defer file.Close()
	status, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, `{"dismiss":true}{"release":true}`)
	var m struct{ Resigned bool }
	for decoder := json.NewDecoder(in); !m.Resigned; {
		if err := decoder.Decode(&m); err != nil {
			t.Fatal(err)
		}
	}
	server := &http.Server{Handler: h}
	go server.Serve(status)
	t.Cleanup(func() { server.Close() })
}

// receiveRights receives sockets, and the newline with them.
func receiveRights(t *testing.T, conn *net.UnixConn) []int {
	t.Helper()
	newline, rights := make([]byte, 1), make([]byte, 4096)
	_, n, _, _, err := conn.ReadMsgUnix(newline, rights)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	return fds
}

// A successor that does not know how to take tunnels leaves them where they are, and they go on until their own time is over.
func TestHandoverOfTunnelsToOlderVersion(t *testing.T) {
	w := newDynasty(t)
	w.route(ping, grace)
	w.arm(ping, 1).serve(t, &chat{closed: make(chan error, 1)})
	w.settle()
	c := w.dialWebSocket(t, websocket.CompressionDisabled)
	w.standIn(t, http.NotFoundHandler())
	for n := range 10 {
		checkEcho(t, c, fmt.Sprint(n))
		time.Sleep(100 * time.Millisecond) // all together longer than the grace
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// A tunnel that the successor refuses, or during whose handover that ends, goes on where it is, also in the middle of traffic, and
// can be handed over later.
func TestHandoverOfTunnelsRefused(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, hijacked(func(c net.Conn) { io.Copy(c, c) }))
	w.settle()
	conn, in := w.dialRaw(t, "/")
	var offers atomic.Int32
	w.standIn(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/streams" {
			http.NotFound(rw, r)
			return
		}
		c, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: fnctl-handover\r\n\r\n")
		for _, fd := range receiveRights(t, c.(*net.UnixConn)) {
			defer unix.Close(fd)
		}
		if offers.Add(1)%2 == 0 {
			return
		}
		var head [4]byte
		io.ReadFull(c, head[:])
		io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[:])))
		io.WriteString(c, `{"refused":"for a test"}`+"\n")
		io.Copy(io.Discard, c)
	}))
	go func() {
		block := make([]byte, 8<<10)
		for at := uint64(0); offers.Load() < 4; at += uint64(len(block)) {
			numberBlock(block, at)
			conn.Write(block)
		}
		conn.(*net.TCPConn).CloseWrite()
	}()
	got, block, read := make([]byte, 8<<10), make([]byte, 8<<10), uint64(0)
	for {
		n, err := io.ReadFull(in, got)
		if numberBlock(block, read); !bytes.Equal(got[:n], block[:n]) || err != nil && err != io.EOF {
			t.Fatalf("at %d: %v, equal %v", read, err, bytes.Equal(got[:n], block[:n]))
		}
		if read += uint64(n); err != nil {
			break
		}
	}
	if offers.Load() < 4 || read == 0 {
		t.Errorf("%d offers, %d bytes", offers.Load(), read)
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

// An event stream is not handed over. It lives on in the old gateway, until its own time is over, or the new one has to end.
func TestHandoverKeepsEventStreams(t *testing.T) {
	w := newDynasty(t)
	w.route(ping, grace)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			fmt.Fprint(rw, "data: x\n\n")
			http.NewResponseController(rw).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}))
	w.settle()
	res, err := w.client.Do(w.request("GET", "ping", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	ended := w.succeed()
	for began := time.Now(); time.Since(began) < time.Second; { // longer than the grace
		expect(t, res.Body, "data: x\n\n")
	}
	began := time.Now()
	go w.stop()
	if rest, err := io.ReadAll(res.Body); err != nil || !strings.HasSuffix(string(rest), "\n\n") {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := ended(); err != nil || time.Since(began) > requestTimeout {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// A gateway that waits only for the one before it leaves, and that one counts in the gateway that serves.
func TestHandoverLeavesNoChain(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	app := newHeld()
	w.arm(ping, 1).serve(t, app)
	got := w.ask("/held")
	w.eventually("it runs", func() bool { return app.running.Load() == 1 })
	soon := func(c *gateway.Config) { c.DrainTimeout = 1100 * time.Millisecond }
	first := w.succeed(soon)
	second := w.succeed()
	if err := second(); err != nil {
		t.Error(err)
	}
	w.eventually("it counts", func() bool { return w.inFlight() == 1 && w.onInstance("instance=1") == 1 })
	close(app.release)
	if a := <-got; a.body != "done" {
		t.Errorf("got %+v", a)
	}
	w.eventually("nothing is left", func() bool { return w.inFlight() == 0 })
	if err := first(); err != nil {
		t.Error(err)
	}
}

// sendTunnel says what a predecessor does of a tunnel between two sockets.
func sendTunnel(t *testing.T, conn *net.UnixConn, message string, sockets ...int) {
	t.Helper()
	if _, _, err := conn.WriteMsgUnix([]byte("\n"), unix.UnixRights(sockets...), nil); err != nil {
		t.Fatal(err)
	}
	conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...))
}

// dialStreams begins as a predecessor does that hands its tunnels over.
func (w *world) dialStreams(t *testing.T) (*net.UnixConn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("unix", w.paths.GatewaySocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(requestTimeout))
	io.WriteString(conn, "POST /streams HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	in := bufio.NewReader(conn)
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	return conn.(*net.UnixConn), in
}

// A tunnel is not the successor's before the predecessor has said so.
func TestTunnelIsTakenOnlyOnce(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	w.arm(ping, 1)
	w.eventually("the instance is there", func() bool { return w.has(platform.MetricInstanceInFlight, "instance=1") })
	client, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	left := strconv.FormatInt(int64(requestTimeout), 10)
	conn, in := w.dialStreams(t)
	for _, unknown := range []string{`{"revision":"ping-00001","instance":2}`, `{"revision":"gone-00001","instance":1}`, `{"revision":"?"}`} {
		sendTunnel(t, conn, unknown, client[0], instance[0])
		if got, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(got, `{"refused":`) {
			t.Fatal(got, err)
		}
	}
	known := `{"revision":"ping-00001","instance":1,"method":"GET","code":101,"to_client":"YQ==","to_instance":"Yg==","later":1,"left":` + left + `}`
	sendTunnel(t, conn, known, client[0], instance[0])
	if got, err := in.ReadString('\n'); err != nil || got != "{}\n" {
		t.Fatal(got, err)
	}
	if n := w.inFlight(); n != 1 {
		t.Errorf("%v in flight before it is given away", n)
	}
	conn.Close()
	w.eventually("it is left to the predecessor", func() bool { return w.inFlight() == 0 && w.onInstance() == 0 })
	unix.SetNonblock(client[1], true)
	if n, err := unix.Read(client[1], make([]byte, 1)); err != unix.EAGAIN {
		t.Errorf("the client has got %d bytes, %v", n, err)
	}
	conn, in = w.dialStreams(t)
	sendTunnel(t, conn, known, client[0], instance[0])
	if got, err := in.ReadString('\n'); err != nil || got != "{}\n" {
		t.Fatal(got, err)
	}
	io.WriteString(conn, "\n")
	for name, fd := range map[string]int{"a": client[1], "b": instance[1]} {
		got := make([]byte, 1)
		w.eventually("it gets what was not sent yet", func() bool { n, _ := unix.Read(fd, got); return n == 1 || string(got) == name })
		if string(got) != name {
			t.Errorf("got %q, want %q", got, name)
		}
		unix.SetNonblock(fd, true)
	}
	for _, fd := range []int{client[0], client[1], instance[0], instance[1]} {
		unix.Close(fd)
	}
	w.eventually("its end is seen", func() bool { return w.inFlight() == 0 })
}
