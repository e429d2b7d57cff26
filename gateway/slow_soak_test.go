//go:build soak

package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// attack is how a slow client begins, and what it goes on with, byte by byte.
type attack struct{ begin, drip string }

// attacks are those of slowloris and its kin: each keeps a request open for as long as it may, in another place.
var attacks = map[string]attack{
	"head":     {"GET / HTTP/1.1\r\nHost: slow.localhost\r\nX: ", "x"},
	"body":     {"POST / HTTP/1.1\r\nHost: slow.localhost\r\nContent-Length: 1000000\r\n\r\n", "x"},
	"chunks":   {"POST / HTTP/1.1\r\nHost: slow.localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
	"response": {"GET /large HTTP/1.1\r\nHost: slow.localhost\r\n\r\n", ""},
	"stream":   {streamOf("POST", "/"), "\x00\x00\x01\x00\x00\x00\x00\x00\x01x"},
	"download": {streamOf("GET", "/large"), ""},
}

// streamOf begins a connection of HTTP/2 with one request.
func streamOf(method, path string) string {
	var text, block strings.Builder
	text.WriteString(http2.ClientPreface)
	framer, coder := http2.NewFramer(&text, nil), hpack.NewEncoder(&block)
	framer.WriteSettings()
	framer.WriteSettingsAck()
	for _, f := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "slow.localhost"}, {":path", path}} {
		coder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	head := http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: method == "GET"}
	framer.WriteHeaders(head)
	return text.String()
}

// dripPause is the time between two bytes of a connection: each attack gets on, and what the attackers cost does not count.
const dripPause = 5 * time.Second

// run keeps n connections open, on each of which a byte is sent every dripPause. What the gateway closes is opened again.
func (a attack) run(ctx context.Context, addr string, n int, open func(int)) {
	conns := make([]net.Conn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	for ctx.Err() == nil {
		for i, c := range conns {
			if platform.Sleep(ctx, dripPause/time.Duration(n)); ctx.Err() != nil { // not all at once: that would be measured
				return
			}
			if c != nil && isOpen(c) {
				io.WriteString(c, a.drip)
				continue
			}
			if c != nil {
				c.Close()
				open(-1)
			}
			conns[i] = nil
			if c, err := net.Dial("tcp", addr); err == nil {
				io.WriteString(c, a.begin)
				conns[i] = c
				open(1)
			}
		}
	}
}

// isOpen reports whether the other end has not closed a connection, whatever there is to be read.
func isOpen(c net.Conn) bool {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	events := int16(0)
	err = raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		unix.Poll(polled, 0)
		events = polled[0].Revents
	})
	return err == nil && events == 0
}

// p99 is the time within which 99 of 100 requests of a few clients were answered, the median of rounds.
func (w *world) p99(t *testing.T) time.Duration {
	var rounds []time.Duration
	for range 5 {
		var mu sync.Mutex
		var all []time.Duration
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
					began := time.Now()
					if got := w.get("ping", "/"); got.status != http.StatusOK {
						t.Errorf("got %+v", got)
						return
					}
					mu.Lock()
					all = append(all, time.Since(began))
					mu.Unlock()
				}
			})
		}
		group.Wait()
		slices.Sort(all)
		rounds = append(rounds, all[len(all)*99/100])
	}
	slices.Sort(rounds)
	return rounds[len(rounds)/2]
}

// 4,000 slow clients of one function, in every place in which one can be slow, leave another function nearly as fast as it was.
func TestSoakSlowloris(t *testing.T) {
	const clients = 4000
	limit := unix.Rlimit{}
	unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	limit.Cur = limit.Max
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); limit.Cur < 5*clients {
		t.Fatalf("%d files may be open, want %d: ulimit -n", limit.Cur, 5*clients)
	}
	w := newWorld(t, func(cfg *gateway.Config) { cfg.MinRate = 500 })
	slow := platform.RevisionID{Function: "slow", Number: 1}
	w.route(ping)
	w.arm(ping, 1).serve(t, echo("ping"))
	w.route(slow)
	w.arm(slow, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/large" {
			w.Header().Set("Content-Length", fmt.Sprint(20<<20))
			io.Copy(w, io.LimitReader(zeros{}, 20<<20))
		}
	}))
	w.p99(t) // warm
	before := w.p99(t)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var mu sync.Mutex
	open := 0
	for _, a := range attacks {
		group.Go(func() {
			a.run(ctx, w.addr, clients/len(attacks), func(n int) {
				mu.Lock()
				defer mu.Unlock()
				open += n
			})
		})
	}
	defer group.Wait()
	defer stop()
	w.eventually("all are there", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return open >= clients*9/10
	})
	after := w.p99(t)
	t.Logf("p99 %v, with %v slow clients %v; %v in flight", before, w.metric(gateway.MetricConnections), after, w.inFlight("function=slow"))
	if after >= 2*before {
		t.Errorf("p99 %v, with slow clients %v", before, after)
	}
}
