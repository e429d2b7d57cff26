package netio

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TryWrite writes to a connection what can be written at once, beside whoever else writes there, and reports whether that is all.
func TryWrite(to syscall.RawConn, p []byte) bool {
	n := 0
	err := to.Control(func(fd uintptr) { n, _ = unix.SendmsgN(int(fd), p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) })
	return err == nil && n == len(p)
}

// Writer writes to a connection. What can be written at once needs no deadline. Only one goroutine at a time may write, but any may
// interrupt that.
type Writer struct {
	conn net.Conn
	raw  syscall.RawConn  // nil: it has no file descriptor
	try  func(fd uintptr) // made once: each closure would be garbage
	seal Seal             // nil: what is written is sent as it is
	send func([]byte) (int, error)
	seen *Stall // nil: nobody looks
	end  time.Time
	cut  atomic.Bool
	p    []byte
	n    int
}

// Seal encrypts bytes and has a function send the outcome. It returns how many of them were sent.
type Seal func(p []byte, send func([]byte) (int, error)) (int, error)

// Reset makes a connection the one that is written to. raw is nil if it has no file descriptor, and seen if nobody looks whether a write
// waits.
func (w *Writer) Reset(conn net.Conn, raw syscall.RawConn, seen *Stall) {
	w.conn, w.raw, w.seen, w.seal, w.end = conn, raw, seen, nil, time.Time{}
	w.Resume()
	if w.try == nil {
		w.try, w.send = w.write, w.sendAll
	}
}

// SealBy has what is written encrypted. Of such a connection what is encrypted counts as sent.
func (w *Writer) SealBy(seal Seal) { w.seal = seal }

// Bound sets the time until which what is written must have been taken.
func (w *Writer) Bound(end time.Time) { w.end = end }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if w.seal != nil {
		return w.seal(p, w.send)
	}
	return w.sendAll(p)
}

func (w *Writer) sendAll(p []byte) (int, error) {
	n := w.writeNow(p)
	w.seen.End(int64(n))
	if n == len(p) {
		return n, nil
	}
	w.Arm()
	w.seen.Begin()
	more, err := w.conn.Write(p[n:])
	w.seen.End(int64(more))
	return n + more, err
}

// writeNow returns how much it has written, which is less than all if the rest would have to wait, or fails.
func (w *Writer) writeNow(p []byte) int {
	if w.raw == nil || w.cut.Load() {
		return 0
	}
	w.p, w.n = p, 0
	err := w.raw.Control(w.try)
	w.p = nil
	if err != nil {
		return 0
	}
	return w.n
}

// Arm bounds a write that may wait.
func (w *Writer) Arm() {
	_ = w.conn.SetWriteDeadline(w.end) // a closed connection fails at once
	if w.cut.Load() {
		_ = w.conn.SetWriteDeadline(Past)
	}
}

// Interrupt ends a write that waits, and all that follow, until Resume is called.
func (w *Writer) Interrupt() {
	w.cut.Store(true)
	_ = w.conn.SetWriteDeadline(Past)
}

// Resume lets it write again.
func (w *Writer) Resume() { w.cut.Store(false) }

func (w *Writer) write(fd uintptr) {
	for w.n < len(w.p) {
		n, err := WriteNow(fd, w.p[w.n:])
		if w.n += n; err != nil {
			return
		}
	}
}

// TakeHeader waits for what a connection begins with, and takes no more than that. look is called with all that has come so far, and returns
// how long the beginning is, 0 if more has to come. The error is that of look, or of the connection; io.ErrUnexpectedEOF if it ends before.
func TakeHeader(conn syscall.RawConn, most int, look func([]byte) (n int, err error)) error {
	buf := make([]byte, most)
	var failed error
	err := conn.Read(func(fd uintptr) bool {
		came, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return false
		}
		if err == nil && came == 0 {
			err = io.ErrUnexpectedEOF
		}
		n := 0
		if err == nil {
			n, err = look(buf[:came])
		}
		if err == nil && n > 0 {
			_, err = ReadNow(fd, buf[:n])
		}
		if err == nil && n == 0 && came == most {
			err = io.ErrShortBuffer
		}
		failed = err
		return err != nil || n > 0
	})
	return errors.Join(err, failed)
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

// Acked is how much the other end's machine has got since the connection began, 0 if that is not known.
func Acked(conn syscall.RawConn) int64 {
	n := uint64(0)
	_ = conn.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Bytes_acked
		}
	})
	return int64(n)
}
