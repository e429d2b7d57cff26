package gateway

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/gateway/netio"
)

// An end that came with a request is noticed also if it is told only when the next one is waited for.
func TestEndIsToldLate(t *testing.T) {
	hangups, err := netio.NewHangups() // it does not run: the test tells
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{IdleTimeout: time.Hour, ReadHeaderTimeout: time.Hour, Logger: slog.New(slog.DiscardHandler)}.withDefaults()
	metrics := newMetrics()
	p := &proxy{fleet: newFleet(cfg, nil, newGroup(), metrics), buffers: netio.NewBuffers(), metrics: metrics, via: newVia("test"), log: cfg.Logger}
	near, far := tcpPair(t)
	c := newClientConn(&clientEnv{cfg: &cfg, proxy: p, hangups: hangups, conns: newConnSet()}, near)
	served := make(chan error, 1)
	go func() { served <- c.serve() }()
	r := bufio.NewReader(far)
	ask := func() {
		t.Helper()
		io.WriteString(far, "GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
	}
	answered := func() {
		t.Helper()
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusNotFound {
			t.Fatalf("got %v, %v", res, err)
		}
		io.Copy(io.Discard, res.Body)
	}
	ask()
	answered()
	cork(t, far)
	ask()
	far.CloseWrite() // takes what is corked along
	answered()
	for c.isAt(phaseServing) || c.isAt(phaseReading) {
		time.Sleep(time.Millisecond)
	}
	c.hungUp(false)
	select {
	case <-served:
	case <-time.After(10 * time.Second):
		t.Error("the connection is open still")
	}
}

func (c *clientConn) isAt(p phase) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == p
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close() })
	there.SetDeadline(time.Now().Add(time.Minute))
	return here.(*net.TCPConn), there.(*net.TCPConn)
}

// cork keeps what is written until there is a segment full of it, or the end.
func cork(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) }); err != nil {
		t.Fatal(err)
	}
}

// A write that waits for the client ends with its deadline, and with an interruption, also one that came before it; none outlives its request.
func TestWritesAreBounded(t *testing.T) {
	for name, interrupt := range map[string]func(s *clientRequest){
		"deadline":             func(s *clientRequest) { s.writer.Bound(time.Now().Add(50 * time.Millisecond)) },
		"interrupted before":   func(s *clientRequest) { s.interruptWrite() },
		"interrupted meantime": func(s *clientRequest) { time.AfterFunc(50*time.Millisecond, s.interruptWrite) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := tcpPair(t)
			cfg := Config{}.withDefaults()
			s := newClientRequest(newClientConn(&clientEnv{cfg: &cfg, proxy: &proxy{buffers: netio.NewBuffers()}}, near))
			s.writer.Bound(time.Now().Add(time.Hour))
			interrupt(s)
			ended := make(chan error, 1)
			go func() { ended <- s.send(make([]byte, 64<<20)) }()
			select {
			case err := <-ended:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("it waits still")
			}
			s.begin()
			s.writer.Bound(time.Now().Add(time.Minute))
			go io.Copy(io.Discard, far)
			if err := s.send(make([]byte, 8<<20)); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}
