package shim

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestListeners(t *testing.T) {
	four, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer four.Close()
	conn, err := net.Dial("tcp4", four.Addr().String()) // which does not listen
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := netip.MustParseAddrPort(four.Addr().String())
	got, err := Listeners([]int{os.Getpid()})
	if err != nil || !slices.Contains(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	// Another process of this user listens nowhere, and one that is gone neither.
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	got, err = Listeners([]int{1 << 22, other.Process.Pid})
	if err != nil || len(got) > 0 {
		t.Errorf("another process: got %v, %v", got, err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // it was killed
	if got, err := Listeners([]int{1 << 22}); err != nil || len(got) > 0 {
		t.Errorf("no process: got %v, %v", got, err)
	}
}

func TestHolders(t *testing.T) {
	open, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	want := netip.MustParseAddrPort(open.Addr().String())
	got, err := Holders(want.Port())
	if err != nil || len(got) != 1 || got[0].Address != want || !slices.Contains(got[0].PIDs, os.Getpid()) {
		t.Errorf("got %v, %v, want %v of process %d", got, err, want, os.Getpid())
	}
	open.Close()
	if got, err := Holders(want.Port()); err != nil || len(got) > 0 {
		t.Errorf("it is closed: got %v, %v", got, err)
	}
}
