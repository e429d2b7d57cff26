package netio_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
)

// A read that is given up loses nothing: what it brings is there for the next ones, whatever their size, and so is the end.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, sink := io.Pipe()
		p := netio.Patient{Source: source, Until: time.Now().Add(time.Second)}
		small := make([]byte, 3)
		for range 3 {
			if n, err := p.Read(small); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !p.IsReading() {
				t.Fatalf("got %d, %v", n, err)
			}
			p.Until = time.Now().Add(time.Second)
		}
		go func() {
			io.WriteString(sink, "hello, ")
			io.WriteString(sink, "world")
			sink.Close()
		}()
		if n, err := p.Read(small); string(small[:n]) != "hel" || err != nil {
			t.Fatalf("got %q, %v", small[:n], err)
		}
		p.Until = time.Time{} // from now on it waits
		if rest, err := io.ReadAll(&p); string(rest) != "lo, world" || err != nil || p.IsReading() {
			t.Errorf("got %q, %v", rest, err)
		}
	})
}

// Who has given a read up can wait for its end.
func TestPatientIsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := io.Pipe()
		p := netio.Patient{Source: source, Until: time.Now().Add(time.Second)}
		p.Read(make([]byte, 1))
		go source.Close()
		p.Join()
	})
}
