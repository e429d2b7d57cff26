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

// Writer writes to connections what can be written at once. Its zero value is ready. Nothing but it may write meanwhile.
type Writer struct {
	try func(fd uintptr) // made once: each closure would be garbage
	p   []byte
	n   int
}

// Write returns how much it has written, which is less than all if the rest would have to wait, or fails.
func (w *Writer) Write(to syscall.RawConn, p []byte) (n int) {
	if w.try == nil {
		w.try = w.write
	}
	w.p, w.n = p, 0
	if to.Control(w.try) != nil {
		return 0
	}
	w.p = nil
	return w.n
}

func (w *Writer) write(fd uintptr) {
	for w.n < len(w.p) {
		n, err := WriteNow(fd, w.p[w.n:])
		if w.n += n; err != nil {
			return
		}
	}
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
