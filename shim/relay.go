package shim

import (
	"cmp"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// relay passes connections from the socket of an instance on to the port of its program. It has not read anything of a
// connection before it has one with the program, so that a probe tells the truth about whether the instance is ready.
type relay struct {
	listener  *net.UnixListener
	port      int
	addresses []string
	answers   sync.WaitGroup // of accept, and of each connection on which the program may still send
}

func newRelay(listener *net.UnixListener, port int, addresses []string) *relay {
	r := &relay{listener: listener, port: port, addresses: addresses}
	r.answers.Add(1)
	return r
}

// acceptPause is the time after an accept that failed: mostly there are no file descriptors left.
const acceptPause = 10 * time.Millisecond

// accept takes connections until it is stopped.
func (r *relay) accept() {
	defer r.answers.Done()
	for {
		client, err := r.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptPause)
		default:
			r.answers.Add(1)
			go r.pass(client)
		}
	}
}

// stopAccepting leaves new connections to the next instance. PID 1 holds the socket, too.
func (r *relay) stopAccepting() { r.listener.Close() }

// finishTimeout bounds how long the last words of a program that has ended are passed on.
const finishTimeout = time.Second

// finish passes on what the program, which has ended, has sent before.
func (r *relay) finish() {
	r.stopAccepting()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.answers.Wait()
	}()
	select {
	case <-done:
	case <-time.After(finishTimeout):
	}
}

// pass copies both ways until both ends have said all. The copies are the kernel's (splice).
func (r *relay) pass(client *net.UnixConn) {
	defer client.Close()
	upstream, err := r.dial()
	if err != nil {
		r.answers.Done()
		return // nothing was read: the kernel tells the client so, by resetting the connection
	}
	defer upstream.Close()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		copyHalf(upstream, client)
	}()
	copyHalf(client, upstream)
	r.answers.Done()
	<-asked
}

type halfCloser interface {
	io.ReadWriter
	CloseWrite() error
}

// copyHalf passes one direction on, and then its end. An error is an end, too: each side learns of it by its own connection.
func copyHalf(to, from halfCloser) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
}

// errForeign is a port that is not the program's any more.
var errForeign = errors.New("another user listens on the port")

// dial connects to the program. A TCP connection of Go's has no delay for small packets.
//
// A program may have closed its port since it was waited for, and another user may have opened it: whose port it is must be looked
// at when there is a connection, because only then it is known to whom that leads.
func (r *relay) dial() (conn *net.TCPConn, err error) {
	for _, address := range r.addresses {
		var c net.Conn
		if c, err = net.Dial("tcp", address); err != nil {
			continue
		}
		var own []string
		if own, err = listeningAt(r.port); err == nil && slices.Contains(own, address) {
			return c.(*net.TCPConn), nil
		}
		c.Close()
		err = cmp.Or(err, errForeign)
	}
	return nil, err
}
