package platform

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// probeInterval is how often an instance is asked whether it has read: a cold start is lengthened by half of it.
const probeInterval = 500 * time.Microsecond

// Probe connects to an instance's socket, writes one byte, and waits until the instance has read it. The connection is
// the proof that the instance accepts and reads; the byte must be the first of the request that follows on it.
//
// Connecting wakes an armed instance. PID 1 completes the connection long before the app runs, so that alone proves
// nothing; but the kernel keeps count of what the other end of a unix socket has not read (SIOCOUTQ). Until that byte is
// read, nothing was asked of the app, and the probe can be abandoned without a trace.
func Probe(ctx context.Context, socket string, first byte) (*net.UnixConn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UnixConn)
	if err := probe(ctx, conn, first); err != nil {
		conn.Close()
		return nil, fmt.Errorf("probe %s: %w", socket, err)
	}
	return conn, nil
}

func probe(ctx context.Context, conn *net.UnixConn, first byte) error {
	if _, err := conn.Write([]byte{first}); err != nil {
		return err
	}
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		unread, err := Unread(conn)
		if err != nil || unread == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// Unread returns how many bytes the other end of a unix socket has not read yet, and an error if that end is gone.
func Unread(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var (
		unread int
		failed error
	)
	err = raw.Control(func(fd uintptr) {
		// A listener that closes with the connection still queued drops the byte, too: only a peer that is there has read it.
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if _, failed = unix.Poll(poll, 0); failed != nil {
			return
		}
		if poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLRDHUP) != 0 {
			failed = unix.ECONNRESET
			return
		}
		unread, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	})
	if err != nil {
		return 0, err
	}
	return unread, failed
}
