package netio

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// TryWrite writes to a connection what can be written at once, beside whoever else writes there, and reports whether that is all.
func TryWrite(to syscall.RawConn, p []byte) bool {
	n := 0
	err := to.Control(func(fd uintptr) { n, _ = unix.SendmsgN(int(fd), p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) })
	return err == nil && n == len(p)
}

// Untaken is how much of what was written the other end's machine has not got, 0 if that is not known.
func Untaken(conn syscall.RawConn) int {
	n := 0
	err := conn.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	if err != nil {
		return 0
	}
	return n
}
