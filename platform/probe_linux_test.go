package platform_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// listen is an armed instance: connections queue and nobody accepts.
func listen(t *testing.T) (*net.UnixListener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.(*net.UnixListener), path
}

func TestProbeWaitsUntilRead(t *testing.T) {
	listener, path := listen(t)
	proved := make(chan error, 1)
	go func() {
		conn, err := platform.Probe(t.Context(), path, 'G')
		if err == nil {
			conn.Close()
		}
		proved <- err
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	select {
	case err := <-proved:
		t.Fatalf("proved before the byte was read: %v", err)
	case <-time.After(20 * time.Millisecond): // accepted, and still unread
	}
	first := make([]byte, 8)
	if n, err := conn.Read(first); err != nil || string(first[:n]) != "G" {
		t.Fatalf("read %q, %v", first[:n], err)
	}
	if err := <-proved; err != nil {
		t.Errorf("not proved by reading: %v", err)
	}
}

func TestProbeFails(t *testing.T) {
	t.Run("nobody accepts", func(t *testing.T) {
		_, path := listen(t)
		gone := errors.New("the client went away")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, gone)
		defer cancel()
		if _, err := platform.Probe(ctx, path, 'G'); !errors.Is(err, gone) {
			t.Errorf("got %v, want the cause", err)
		}
	})
	t.Run("the socket closes with the connection queued", func(t *testing.T) {
		listener, path := listen(t)
		time.AfterFunc(10*time.Millisecond, func() { listener.Close() })
		if _, err := platform.Probe(t.Context(), path, 'G'); err == nil {
			t.Error("proved by an instance that has never read")
		}
	})
	t.Run("closed without reading", func(t *testing.T) {
		listener, path := listen(t)
		go func() {
			if conn, err := listener.Accept(); err == nil {
				conn.Close()
			}
		}()
		if _, err := platform.Probe(t.Context(), path, 'G'); err == nil {
			t.Error("proved by an instance that has never read")
		}
	})
	t.Run("no socket", func(t *testing.T) {
		if _, err := platform.Probe(t.Context(), filepath.Join(t.TempDir(), "none"), 'G'); err == nil {
			t.Error("proved by nothing")
		}
	})
}

// What was not read is never proved, however close reading and closing are to each other.
func TestProbeNeverProvesWhatWasNotRead(t *testing.T) {
	const rounds = 1000
	for i := range rounds {
		path := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		proved := make(chan error, 1)
		go func() {
			conn, err := platform.Probe(t.Context(), path, 'G')
			if err == nil {
				conn.Close()
			}
			proved <- err
		}()
		if i%2 == 0 {
			closeUnread(t, listener)
		} else {
			time.Sleep(time.Duration(i) * 100 * time.Nanosecond)
		}
		listener.Close()
		if err := <-proved; err == nil {
			t.Fatalf("round %d: proved by an instance that has never read", i)
		}
		os.RemoveAll(filepath.Dir(path))
	}
}

func closeUnread(t *testing.T, listener net.Listener) {
	t.Helper()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// Each of many probes is proved by its own read, and its connection is used on.
func TestProbesRace(t *testing.T) {
	listener, path := listen(t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { echoTwice(conn) }()
		}
	}()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 50 {
				probeAndUse(t, path)
			}
		})
	}
	group.Wait()
}

// echoTwice reads one byte, and then answers the next.
func echoTwice(conn net.Conn) {
	defer conn.Close()
	b := make([]byte, 1)
	for range 2 {
		if _, err := conn.Read(b); err != nil {
			return
		}
	}
	conn.Write(b)
}

func probeAndUse(t *testing.T, path string) {
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := platform.Probe(ctx, path, 'G')
	cancel() // what ends after the proof does not concern the connection
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	b := []byte{'x'}
	if _, err := conn.Write(b); err != nil {
		t.Error(err)
	}
	if n, err := conn.Read(b); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// BenchmarkProbe tells how long after reading the proof comes.
func BenchmarkProbe(b *testing.B) {
	path := filepath.Join(b.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	read := make(chan time.Time, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			time.Sleep(time.Millisecond)
			conn.Read(make([]byte, 1))
			read <- time.Now()
			conn.Read(make([]byte, 1))
			conn.Close()
		}
	}()
	late := time.Duration(0)
	for b.Loop() {
		conn, err := platform.Probe(b.Context(), path, 'G')
		if err != nil {
			b.Fatal(err)
		}
		late += time.Since(<-read)
		conn.Close()
	}
	b.ReportMetric(float64(late.Microseconds())/float64(b.N), "µs-late/op")
}
