package gateway_test

import (
	"bytes"
	"net/netip"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// idleClients are as many as there can be where a process may have 20,000 files open: both ends of each are here.
const idleClients = 8000

// BenchmarkIdle is what the connections of clients cost in memory that each had an answer and bring nothing more: stacks and objects
// that Go has in use, and what the process has resident, with room for garbage and what is not given back. The clients are sockets
// of the kernel and nothing else. Where it is from:
//
//	go test ./gateway -run '^$' -bench Idle -benchtime 1x -memprofile mem.out -memprofilerate 512 -o gateway.test
//	go tool pprof -top -sample_index inuse_space gateway.test mem.out
func BenchmarkIdle(b *testing.B) {
	w := newWorld(b)
	id := platform.RevisionID{Function: "ping", Number: 1}
	instance := w.arm(id, 1)
	go answerAll(instance, []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 23\r\n\r\n"+"12345678901234567890123"))
	w.route(id)
	to, buffer, request := addrOf(b, w.addr), make([]byte, 4096), []byte("GET / HTTP/1.1\r\nHost: ping.localhost\r\n\r\n")
	for b.Loop() {
		before := memoryNow(b)
		clients := make([]int, 0, idleClients)
		for range idleClients {
			clients = append(clients, askOnce(b, to, request, buffer))
		}
		time.Sleep(time.Second) // as the benchmark of the proxies does
		after := memoryNow(b)
		for name, n := range after {
			b.ReportMetric((n-before[name])/idleClients, name+"/conn")
		}
		for _, fd := range clients {
			unix.Close(fd)
		}
	}
}

// askOnce has an answer, and keeps the connection.
func askOnce(b *testing.B, to *unix.SockaddrInet4, request, buffer []byte) (fd int) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	if err := unix.Connect(fd, to); err != nil {
		b.Fatal(err)
	}
	if _, err := unix.Write(fd, request); err != nil {
		b.Fatal(err)
	}
	for filled := 0; !bytes.HasSuffix(buffer[:filled], []byte("\r\n\r\n12345678901234567890123")); {
		n, err := unix.Read(fd, buffer[filled:])
		if n <= 0 || err != nil {
			b.Fatalf("got %q, %v", buffer[:filled], err)
		}
		filled += n
	}
	return fd
}

func addrOf(b *testing.B, addr string) *unix.SockaddrInet4 {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		b.Fatal(err)
	}
	return &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
}

// memoryNow is the memory of the process, in bytes: what is resident, what stacks take, and then, without garbage, what objects do.
func memoryNow(b *testing.B) map[string]float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		b.Fatal(err)
	}
	stacks := readMetric("/memory/classes/heap/stacks:bytes")
	runtime.GC()
	return map[string]float64{
		"resident-B": float64(pages * os.Getpagesize()), "stack-B": stacks, "object-B": readMetric("/memory/classes/heap/objects:bytes"),
	}
}

func readMetric(name string) float64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}
