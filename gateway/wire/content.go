package wire

import (
	"errors"
	"io"
)

// Content reads the content of one message, decoded. It can be used for one message after the other.
type Content struct {
	reader     *Reader
	framing    Framing
	state      contentState
	left       int64 // of the content, or of the chunk
	maxTrailer int
	blanks     bool // may be behind the size of a chunk
	scanned    int  // bytes of the trailer that have been looked at
	text       []byte
	trailer    []Field
	err        error // what is wrong with a chunk
}

type contentState uint8

const (
	inData contentState = iota
	inSize
	inDataEnd
	inTrailer
	atEnd
)

// Reset begins with the content of another message, which is next in the reader.
func (c *Content) Reset(r *Reader, f Framing, maxTrailer int) {
	*c = Content{reader: r, framing: f, left: f.length, maxTrailer: maxTrailer, text: c.text[:0], trailer: c.trailer[:0]}
	switch {
	case f.IsChunked():
		c.state = inSize
	case f.IsNone() || f == Length(0):
		c.state = atEnd
	}
}

// AllowBlanks lets blanks be behind the size of a chunk, until Reset: some servers pad it.
func (c *Content) AllowBlanks() { c.blanks = true }

// Read waits for the first byte only, and returns all that has arrived, of however many chunks. It reads nothing that is behind
// the message, unless that arrives together with it: then it stays in the reader.
//
// The error is io.EOF at the end, io.ErrUnexpectedEOF if the source ends before, an *Error for a malformed chunk, or that of the
// source, after which the caller may go on.
func (c *Content) Read(p []byte) (n int, err error) {
	for {
		n += c.readBuffered(p[n:])
		switch {
		case n > 0 || len(p) == 0:
			return n, nil
		case c.err != nil:
			return 0, c.err
		case c.state == atEnd:
			return 0, io.EOF
		}
		if n, err = c.readSource(p); err != nil {
			return n, err
		}
	}
}

// readBuffered goes as far as it can without the source. When p is full, it goes on to where more data begins.
func (c *Content) readBuffered(p []byte) (n int) {
	for c.err == nil && c.state != atEnd {
		if c.state == inData {
			if n == len(p) || len(c.reader.Buffered()) == 0 {
				return n
			}
			n += c.readData(p[n:])
		} else if !c.decode() {
			return n
		}
	}
	return n
}

func (c *Content) readData(p []byte) int {
	n := copy(p[:c.atMost(len(p))], c.reader.Buffered())
	c.reader.Discard(n)
	c.took(n)
	return n
}

// atMost returns how many of n bytes may be data.
func (c *Content) atMost(n int) int {
	if c.framing.IsUntilClose() {
		return n
	}
	return int(min(int64(n), c.left))
}

func (c *Content) took(n int) {
	if c.framing.IsUntilClose() {
		return
	}
	if c.left -= int64(n); c.left > 0 {
		return
	}
	c.state = atEnd
	if c.framing.IsChunked() {
		c.state = inDataEnd
	}
}

// readSource waits for more. Much data goes straight into p.
func (c *Content) readSource(p []byte) (n int, err error) {
	if room := c.atMost(len(p)); c.state == inData && room >= bufferSize {
		n, err = readSome(c.reader.Source, p[:room])
		if n > 0 {
			c.took(n)
		}
	} else {
		err = c.reader.Fill()
	}
	if errors.Is(err, io.EOF) {
		return 0, c.endOfSource()
	}
	return n, err
}

func (c *Content) endOfSource() error {
	if c.framing.IsUntilClose() {
		c.state = atEnd
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// Ready reports whether Read need not wait for the source.
func (c *Content) Ready() bool {
	c.readBuffered(nil)
	return c.err != nil || c.state == atEnd || c.state == inData && len(c.reader.Buffered()) > 0
}

// Direct returns how many bytes of content with a length are left at the source, with nothing of it in the reader: they may be
// taken from there without Read, if Took is called. It is 0 if there is no such content.
func (c *Content) Direct() int64 {
	if _, known := c.framing.Length(); !known || c.state != inData || len(c.reader.Buffered()) > 0 {
		return 0
	}
	return c.left
}

// Took notes that n bytes were taken directly, at most as many as Direct returned.
func (c *Content) Took(n int64) {
	if n > 0 {
		c.took(int(n))
	}
}

// Done reports whether the message was read to its end, with its trailer.
func (c *Content) Done() bool { return c.state == atEnd }

// Trailer returns the fields that follow chunked content, without those that must not be there. They are valid until Reset.
func (c *Content) Trailer() []Field { return c.trailer }
