package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// BenchmarkForward is a request through the gateway and back on kept connections. The client and the app cost as little as
// can be, and have a label, so that a profile can leave them out:
//
//	go test ./gateway -run '^$' -bench Forward/small -cpuprofile cpu.out -o gateway.test
//	go tool pprof -top -tagignore part gateway.test cpu.out
func BenchmarkForward(b *testing.B) {
	b.Run("small", func(b *testing.B) { benchmarkForward(b, 32) })
	b.Run("large", func(b *testing.B) { benchmarkForward(b, 1<<20) })
}

func benchmarkForward(b *testing.B, length int) {
	w := newWorld(b)
	id := platform.RevisionID{Function: "ping", Number: 1}
	instance := w.arm(id, 1)
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", length, strings.Repeat("x", length))
	labelled("app", func() { go answerAll(instance, []byte(answer)) })
	w.route(id)
	b.SetBytes(int64(length))
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		labelled("client", func() { askAll(b, w.addr, length, pb.Next) })
	})
}

// labelled marks what f does in profiles, and what the goroutines do that it starts.
func labelled(part string, f func()) {
	pprof.Do(context.Background(), pprof.Labels("part", part), func(context.Context) { f() })
}

// answerAll answers each request on each connection with the same bytes, without looking at it.
func answerAll(listener net.Listener, answer []byte) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buffer, filled := make([]byte, 4096), 0
			for {
				n, err := conn.Read(buffer[filled:])
				if err != nil {
					return
				}
				if filled += n; !bytes.HasSuffix(buffer[:filled], []byte("\r\n\r\n")) {
					continue // the gateway proves an instance with one byte
				}
				filled = 0
				if _, err := conn.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

// askAll asks on one connection for as long as there is more to do.
func askAll(b *testing.B, addr string, body int, more func() bool) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 64<<10)
	for more() {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: ping.localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"); err != nil {
			b.Error(err)
			return
		}
		if status, err := readAnswer(reader, body); err != nil || !strings.HasPrefix(status, "HTTP/1.1 200 ") {
			b.Errorf("got %q, %v", status, err)
			return
		}
	}
}

// readAnswer reads an answer with a body of known length.
func readAnswer(reader *bufio.Reader, body int) (status string, err error) {
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return status, err
		}
		if status == "" {
			status = string(line)
		}
		if len(line) == 2 {
			_, err := reader.Discard(body)
			return status, err
		}
	}
}
