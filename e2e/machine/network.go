//go:build e2e

package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"

	"golang.org/x/sys/unix"
)

// DialContext connects to the machine's own loopback, whatever host name the address has: an URL like
// http://ping.localhost:8080 means the machine's port 8080. Network "unix" takes a path of the machine.
func (m *Machine) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		return m.dialUnix(ctx, address)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	err = m.inNetwork(func() error {
		var err error
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
		return err
	})
	return conn, err
}

func (m *Machine) dialUnix(ctx context.Context, path string) (net.Conn, error) {
	leader := m.Leader()
	if leader == 0 {
		return nil, errDown
	}
	return new(net.Dialer).DialContext(ctx, "unix", fmt.Sprintf("/proc/%d/root%s", leader, path))
}

var errDown = errors.New("machine is down")

// Client returns an HTTP client of the machine's loopback, with connections of its own. It follows no
// redirects, so that a test sees what was answered.
func (m *Machine) Client() *http.Client {
	return client(&http.Transport{DialContext: m.DialContext})
}

// UnixClient returns an HTTP client of a unix socket of the machine; the URL's host is of no account.
func (m *Machine) UnixClient(path string) *http.Client {
	return client(&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return m.dialUnix(ctx, path)
	}})
}

func client(transport *http.Transport) *http.Client {
	transport.MaxIdleConnsPerHost = 1024 // the default of 2 would make a load of dials
	transport.DisableCompression = true
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// inNetwork calls f on a thread that is in the machine's network namespace. The thread is of no use to
// anyone else afterwards: its goroutine ends without unlocking it, and Go ends it too.
func (m *Machine) inNetwork(f func() error) error {
	leader := m.Leader()
	if leader == 0 {
		return errDown
	}
	namespace, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", leader), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network of machine: %w", err)
	}
	defer unix.Close(namespace)

	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network of machine: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

func (m *Machine) loopbackUp() error {
	return m.inNetwork(func() error {
		lo, err := net.InterfaceByName("lo")
		if err == nil && lo.Flags&net.FlagUp == 0 {
			err = errors.New("loopback is down")
		}
		return err
	})
}
