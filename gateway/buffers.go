package gateway

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// bufferRoom is how much of a content is copied at once.
	bufferRoom = 32 << 10
	// headRoom is what is read at first of a request.
	headRoom = 4 << 10
)

// buffer is what a content is copied through, with room for the frame of a chunk around it.
type buffer [wire.ChunkRoom + bufferRoom + len("\r\n")]byte

// bufferPool lends buffers.
type bufferPool struct{ pool sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any { return new(buffer) }}}
}

func (p *bufferPool) get() *buffer  { return p.pool.Get().(*buffer) }
func (p *bufferPool) put(b *buffer) { p.pool.Put(b) }

// read waits until a connection has something to read, and only then takes a buffer for it: most connections are idle. The
// caller gives it back.
func (p *bufferPool) read(raw syscall.RawConn, most int) (b *buffer, n int, err error) {
	b = p.get()
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		if b == nil {
			b = p.get()
		}
		for n, failed = syscall.Read(int(fd), b[:most]); errors.Is(failed, syscall.EINTR); {
			n, failed = syscall.Read(int(fd), b[:most])
		}
		if !errors.Is(failed, syscall.EAGAIN) {
			return true
		}
		p.put(b)
		b = nil
		return false
	})
	switch {
	case err != nil:
	case failed != nil:
		err = failed
	case n == 0:
		err = io.EOF
	default:
		return b, n, nil
	}
	if b != nil {
		p.put(b)
	}
	return nil, 0, err
}
