package wire

import (
	"io"
	"sync"
)

// bufferSize is enough for most heads. A buffer that grew is not kept.
const bufferSize = 4 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// maxEmptyReads bounds how often a source may return nothing and no error.
const maxEmptyReads = 100

// Reader reads from a connection. It has a buffer only from Fill to Release, so that an idle connection needs none.
type Reader struct {
	Source io.Reader

	buf        []byte
	start, end int // of what is buffered
}

// Reset forgets everything, and reads from source.
func (r *Reader) Reset(source io.Reader) {
	r.start, r.end = 0, 0
	r.Release()
	r.Source = source
}

// Buffered returns what was read and not discarded. It is valid until Fill, Feed, or Release.
func (r *Reader) Buffered() []byte { return r.buf[r.start:r.end] }

// Discard forgets the first n bytes of what is buffered.
func (r *Reader) Discard(n int) { r.start += n }

// Fill reads from the source once. It makes room for that: a caller must bound how much it lets be buffered. It fails only if
// nothing was read.
func (r *Reader) Fill() error {
	r.makeRoom(1)
	n, err := readSome(r.Source, r.buf[r.end:])
	r.end += n
	return err
}

// Feed takes over bytes that were read from the source elsewhere.
func (r *Reader) Feed(b []byte) {
	r.makeRoom(len(b))
	r.end += copy(r.buf[r.end:], b)
}

// makeRoom makes room for n bytes behind what is buffered.
func (r *Reader) makeRoom(n int) {
	if r.buf == nil {
		r.buf = buffers.Get().(*[bufferSize]byte)[:]
	}
	if r.start > 0 && (r.start == r.end || len(r.buf)-r.end < n) {
		r.end = copy(r.buf, r.Buffered())
		r.start = 0
	}
	if size := len(r.buf); size-r.end < n {
		for size-r.end < n {
			size *= 2
		}
		r.grow(size)
	}
}

func (r *Reader) grow(size int) {
	grown := make([]byte, size)
	buffered := copy(grown, r.Buffered())
	r.start, r.end = 0, 0
	r.Release()
	r.buf, r.end = grown, buffered
}

// Release gives the buffer back if nothing is buffered.
func (r *Reader) Release() {
	if r.start < r.end || r.buf == nil {
		return
	}
	if len(r.buf) == bufferSize {
		buffers.Put((*[bufferSize]byte)(r.buf))
	}
	r.buf, r.start, r.end = nil, 0, 0
}

// readSome reads once. It fails only if nothing was read.
func readSome(source io.Reader, p []byte) (int, error) {
	for range maxEmptyReads {
		n, err := source.Read(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}
