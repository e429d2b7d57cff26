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

// patient reads from a connection, and takes a buffer for that only when there is something to read: most connections are
// idle. Only one goroutine at a time may read.
type patient struct {
	pool   *bufferPool
	raw    syscall.RawConn
	most   int
	try    func(fd uintptr) bool // made once: each closure would be garbage
	buf    *buffer
	n      int
	failed error
}

func newPatient(pool *bufferPool, raw syscall.RawConn, most int) *patient {
	p := &patient{pool: pool, raw: raw, most: most}
	p.try = p.tryRead
	return p
}

func (p *patient) tryRead(fd uintptr) (done bool) {
	if p.buf == nil {
		p.buf = p.pool.get()
	}
	for {
		p.n, p.failed = syscall.Read(int(fd), p.buf[:p.most])
		if !errors.Is(p.failed, syscall.EINTR) {
			break
		}
	}
	if errors.Is(p.failed, syscall.EAGAIN) {
		p.give()
		return false
	}
	return true
}

// read waits for what comes, which is valid until give is called. The error is io.EOF at the end.
func (p *patient) read() ([]byte, error) {
	p.n, p.failed = 0, nil
	err := p.raw.Read(p.try)
	switch {
	case err != nil:
	case p.failed != nil:
		err = p.failed
	case p.n == 0:
		err = io.EOF
	default:
		return p.buf[:p.n], nil
	}
	p.give()
	return nil, err
}

// give gives the buffer back.
func (p *patient) give() {
	if p.buf != nil {
		p.pool.put(p.buf)
		p.buf = nil
	}
}
