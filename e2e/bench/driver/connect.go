//go:build e2e

package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// connect makes a connection that never blocks, from any address if there is none to make it from.
func connect(to, from unix.Sockaddr) (int, error) {
	family := unix.AF_INET
	if _, ok := to.(*unix.SockaddrUnix); ok {
		family = unix.AF_UNIX
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("make socket: %w", err)
	}
	if from != nil {
		err = unix.Bind(fd, from)
	}
	if err == nil {
		err = unix.Connect(fd, to)
	}
	if errors.Is(err, unix.EINPROGRESS) {
		err = connected(fd)
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("connect: %w", err), unix.Close(fd))
	}
	return fd, nil
}

func connected(fd int) error {
	if err := await(fd, unix.POLLOUT); err != nil {
		return err
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// await waits until a connection is ready.
func await(fd int, events int16) error {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for deadline := time.Now().Add(answerTimeout); time.Now().Before(deadline); {
		n, err := unix.Poll(fds, int(answerTimeout.Milliseconds()))
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return fmt.Errorf("not ready within %v", answerTimeout)
}

// ask asks for something and waits for all of the answer.
func ask(fd int, request, buffer []byte) error {
	if n, err := unix.Write(fd, request); n != len(request) {
		return fmt.Errorf("send request: %d of %d bytes: %w", n, len(request), err)
	}
	for left, whole := (answer{}), false; !whole; {
		if err := await(fd, unix.POLLIN); err != nil {
			return fmt.Errorf("wait for answer: %w", err)
		}
		n, err := unix.Read(fd, buffer)
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if whole, err = left.take(buffer[:n]); err != nil {
			return err
		}
	}
	return nil
}
