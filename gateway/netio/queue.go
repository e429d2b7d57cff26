package netio

import (
	"sync"

	"github.com/fnctl/fnctl/gateway/wire"
)

// Queue is content that was read ahead of a slow client, in its order. One goroutine puts, another takes. It has one buffer of the
// budget until it is closed, and more while there is more in it.
type Queue struct {
	buffers *Buffers
	budget  *Budget
	most    int // buffers

	mu      sync.Mutex
	changed sync.Cond
	pieces  []piece
	lent    int  // buffers that are in use: of the pieces, of who puts and of who takes
	counted int  // buffers of the budget
	ended   bool // nothing more comes
	broken  bool // nothing more is taken
}

// piece is a buffer with n bytes behind wire.ChunkRoom.
type piece struct {
	buf *Buffer
	n   int
}

// NewQueue returns a queue for so many bytes, and nil if there is no memory.
func NewQueue(buffers *Buffers, budget *Budget, most int) *Queue {
	q := &Queue{buffers: buffers, budget: budget, most: max(most/BufferRoom, 1)}
	q.changed.L = &q.mu
	if !budget.TakeOfHalf(BufferRoom) {
		return nil
	}
	q.counted = 1
	return q
}

// Room returns a buffer for the next piece, and nil if there is none now.
func (q *Queue) Room() *Buffer {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.hasRoom() {
		return nil
	}
	q.lent++
	return q.buffers.Get()
}

// hasRoom reports whether one more buffer may be lent, for which there is memory then. The mutex is held.
func (q *Queue) hasRoom() bool {
	switch {
	case q.lent < q.counted:
		return true
	case q.lent == q.most || !q.budget.TakeOfHalf(BufferRoom):
		return false
	}
	q.counted++
	return true
}

// AwaitRoom waits until something was taken, and reports false if nothing will be any more.
func (q *Queue) AwaitRoom() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.broken && !q.hasRoom() {
		q.changed.Wait()
	}
	return !q.broken
}

// Put adds n bytes of a buffer that Room has returned, which may be none.
func (q *Queue) Put(buf *Buffer, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	content := buf[wire.ChunkRoom : wire.ChunkRoom+n]
	if last := len(q.pieces) - 1; last >= 0 { // each buffer but the last is full
		content = content[q.pieces[last].fill(content):]
	}
	if len(content) == 0 {
		q.give(buf)
	} else {
		q.pieces = append(q.pieces, piece{buf, copy(buf[wire.ChunkRoom:], content)})
	}
	q.changed.Broadcast()
}

// fill adds as much as there is room for.
func (p *piece) fill(content []byte) (n int) {
	n = copy(p.buf[wire.ChunkRoom+p.n:wire.ChunkRoom+BufferRoom], content)
	p.n += n
	return n
}

// End says that nothing more comes.
func (q *Queue) End() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.changed.Broadcast()
}

// Take waits for the next piece, which is behind wire.ChunkRoom, and returns no buffer if none comes any more.
func (q *Queue) Take() (buf *Buffer, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.pieces) == 0 {
		if q.ended {
			return nil, 0
		}
		q.changed.Wait()
	}
	first := q.pieces[0]
	q.pieces = append(q.pieces[:0], q.pieces[1:]...)
	return first.buf, first.n
}

// Give takes a buffer back that Take has returned.
func (q *Queue) Give(buf *Buffer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.give(buf)
	q.changed.Broadcast()
}

// give keeps one buffer of the budget: who has it gets on. The mutex is held.
func (q *Queue) give(buf *Buffer) {
	q.buffers.Put(buf)
	if q.lent--; q.counted > max(q.lent, 1) {
		q.counted--
		q.budget.Give(BufferRoom)
	}
}

// IsEmpty reports whether Take would wait.
func (q *Queue) IsEmpty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pieces) == 0
}

// Break says that nothing more is taken.
func (q *Queue) Break() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.broken = true
	q.changed.Broadcast()
}

// Close gives everything back. Nobody puts or takes any more.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.pieces {
		q.buffers.Put(p.buf)
	}
	q.pieces = nil
	q.budget.Give(int64(q.counted) * BufferRoom)
	q.counted = 0
}
