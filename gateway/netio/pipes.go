package netio

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// pipeRoom is how much the kernel moves at once.
	pipeRoom = 128 << 10
	// maxPipes bounds the pipes of a gateway. The kernel gives a user without privileges 64 MiB of pipes
	// (fs.pipe-user-pages-soft), and two pages for each one more, which is slower than copying. io.Copy, whose pipes have a
	// megabyte each, runs into that. A gateway and its successor together stay below.
	maxPipes = 224
)

// Pipes lends pipes, through which the kernel moves bytes from one socket to another.
type Pipes struct {
	mu   sync.Mutex
	idle []*Pipe
	made int
}

// Pipe is empty when it is not lent.
type Pipe struct {
	out, in     int
	fill, drain func(fd uintptr) (done bool) // made once: each closure would be garbage
	left        int64                        // what they may move
	moved       int64                        // what they have
	failed      error
	stall       *Stall // of the destination
}

func newPipe(out, in int) *Pipe {
	p := &Pipe{out: out, in: in}
	p.fill = func(fd uintptr) bool { return p.splice(int(fd), p.in) }
	p.drain = func(fd uintptr) bool {
		if p.splice(p.out, int(fd)) {
			return true
		}
		p.stall.Begin()
		return false
	}
	return p
}

// Get lends a pipe. It is nil if there are too many already: the caller can copy without one.
func (p *Pipes) Get() *Pipe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.idle) - 1; last >= 0 {
		one := p.idle[last]
		p.idle = p.idle[:last]
		return one
	}
	if p.made == maxPipes {
		return nil
	}
	var ends [2]int
	if unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	one := newPipe(ends[0], ends[1])
	if _, err := unix.FcntlInt(uintptr(one.in), unix.F_SETPIPE_SZ, pipeRoom); err != nil {
		one.close()
		return nil
	}
	p.made++
	return one
}

// Put takes a pipe back. One that is not empty is closed.
func (p *Pipes) Put(one *Pipe, empty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !empty {
		p.made--
		one.close()
		return
	}
	p.idle = append(p.idle, one)
}

// Close closes the pipes that are not lent.
func (p *Pipes) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.idle {
		one.close()
	}
	p.made -= len(p.idle)
	p.idle = nil
}

func (p *Pipe) close() {
	unix.Close(p.out)
	unix.Close(p.in)
}

// WriteError is an error of the destination.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return "write: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *WriteError) Unwrap() error { return e.Err }

// Move moves n bytes from one socket to another, and tells took what it takes from the first, before it goes on. It moves fewer if the
// second is noticed to wait. The error is a *WriteError if the destination is the reason, and io.ErrUnexpectedEOF if the source ends
// before. Whether the pipe is empty after an error is not known; otherwise it is.
func (p *Pipe) Move(to, from syscall.RawConn, n int64, took func(n int64), stall *Stall) (sent int64, err error) {
	p.stall = stall
	for sent < n && !stall.Noticed() {
		came, err := p.do(from.Read, p.fill, n-sent)
		if err != nil {
			return sent, err
		}
		if came == 0 {
			return sent, io.ErrUnexpectedEOF
		}
		took(came)
		for came > 0 {
			went, err := p.do(to.Write, p.drain, came)
			stall.End(went)
			if err != nil {
				return sent, &WriteError{err}
			}
			came -= went
			sent += went
		}
	}
	return sent, nil
}

// do waits until a socket lets something be moved, and returns how much was.
func (p *Pipe) do(wait func(func(fd uintptr) bool) error, try func(fd uintptr) bool, most int64) (moved int64, err error) {
	p.left, p.moved, p.failed = most, 0, nil
	err = wait(try)
	return p.moved, errors.Join(err, p.failed)
}

func (p *Pipe) splice(from, to int) (done bool) {
	for {
		p.moved, p.failed = unix.Splice(from, nil, to, nil, int(min(p.left, pipeRoom)), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if !errors.Is(p.failed, unix.EINTR) {
			return !errors.Is(p.failed, unix.EAGAIN)
		}
	}
}
