package netio

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair returns both ends of a connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
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
	return here.(*net.TCPConn), there.(*net.TCPConn)
}

func idleReader(t *testing.T, conn *net.TCPConn, most int) *IdleReader {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return NewIdleReader(NewBuffers(), raw, most)
}

// All bytes are taken, whether one read gets them, or it takes as many as there may be, and until no more are wanted. What comes later is
// there for the next read.
func TestFeed(t *testing.T) {
	near, far := pair(t)
	r := idleReader(t, near, 4)
	near.SetReadDeadline(time.Now().Add(time.Minute))
	var got []string
	steps := make(chan string, 3)
	steps <- "12345678"
	steps <- "abc"
	steps <- "end"
	io.WriteString(far, <-steps)
	err := r.Feed(func(b []byte) bool {
		got = append(got, string(b))
		if joined := strings.Join(got, ""); joined == "12345678" || joined == "12345678abc" {
			go io.WriteString(far, <-steps)
		}
		return string(b) != "end"
	})
	if err != nil || !slices.Equal(got, []string{"1234", "5678", "abc", "end"}) {
		t.Errorf("got %q, %v", got, err)
	}
	io.WriteString(far, "rest")
	if b, err := r.Read(); string(b) != "rest" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	r.Give()
}

// The end of a connection ends it, and so does a deadline, from which it goes on where it was.
func TestFeedEnds(t *testing.T) {
	near, far := pair(t)
	r := idleReader(t, near, 4)
	feed := func() (got string, err error) {
		err = r.Feed(func(b []byte) bool { got += string(b); return true })
		return got, err
	}
	near.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	io.WriteString(far, "1")
	if got, err := feed(); got != "1" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v", got, err)
	}
	near.SetReadDeadline(time.Now().Add(time.Minute))
	io.WriteString(far, "2")
	time.AfterFunc(20*time.Millisecond, func() { far.Close() })
	if got, err := feed(); got != "2" || !errors.Is(err, io.EOF) {
		t.Errorf("got %q, %v", got, err)
	}
}
