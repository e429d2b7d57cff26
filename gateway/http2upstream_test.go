package gateway

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
)

// An instance that ends after it has read the first byte of the preface has seen no request.
func TestHTTP2PrefaceOfWhichOneByteWasRead(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "instance.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	proof, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Write([]byte{http2Preface[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(instance, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	instance.Close()
	u := newUpstream(listener.Addr().String(), nil, func() {})
	defer u.closeIdle()
	u.keep(proof, http2Preface[0])
	_, err = u.overHTTP2().reserve(t.Context())
	if !errors.Is(err, errPreface) || errors.Is(err, errDial) {
		t.Errorf("got %v", err)
	}
}
