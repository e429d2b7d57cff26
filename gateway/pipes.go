package gateway

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

// pipes lends pipes, through which the kernel moves bytes from one socket to another.
type pipes struct {
	mu   sync.Mutex
	idle []*pipe
	made int
}

// pipe is empty when it is not lent.
type pipe struct {
	out, in     int
	fill, drain func(fd uintptr) (done bool) // made once: each closure would be garbage
	left        int64                        // what they may move
	moved       int64                        // what they have
	failed      error
}

func newPipe(out, in int) *pipe {
	p := &pipe{out: out, in: in}
	p.fill = func(fd uintptr) bool { return p.splice(int(fd), p.in) }
	p.drain = func(fd uintptr) bool { return p.splice(p.out, int(fd)) }
	return p
}

// get lends a pipe. It is nil if there are too many already: the caller can copy without one.
func (p *pipes) get() *pipe {
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

// put takes a pipe back. One that is not empty is closed.
func (p *pipes) put(one *pipe, empty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !empty {
		p.made--
		one.close()
		return
	}
	p.idle = append(p.idle, one)
}

// close closes the pipes that are not lent.
func (p *pipes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.idle {
		one.close()
	}
	p.made -= len(p.idle)
	p.idle = nil
}

func (p *pipe) close() {
	unix.Close(p.out)
	unix.Close(p.in)
}

// move moves n bytes from one socket to another. The error wraps errClientGone if the destination is the reason; it is
// io.ErrUnexpectedEOF if the source ends before. Whether the pipe is empty after an error is not known.
func (p *pipe) move(to, from syscall.RawConn, n int64) (sent int64, err error) {
	for sent < n {
		came, err := p.do(from.Read, p.fill, n-sent)
		if err != nil {
			return sent, err
		}
		if came == 0 {
			return sent, io.ErrUnexpectedEOF
		}
		for came > 0 {
			went, err := p.do(to.Write, p.drain, came)
			if err != nil {
				return sent, errors.Join(errClientGone, err)
			}
			came -= went
			sent += went
		}
	}
	return sent, nil
}

// do waits until a socket lets something be moved, and returns how much was.
func (p *pipe) do(wait func(func(fd uintptr) bool) error, try func(fd uintptr) bool, most int64) (moved int64, err error) {
	p.left, p.moved, p.failed = most, 0, nil
	err = wait(try)
	return p.moved, errors.Join(err, p.failed)
}

func (p *pipe) splice(from, to int) (done bool) {
	for {
		p.moved, p.failed = unix.Splice(from, nil, to, nil, int(min(p.left, pipeRoom)), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if !errors.Is(p.failed, unix.EINTR) {
			return !errors.Is(p.failed, unix.EAGAIN)
		}
	}
}
