package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// connected returns a connection to an instance, and its other end.
func connected(t *testing.T) (*instanceConn, *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newInstanceConn(near, nil, func(*instanceConn) {})
	t.Cleanup(func() { c.Close(); far.Close() })
	return c, far.(*net.UnixConn)
}

func (c *instanceConn) askForTest(message string) (string, error) {
	c.beginAsking([]byte(message), time.Now().Add(time.Minute))
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}

// What came over an idle connection, be it the end, is found before the message is written, and however often it was asked before.
func TestAskFindsWhatCameBefore(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(far *net.UnixConn)
		want    error
	}{
		"bytes":           {func(far *net.UnixConn) { io.WriteString(far, "HTTP/1.1 200 OK\r\n") }, errUnquiet},
		"half of the end": {func(far *net.UnixConn) { far.CloseWrite() }, errEnded},
		"the end":         {func(far *net.UnixConn) { far.Close() }, errEnded},
		"bytes and the end": {func(far *net.UnixConn) {
			io.WriteString(far, "HTTP/1.1 408 Request Timeout\r\n")
			far.Close()
		}, errUnquiet},
	} {
		t.Run(name, func(t *testing.T) {
			c, far := connected(t)
			for range 3 {
				go answerOnce(far, "ping", "pong")
				if got, err := c.askForTest("ping"); got != "pong" || err != nil {
					t.Fatalf("got %q, %v", got, err)
				}
			}
			test.happens(far)
			_, err := c.askForTest("ping")
			if !errors.Is(err, test.want) || !errors.Is(err, errDial) || c.wrote.Load() != 0 {
				t.Errorf("got %v, and %d bytes were written, want %v and none", err, c.wrote.Load(), test.want)
			}
		})
	}
}

func answerOnce(far net.Conn, want, answer string) {
	buf := make([]byte, len(want))
	if _, err := io.ReadFull(far, buf); err == nil {
		io.WriteString(far, answer)
	}
}

// A message for which the socket has no room is written as the other end reads.
func TestAskWithoutRoom(t *testing.T) {
	c, far := connected(t)
	message := bytes.Repeat([]byte("x"), 4<<20)
	go func() {
		if got, _ := io.ReadAll(io.LimitReader(far, int64(len(message)))); bytes.Equal(got, message) {
			io.WriteString(far, "all")
		}
	}()
	if got, err := c.askForTest(string(message)); got != "all" || err != nil || c.wrote.Load() != int64(len(message)) {
		t.Errorf("got %q, %v, and %d bytes were written", got, err, c.wrote.Load())
	}
}

// A message for which there is no room is not written for longer than there is time.
func TestAskOfOneThatReadsNothing(t *testing.T) {
	c, _ := connected(t)
	c.beginAsking(make([]byte, 4<<20), time.Now().Add(50*time.Millisecond))
	if _, err := c.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// An interruption ends the wait, before the message is written and after that.
func TestAskIsInterrupted(t *testing.T) {
	c, far := connected(t)
	result := make(chan error, 1)
	go func() {
		_, err := c.askForTest("ping")
		result <- err
	}()
	if _, err := io.ReadFull(far, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	c.interrupt()
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := c.askForTest("ping"); !errors.Is(err, os.ErrDeadlineExceeded) || c.wrote.Load() != 0 {
		t.Errorf("later: got %v, and %d bytes were written", err, c.wrote.Load())
	}
}

// A read lasts until its own deadline, whatever was armed for the one before.
func TestReadOutlastsTheDeadlineBefore(t *testing.T) {
	c, far := connected(t)
	read := func() (string, error) {
		buf := make([]byte, 100)
		n, err := c.Read(buf)
		return string(buf[:n]), err
	}
	c.readUntil(time.Now().Add(50 * time.Millisecond))
	io.WriteString(far, "1")
	if got, err := read(); got != "1" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	c.readUntil(time.Now().Add(time.Minute))
	time.AfterFunc(150*time.Millisecond, func() { io.WriteString(far, "2") })
	if got, err := read(); got != "2" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	began := time.Now()
	c.readUntil(began.Add(100 * time.Millisecond)) // sooner than what is armed
	if got, err := read(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 30*time.Second {
		t.Fatalf("got %q, %v after %v", got, err, time.Since(began))
	}
}
