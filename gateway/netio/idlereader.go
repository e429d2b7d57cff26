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
	try     func(fd uintptr) bool                   // made once: each closure would be garbage
	open    func(fd uintptr, p []byte) (int, error) // what is read is encrypted; nil: it is not
	take    func(b []byte) (more bool)
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

// OpenBy has a function read in the place of ReadNow, for what comes is encrypted. It is called until it fails with syscall.EAGAIN.
func (r *IdleReader) OpenBy(read func(fd uintptr, p []byte) (int, error)) { r.open = read }

// Like returns a reader of the same connection, in its place, that takes at most so many bytes at once.
func (r *IdleReader) Like(most int) *IdleReader {
	like := NewIdleReader(r.buffers, r.raw, most)
	like.open = r.open
	return like
}

func (r *IdleReader) tryRead(fd uintptr) (done bool) {
	for {
		r.readOnce(fd)
		switch {
		case errors.Is(r.failed, syscall.EAGAIN):
			r.Give()
			return false
		case r.take == nil || r.n == 0:
			return true
		}
		whole := r.n < r.most && r.open == nil // there was no more
		more := r.take(r.buf[:r.n])
		r.Give()
		if whole || !more {
			return !more
		}
	}
}

func (r *IdleReader) readOnce(fd uintptr) {
	if r.buf == nil {
		r.buf = r.buffers.Get()
	}
	if r.open != nil {
		r.n, r.failed = r.open(fd, r.buf[:r.most])
		return
	}
	r.n, r.failed = ReadNow(fd, r.buf[:r.most])
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

// Feed has take take what comes, for as long as it wants more. The next bytes are waited for within the same read, so that none between
// the two finds nothing. Hence nothing else may read meanwhile, which includes take; and the end is not noticed if it came together with
// the bytes before it. Who wants more must know of the end from elsewhere, and end the wait by a deadline. take may call Give, when it needs
// the bytes no longer.
func (r *IdleReader) Feed(take func(b []byte) (more bool)) error {
	r.take, r.n, r.failed = take, 0, nil
	err := r.raw.Read(r.try)
	r.take = nil
	switch {
	case err != nil:
	case r.failed != nil:
		err = r.failed
	case r.n == 0:
		err = io.EOF
	}
	r.Give()
	return err
}

// Drop reads, and forgets what comes, until that fails.
func (r *IdleReader) Drop() error {
	for {
		if _, err := r.Read(); err != nil {
			return err
		}
		r.Give()
	}
}

// Give gives the buffer back.
func (r *IdleReader) Give() {
	if r.buf != nil {
		r.buffers.Put(r.buf)
		r.buf = nil
	}
}
