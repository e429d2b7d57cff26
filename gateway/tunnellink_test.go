package gateway_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
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

// What a gateway counts of tunnels that were handed over is what it would count had they been opened there, and nothing is left of them
// when they have ended: neither in flight, nor as open, nor among the connections that clients may have.
func TestHandoverCountsTunnels(t *testing.T) {
	const sockets, gateways = 8, 3
	w := newDynasty(t)
	w.route(ping)
	pong := platform.RevisionID{Function: "pong", Number: 1}
	w.route(pong)
	app := &chat{closed: make(chan error, sockets)}
	a := w.arm(ping, 1)
	a.serve(t, app)
	w.arm(pong, 1).serve(t, echo("pong"))
	w.settle()
	var conns []*websocket.Conn
	for range sockets {
		conns = append(conns, w.dialWebSocket(t, websocket.CompressionDisabled))
	}
	var log accessCounter
	limits := func(c *gateway.Config) {
		c.AccessLog, c.MaxConnections, c.MaxConnectionsPerAddress = &log, sockets+4, sockets+1
	}
	for range gateways {
		before := w.wait
		w.succeed(limits)
		if err := before(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, n int) {
		t.Helper()
		w.eventually("the counts are right "+when, func() bool {
			return w.inFlight("revision=ping-00001") == float64(n) && w.onInstance("revision=ping-00001") == float64(n) &&
				w.metric(gateway.MetricConnections) == float64(n)
		})
	}
	check("after the last handover", sockets)
	if n := w.metric(platform.MetricRequestsStarted); n != 0 {
		t.Errorf("%v requests count as new ones", n)
	}
	// One more connection fits, and no two.
	one, in := w.dial(t)
	fmt.Fprint(one, "GET / HTTP/1.1\r\nHost: pong.localhost\r\n\r\n")
	if code, _ := nextAnswer(t, in); code != http.StatusOK {
		t.Errorf("the last connection that an address may have gets %d", code)
	}
	two, in := w.dial(t)
	fmt.Fprint(two, "GET / HTTP/1.1\r\nHost: pong.localhost\r\n\r\n")
	if code, _ := nextAnswer(t, in); code != http.StatusTooManyRequests {
		t.Errorf("one more gets %d", code)
	}
	one.Close()
	two.Close()
	for i, c := range conns {
		checkEcho(t, c, fmt.Sprint(i))
		c.Close(websocket.StatusNormalClosure, "")
	}
	check("after the end", 0)
	if n := w.metric(gateway.MetricRequests, "revision=ping-00001", "code=101"); n != sockets {
		t.Errorf("%v requests have ended", n)
	}
	if n := len(log.list()); n != sockets+1 { // and the one that was answered
		t.Errorf("%d requests are recorded", n)
	}
	var all []net.Conn
	for range sockets + 1 { // as many as at first
		c, in := w.dial(t)
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: pong.localhost\r\n\r\n")
		if code, _ := nextAnswer(t, in); code != http.StatusOK {
			t.Fatalf("connection %d gets %d", len(all)+1, code)
		}
		all = append(all, c)
	}
	a.drain(t)
	w.put(platform.Route{Function: ping.Function, Traffic: []platform.TrafficShare{{
		Revision: ping2, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(9)},
	}}})
	// A revision of which a request were open, or fewer than none, would be kept.
	w.eventually("the revision is forgotten", func() bool { return !w.has(platform.MetricInFlight, "revision=ping-00001") })
}

// Tunnels of which one end goes away in the moment of a handover end once, wherever they are by then, and the other end gets to know.
func TestHandoverOfDyingTunnels(t *testing.T) {
	const rounds, each = 6, 9
	w := newDynasty(t)
	w.route(ping)
	quit := make(chan struct{}, rounds*each)
	var gone atomic.Int32
	w.arm(ping, 1).serve(t, hijacked(func(c net.Conn) {
		over := make(chan struct{})
		go func() {
			defer close(over)
			io.Copy(io.Discard, c)
			gone.Add(1)
		}()
		select {
		case <-quit:
			c.Close()
			<-over
		case <-over:
		}
	}))
	var log accessCounter
	logged := func(c *gateway.Config) { c.AccessLog = &log }
	w.succeed(logged)
	var clients sync.WaitGroup
	for range rounds {
		var reset []net.Conn
		for i := range each {
			c, in := w.dialRaw(t, "/")
			if i%3 == 0 {
				reset = append(reset, c)
			}
			clients.Go(func() {
				if _, err := io.Copy(io.Discard, in); i%3 != 0 && err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the end did not reach the client: %v", err)
				}
			})
		}
		dying := make(chan struct{})
		go func() {
			defer close(dying)
			for _, c := range reset {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
				quit <- struct{}{}
				time.Sleep(time.Millisecond) // so that the handover is at different places
			}
		}()
		w.succeed(logged)
		<-dying
	}
	for range rounds * each { // more than there are
		quit <- struct{}{}
	}
	clients.Wait()
	w.eventually("nothing is left", func() bool { return w.inFlight() == 0 && w.metric(gateway.MetricConnections) == 0 })
	w.eventually("each was recorded once", func() bool { return len(log.list()) == rounds*each })
	w.eventually("the app has seen the end of each", func() bool { return gone.Load() == rounds*each })
}

