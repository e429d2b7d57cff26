package gateway

import (
	"errors"
	"io"
	"syscall"
)

// idleReader reads from a connection, and takes a buffer for that only when there is something to read: most connections are
// idle. Only one goroutine at a time may read.
type idleReader struct {
	buffers *bufferPool
	raw     syscall.RawConn
	most    int
	try     func(fd uintptr) bool // made once: each closure would be garbage
	buf     *buffer
	n       int
	failed  error
}

func newIdleReader(buffers *bufferPool, raw syscall.RawConn, most int) *idleReader {
	r := &idleReader{buffers: buffers, raw: raw, most: most}
	r.try = r.tryRead
	return r
}

func (r *idleReader) tryRead(fd uintptr) (done bool) {
	if r.buf == nil {
		r.buf = r.buffers.get()
	}
	for {
		r.n, r.failed = syscall.Read(int(fd), r.buf[:r.most])
		if !errors.Is(r.failed, syscall.EINTR) {
			break
		}
	}
	if errors.Is(r.failed, syscall.EAGAIN) {
		r.give()
		return false
	}
	return true
}

// read waits for the next bytes, which are valid until give is called. The error is io.EOF at the end.
func (r *idleReader) read() ([]byte, error) {
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
	r.give()
	return nil, err
}

// give gives the buffer back.
func (r *idleReader) give() {
	if r.buf != nil {
		r.buffers.put(r.buf)
		r.buf = nil
	}
}
