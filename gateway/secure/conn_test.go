package secure

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pair connects a Conn with a client of crypto/tls, after the handshake.
func pair(t *testing.T) (server *Conn, raw syscall.RawConn, client *tls.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	for _, c := range []net.Conn{near, far} {
		c.SetDeadline(time.Now().Add(time.Minute))
	}
	raw, err = near.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server = Server(near, raw, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	client = tls.Client(&splitter{Conn: far}, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := errors.Join(server.Handshake(t.Context()), <-shaken); err != nil {
		t.Fatal(err)
	}
	return server, raw, client
}

// readNow reads once, and waits for something to be there only if wait is set.
func readNow(t *testing.T, c *Conn, raw syscall.RawConn, p []byte, wait bool) (n int, err error) {
	t.Helper()
	failed := raw.Read(func(fd uintptr) bool {
		n, err = c.ReadNow(fd, p)
		return !wait || !errors.Is(err, syscall.EAGAIN)
	})
	return n, errors.Join(err, failed)
}

func TestReadNow(t *testing.T) {
	server, raw, client := pair(t)
	p := make([]byte, 100)
	split := client.NetConn().(*splitter)
	if n, err := readNow(t, server, raw, p, false); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("nothing was sent: %d, %v", n, err)
	}
	io.WriteString(client, "one record that is longer than what is read at once")
	got := ""
	for len(got) < 51 {
		n, err := readNow(t, server, raw, p[:10], true)
		if err != nil {
			t.Fatal(err)
		}
		got += string(p[:n])
	}
	if got != "one record that is longer than what is read at once" {
		t.Errorf("got %q", got)
	}
	if n, err := readNow(t, server, raw, p, false); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("nothing more was sent: %d, %v", n, err)
	}
	// Half a record is nothing yet, and is not lost.
	split.hold = true
	io.WriteString(client, "in two halves")
	split.Conn.Write(split.held[:9])
	if n, err := readNow(t, server, raw, p, false); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("half a record: %d, %v", n, err)
	}
	split.Conn.Write(split.held[9:])
	split.hold = false
	if n, err := readNow(t, server, raw, p, true); string(p[:n]) != "in two halves" || err != nil {
		t.Errorf("both halves: %q, %v", p[:n], err)
	}
	client.Close()
	if n, err := readNow(t, server, raw, p, true); n != 0 || err != nil {
		t.Errorf("the end: %d, %v", n, err)
	}
}

// splitter keeps what is written while it is told to.
type splitter struct {
	net.Conn
	hold bool
	held []byte
}

func (s *splitter) Write(p []byte) (int, error) {
	if s.hold {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	return s.Conn.Write(p)
}

// What several goroutines write arrives in the order in which it was encrypted: otherwise nothing of it could be read.
func TestWriteBy(t *testing.T) {
	server, _, client := pair(t)
	var writers sync.WaitGroup
	const each, size = 50, 3000
	for range 4 {
		writers.Go(func() {
			for range each {
				send := func(p []byte) (int, error) { return server.Under().Write(p) }
				if n, err := server.WriteBy(bytes.Repeat([]byte("w"), size), send); n != size || err != nil {
					t.Error(n, err)
				}
			}
		})
	}
	go func() {
		writers.Wait()
		server.CloseWrite()
	}()
	got, err := io.ReadAll(client)
	if err != nil || len(got) != 4*each*size {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// After a record that was sent in part, nothing is sent: it would be taken for the rest of that.
func TestWriteInPart(t *testing.T) {
	server, _, _ := pair(t)
	sent := 0
	failed := errors.New("no room")
	n, err := server.WriteBy([]byte("hello"), func(p []byte) (int, error) { return len(p) - 1, failed })
	if n != 0 || !errors.Is(err, failed) {
		t.Errorf("%d, %v", n, err)
	}
	n, err = server.WriteBy([]byte("again"), func(p []byte) (int, error) { sent += len(p); return len(p), nil })
	if n != 0 || !errors.Is(err, failed) || sent > 0 {
		t.Errorf("%d, %v, and %d bytes were sent", n, err, sent)
	}
}
