package platform_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
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
