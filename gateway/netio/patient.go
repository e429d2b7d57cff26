package netio

import (
	"io"
	"os"
	"time"
)

// patientRoom is how much is read at once by a read that may be given up.
const patientRoom = 4 << 10

// Patient reads from a source whose reads cannot be ended without an end of everything. One that is given up goes on, and the next one
// has what it brings.
type Patient struct {
	Source io.Reader
	Until  time.Time // when a read is given up, with os.ErrDeadlineExceeded; zero: none is

	pending chan struct{} // closed when the read has ended that was given up; nil: none was
	buf     []byte
	n       int // of buf that are read and not taken yet
	err     error
}

// Read implements io.Reader. One goroutine at a time may read.
func (p *Patient) Read(b []byte) (int, error) {
	if p.pending == nil {
		if p.Until.IsZero() {
			return p.Source.Read(b)
		}
		p.begin()
	}
	if !p.wait() {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(b, p.buf[:p.n])
	p.buf, p.n = p.buf[n:], p.n-n
	if p.n > 0 {
		return n, nil
	}
	p.pending = nil
	return n, p.err
}

func (p *Patient) begin() {
	done := make(chan struct{})
	p.pending, p.buf = done, make([]byte, patientRoom)
	go func() {
		defer close(done)
		p.n, p.err = p.Source.Read(p.buf)
	}()
}

// wait reports whether the read has ended.
func (p *Patient) wait() bool {
	if p.Until.IsZero() {
		<-p.pending
		return true
	}
	timer := time.NewTimer(time.Until(p.Until))
	defer timer.Stop()
	select {
	case <-p.pending:
		return true
	case <-timer.C:
		return false
	}
}

// IsReading reports whether a read was given up, and has not been taken up again.
func (p *Patient) IsReading() bool { return p.pending != nil }

// Join waits for such a read. Its source must have been told to end.
func (p *Patient) Join() { <-p.pending }
