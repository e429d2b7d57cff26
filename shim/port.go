package shim

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"
)

// freePort returns a port on which no process listens. The kernel gives one after the other, so it is hardly taken by another
// before the program has it; should that happen, the program says so, ends, and is started again with another one.
func freePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// portPoll is how often it is looked whether a port is open: it adds that much to a cold start, and each look costs some 50 µs.
const portPoll = 2 * time.Millisecond

// firstLate is after how long it is said that a program does not listen yet.
const firstLate = 3 * time.Second

// awaitPort waits until the program listens on its port, and returns the addresses to reach it at.
func (p *program) awaitPort(port int, patience Patience) ([]string, error) {
	var deadline <-chan time.Time
	if patience.Limit > 0 {
		timer := time.NewTimer(patience.Limit)
		defer timer.Stop()
		deadline = timer.C
	}
	waited := firstLate
	late := time.NewTimer(waited)
	defer late.Stop()
	ticker := time.NewTicker(portPoll)
	defer ticker.Stop()
	for {
		addresses, err := listeningAt(port)
		if err != nil || len(addresses) > 0 {
			return addresses, err
		}
		select {
		case <-ticker.C:
		case <-late.C:
			patience.Late(port, waited)
			late.Reset(waited) // as long again
			waited *= 2
		case <-deadline:
			return nil, &PortError{Port: port, Within: patience.Limit}
		case s := <-p.signals:
			_ = p.cmd.Process.Signal(s) // it may have ended
		case <-p.ended:
			p.endLikeIt()
		}
	}
}

// listeningAt returns the addresses to connect to in order to reach a port that a process of this user listens on. Should the
// program be late, another function could have the port: nothing may ever get there.
func listeningAt(port int) ([]string, error) {
	own := strconv.Itoa(os.Getuid())
	listening, err := listenersOf("/proc/self", func(at uint16, uid, _ string) bool { return int(at) == port && uid == own })
	if err != nil {
		return nil, err
	}
	var reachable []string
	for _, address := range listening {
		reachable = append(reachable, dialable(address.Addr(), port)...)
	}
	return reachable, nil
}

// dialable is where to connect in order to reach what listens at an address.
func dialable(listening netip.Addr, port int) []string {
	at := func(host string) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
	switch {
	case !listening.IsUnspecified():
		return []string{at(listening.String())}
	case listening.Is4():
		return []string{at("127.0.0.1")}
	}
	return []string{at("127.0.0.1"), at("::1")} // it may take both, or IPv6 only
}

// parseKernelAddress reads an address as the kernel prints it: in words of the machine's byte order.
func parseKernelAddress(text string) (netip.Addr, error) {
	const word = 4
	data, err := hex.DecodeString(text)
	if err != nil {
		return netip.Addr{}, err
	}
	for i := 0; i+word <= len(data); i += word {
		binary.NativeEndian.PutUint32(data[i:], binary.BigEndian.Uint32(data[i:]))
	}
	address, ok := netip.AddrFromSlice(data)
	if !ok {
		return address, fmt.Errorf("%q is no address", text)
	}
	return address.Unmap(), nil
}
