package netio

import (
	"errors"
	"io"
	"syscall"
)

// IdleReader reads from a connection, and takes a buffer for that only when there is something to read: most connections are
// idle. Only one goroutine at a time may read.
type IdleReader struct {
	buffers *Buffers
	raw     syscall.RawConn
	most    int
	try     func(fd uintptr) bool // made once: each closure would be garbage
	buf     *Buffer
	n       int
	failed  error
}

// NewIdleReader returns a reader that takes at most so many bytes at once.
func NewIdleReader(buffers *Buffers, raw syscall.RawConn, most int) *IdleReader {
	r := &IdleReader{buffers: buffers, raw: raw, most: most}
	r.try = r.tryRead
	return r
}

func (r *IdleReader) tryRead(fd uintptr) (done bool) {
	if r.buf == nil {
		r.buf = r.buffers.Get()
	}
	for {
		r.n, r.failed = syscall.Read(int(fd), r.buf[:r.most])
		if !errors.Is(r.failed, syscall.EINTR) {
			break
		}
	}
	if errors.Is(r.failed, syscall.EAGAIN) {
		r.Give()
		return false
	}
	return true
}

// Raw returns the connection.
func (r *IdleReader) Raw() syscall.RawConn { return r.raw }

// Read waits for the next bytes, which are valid until Give is called. The error is io.EOF at the end.
func (r *IdleReader) Read() ([]byte, error) {
	r.n, r.failed = 0, nil
	err := r.raw.Read(r.try)
	switch {
	case err != nil:
	case r.failed != nil:
		err = r.failed
	case r.n == 0:
		err = io.EOF
	default:
		return r.buf[:r.n], nil
	}
	r.Give()
	return nil, err
}

// Give gives the buffer back.
func (r *IdleReader) Give() {
	if r.buf != nil {
		r.buffers.Put(r.buf)
		r.buf = nil
	}
}
