package gateway

import (
	"sync"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// bufferRoom is how much content is copied at once.
	bufferRoom = 32 << 10
	// headRoom is how much of a request is read at first.
	headRoom = 4 << 10
)

// buffer is memory through which content is copied, with room for the frame of a chunk around it.
type buffer [wire.ChunkRoom + bufferRoom + len("\r\n")]byte

// bufferPool lends buffers.
type bufferPool struct{ free sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{free: sync.Pool{New: func() any { return new(buffer) }}}
}

func (p *bufferPool) get() *buffer  { return p.free.Get().(*buffer) }
func (p *bufferPool) put(b *buffer) { p.free.Put(b) }
