package netio

import "sync"

// maxKeptPieces is the largest buffer that is kept for others.
const maxKeptPieces = 128 << 10

// Pieces collects bytes that are to be sent in one go.
type Pieces struct{ b []byte }

var piecesPool = sync.Pool{New: func() any { return new(Pieces) }}

// NewPieces returns one that has nothing.
func NewPieces() *Pieces { return piecesPool.Get().(*Pieces) }

// Append copies bytes behind those that are there.
func (c *Pieces) Append(p []byte) { c.b = append(c.b, p...) }

// Bytes are those that are there. They are valid until Free.
func (c *Pieces) Bytes() []byte { return c.b }

// Free keeps the memory for others. Nothing may use it after that.
func (c *Pieces) Free() {
	if cap(c.b) > maxKeptPieces {
		return
	}
	c.b = c.b[:0]
	piecesPool.Put(c)
}
