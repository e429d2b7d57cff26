package netio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Hangups watches connections from which nothing reads for the moment in which the other end closes them: those of clients
// whose request runs, and those of instances that are idle. Go tells only a reader, and a read would take away what belongs to
// the next message; so the connections are registered with a second epoll instance, for nothing but their end. That costs one
// system call per connection, and none per request.
type Hangups struct {
	file *os.File // the epoll instance; it is waited for like a connection
	raw  syscall.RawConn
	fd   int

	mu      sync.Mutex
	last    uint64
	watched map[uint64]watch
}

// watch is what is called of a connection.
type watch struct {
	ended func(whole bool)
	came  func() // nil: nobody waits for it
}

// NewHangups makes the epoll instance.
func NewHangups() (*Hangups, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	h := &Hangups{file: os.NewFile(uintptr(fd), "hangups"), fd: fd, watched: make(map[uint64]watch)}
	if h.raw, err = h.file.SyscallConn(); err != nil {
		h.file.Close()
		return nil, fmt.Errorf("wait for an epoll instance: %w", err)
	}
	return h, nil
}

// Watch calls a function, which must not block, when no more comes over the connection, because one of the ends has closed that
// direction, and with whole set when the connection is over. Of a TCP connection that the other end closes in order the first is
// seen at once, and the second when something was sent. The first may be told more than once; neither is after Unwatch has
// returned, unless the function runs already. The end of a connection that cannot be watched is seen later.
func (h *Hangups) Watch(conn net.Conn, ended func(whole bool)) (token uint64) {
	if h == nil {
		return 0
	}
	of, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := of.SyscallConn()
	if err != nil {
		return 0
	}
	h.mu.Lock()
	h.last++
	token = h.last
	h.watched[token] = watch{ended: ended}
	h.mu.Unlock()
	if !h.control(unix.EPOLL_CTL_ADD, token, raw, unix.EPOLLRDHUP) {
		h.Unwatch(token)
		return 0
	}
	return token
}

// control tells the kernel what to watch a connection for.
func (h *Hangups) control(how int, token uint64, raw syscall.RawConn, events uint32) bool {
	event := unix.EpollEvent{Events: events | unix.EPOLLET, Fd: int32(token), Pad: int32(token >> 32)}
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.EpollCtl(h.fd, how, int(fd), &event) })
	return err == nil && failed == nil
}

// Await calls a function, which must not block, once there is something to read from a connection that is watched, also if that was there
// before, or when the connection is over. It may be called more than once, until StopAwaiting has returned and even then if it runs
// already. Await reports false if it will not be.
func (h *Hangups) Await(token uint64, raw syscall.RawConn, came func()) bool {
	if !h.setAwaited(token, came) {
		return false
	}
	if !h.control(unix.EPOLL_CTL_MOD, token, raw, unix.EPOLLRDHUP|unix.EPOLLIN) {
		h.setAwaited(token, nil)
		return false
	}
	return true
}

// StopAwaiting watches for the end only, as before Await.
func (h *Hangups) StopAwaiting(token uint64, raw syscall.RawConn) {
	if h.setAwaited(token, nil) {
		h.control(unix.EPOLL_CTL_MOD, token, raw, unix.EPOLLRDHUP)
	}
}

func (h *Hangups) setAwaited(token uint64, came func()) (watched bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w, watched := h.watched[token]
	if watched {
		w.came = came
		h.watched[token] = w
	}
	return watched
}

// Unwatch forgets a connection. The kernel does so itself when it is closed.
func (h *Hangups) Unwatch(token uint64) {
	if h == nil || token == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watched, token)
}

// Run calls the functions until the context ends.
func (h *Hangups) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { h.file.Close() })
	defer stop()
	var events [128]unix.EpollEvent
	for {
		n := 0
		var failed error
		err := h.raw.Read(func(fd uintptr) bool {
			n, failed = unix.EpollWait(int(fd), events[:], 0)
			return n > 0 || failed != nil && !errors.Is(failed, unix.EINTR)
		})
		if ctx.Err() != nil {
			return nil
		}
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("wait for hangups: %w", err)
		}
		for _, event := range events[:n] {
			h.fire(uint64(uint32(event.Fd))|uint64(uint32(event.Pad))<<32, event.Events)
		}
	}
}

func (h *Hangups) fire(token uint64, events uint32) {
	whole := events&(unix.EPOLLHUP|unix.EPOLLERR) != 0
	h.mu.Lock()
	w := h.watched[token]
	if whole {
		delete(h.watched, token)
	}
	h.mu.Unlock()
	if w.ended != nil && (whole || events&unix.EPOLLRDHUP != 0) {
		w.ended(whole)
	}
	if w.came != nil {
		w.came()
	}
}
