// Package netio moves bytes between connections with little of everything: buffers only while there is something to read, pipes
// in which the kernel moves large content, the ends of connections that are not being read, and their way to another process. It sees
// when a connection waits for its other end, and for how long, and has room for what comes meanwhile. It knows no messages.
package netio

import (
	"sync"

	"github.com/fnctl/fnctl/gateway/wire"
)

// BufferRoom is how much content is copied at once.
const BufferRoom = 32 << 10

// Buffer is memory through which content is copied, with room for the frame of a chunk around it.
type Buffer [wire.ChunkRoom + BufferRoom + len("\r\n")]byte

// Buffers lends buffers.
type Buffers struct{ free sync.Pool }

// NewBuffers returns an empty pool.
func NewBuffers() *Buffers {
	return &Buffers{free: sync.Pool{New: func() any { return new(Buffer) }}}
}

// Get lends a buffer.
func (p *Buffers) Get() *Buffer { return p.free.Get().(*Buffer) }

// Put takes a buffer back.
func (p *Buffers) Put(b *Buffer) { p.free.Put(b) }