// A tunnel over which nothing has come is no response that could be taken back: its client gets its end, and no other answer.
func TestHandoverOfSilentTunnels(t *testing.T) {
	w := newDynasty(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Timeout = platform.Seconds(2) })
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
		buffered.Flush()
		io.Copy(io.Discard, c)
	}))
	w.settle()
	c, in := w.dial(t)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	before := w.wait
	w.succeed()
	if err := before(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); len(got) > 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	w.eventually("it is counted", func() bool { return w.metric(gateway.MetricAborted, "reason=timeout") == 1 && w.inFlight() == 0 })
}

// What the access log says of a tunnel that has been in two gateways is one line, of the whole, with the client behind a trusted proxy.
func TestHandoverRecordsTunnelsWhole(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	w.arm(ping, 1).serve(t, hijacked(func(c net.Conn) { io.Copy(c, c) }))
	w.settle()
	var log accessCounter
	trusting := func(c *gateway.Config) {
		c.AccessLog, c.TrustedProxies = &log, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	w.succeed(trusting)
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(requestTimeout))
	began := time.Now()
	fmt.Fprint(conn, "GET /a%20b?secret HTTP/1.1\r\nHost: ping.localhost\r\nX-Forwarded-For: 192.0.2.7\r\nX-Request-Id: whole\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	const text = "\x81\x05hello"
	pass := func() {
		io.WriteString(conn, text)
		expect(t, in, text)
	}
	pass()
	time.Sleep(300 * time.Millisecond)
	before := w.wait
	w.succeed(trusting)
	if err := before(); err != nil {
		t.Fatal(err)
	}
	pass()
	conn.Close()
	w.eventually("it is recorded", func() bool { return len(log.list()) > 0 })
	took := time.Since(began)
	a := log.list()[0]
	if len(log.list()) != 1 || a.Path != "/a%20b" || a.Peer != "192.0.2.7" || !strings.HasPrefix(a.RequestID, "whole") || a.Received != 2*int64(len(text)) ||
		a.Sent != 2*int64(len(text)) || a.Duration < 300*time.Millisecond || a.Duration > took || a.At.Before(began.Add(-time.Second)) || a.At.After(began.Add(took)) {
		t.Errorf("after %v: %+v", took, a)
	}
}

// A predecessor that ends at any place of what it says of a tunnel, or says nonsense, leaves nothing behind, neither a count nor a file.
func TestTunnelsOfPredecessorThatDies(t *testing.T) {
	w := newDynasty(t)
	w.route(ping)
	w.arm(ping, 1)
	w.settle()
	one, two := socketpair(t), socketpair(t)
	known := `{"revision":"ping-00001","instance":1,"method":"GET","code":101,"left":60000000000}`
	whole := string(binary.BigEndian.AppendUint32(nil, uint32(len(known)))) + known
	for name, test := range map[string]struct {
		sockets []int
		said    string
	}{
		"nothing":               {},
		"only the sockets":      {[]int{one[0], two[0]}, ""},
		"half of the length":    {[]int{one[0], two[0]}, whole[:2]},
		"half of the message":   {[]int{one[0], two[0]}, whole[:20]},
		"all but that it is so": {[]int{one[0], two[0]}, whole},
		"too long":              {[]int{one[0], two[0]}, "\xff\xff\xff\xff"},
		"no JSON":               {[]int{one[0], two[0]}, "\x00\x00\x00\x02{]"},
		"one socket":            {[]int{one[0]}, whole},
		"three sockets":         {[]int{one[0], two[0], one[0]}, whole},
	} {
		t.Run(name, func(t *testing.T) {
			conn, _ := w.dialStreams(t)
			if len(test.sockets) > 0 {
				conn.WriteMsgUnix([]byte("\n"), unix.UnixRights(test.sockets...), nil)
			}
			io.WriteString(conn, test.said)
			conn.CloseWrite()
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("the gateway has not closed the connection: %v", err)
			}
			w.eventually("nothing counts", func() bool {
				return w.inFlight() == 0 && w.onInstance() == 0 && w.metric(gateway.MetricConnections) == 0
			})
		})
	}
	unix.Close(one[0])
	unix.Close(two[0])
	for _, fd := range []int{one[1], two[1]} { // its end comes only if nobody has the other one
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
		if n, err := unix.Read(fd, make([]byte, 1)); n != 0 || err != nil {
			t.Errorf("a file is open still: %d bytes, %v", n, err)
		}
		unix.Close(fd)
	}
}

func socketpair(t *testing.T) [2]int {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
