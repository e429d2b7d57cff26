package gateway_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// worker is a process of a pre-forking server: while it serves a request it does nothing else, and accepts nothing.
type worker struct {
	net.Listener
	mu sync.Mutex
	h  http.Handler
}

func (w *worker) Accept() (net.Conn, error) {
	for {
		w.mu.Lock()
		w.Listener.(*net.UnixListener).SetDeadline(time.Now().Add(time.Millisecond))
		c, err := w.Listener.Accept()
		w.mu.Unlock()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
	}
}

func (w *worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.h.ServeHTTP(rw, r)
}

// fork adds a worker to an instance.
func (a *armed) fork(t *testing.T, h http.Handler) {
	t.Helper()
	file, err := a.Listener.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inherited, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	one := &worker{Listener: inherited, h: h}
	server := &http.Server{Handler: one}
	go server.Serve(one)
	t.Cleanup(func() { server.Close() })
}

// A request does not wait for a worker that is busy while another one is idle, though connections to the busy one are kept.
func TestIdleWorkerIsFound(t *testing.T) {
	w := newWorld(t, func(cfg *gateway.Config) { cfg.DrainTimeout = time.Second })
	w.route(ping, func(s *platform.TrafficShare) { s.Workers = 2 })
	a := w.arm(ping, 1)
	entered, goOn := make(chan struct{}), make(chan struct{})
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			time.Sleep(20 * time.Millisecond)
		case "/busy":
			close(entered)
			<-goOn
		}
	})
	a.fork(t, app)
	var several sync.WaitGroup // each over a connection of its own, all to the first worker
	for range 8 {
		several.Go(func() { w.get("ping", "/slow") })
	}
	several.Wait()
	a.fork(t, app)
	busy := make(chan answer, 1)
	go func() { busy <- w.get("ping", "/busy") }()
	<-entered
	defer func() {
		close(goOn)
		if got := <-busy; got.status != http.StatusOK {
			t.Errorf("the slow one got %+v", got)
		}
	}()
	for range 20 {
		quick := make(chan answer, 1)
		go func() { quick <- w.get("ping", "/quick") }()
		select {
		case got := <-quick:
			if got.status != http.StatusOK {
				t.Fatalf("got %+v", got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a request waits for the busy worker")
		}
	}
}
