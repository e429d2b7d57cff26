package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// probeRecheck is how long an instance is waited for without looking again. The kernel tells when it has read; this bounds
// what a notification that gets lost could cost.
const probeRecheck = 5 * time.Millisecond

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
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetWriteDeadline(past) // fails only on a closed connection, and that ends the wait, too
	})
	err := awaitRead(ctx, conn)
	if !stop() {
		return context.Cause(ctx) // the deadline may be set at any time
	}
	if err != nil {
		return err
	}
	return conn.SetWriteDeadline(time.Time{})
}

// awaitRead waits until the other end has read everything. The kernel announces room to write whenever it reads.
func awaitRead(ctx context.Context, conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := conn.SetWriteDeadline(time.Now().Add(probeRecheck)); err != nil {
			return err
		}
		var failed error
		err := raw.Write(func(fd uintptr) (done bool) {
			done, failed = wasRead(int(fd))
			return done || failed != nil
		})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.Join(err, failed)
		}
	}
	return context.Cause(ctx)
}

// releasing is what SIOCOUTQ shows while the kernel announces that the last buffer was read: it keeps one unit back until
// it has done so (sock_wfree in net/core/sock.c). It counts the memory of buffers and not what they hold, so one that was
// not read counts several hundred.
const releasing = 1

// Unread returns what the kernel counts for what the other end of a unix socket has not read: no less than its bytes, and 0 if
// all was read.
func Unread(fd int) (int, error) {
	unread, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if unread <= releasing {
		unread = 0
	}
	return unread, err
}

// wasRead reports whether the other end of a unix socket has read everything. The error says that it is gone: a listener that
// closes with the connection still queued drops what was sent. It is marked as gone before that, so it is asked in this order.
func wasRead(fd int) (bool, error) {
	unread, err := Unread(fd)
	if err != nil {
		return false, err
	}
	gone, err := isGone(fd)
	if gone {
		err = unix.ECONNRESET
	}
	return unread == 0 && err == nil, err
}

func isGone(fd int) (bool, error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for {
		_, err := unix.Poll(poll, 0)
		if !errors.Is(err, unix.EINTR) {
			return poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLRDHUP) != 0, err
		}
	}
}
