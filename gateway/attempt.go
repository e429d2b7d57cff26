package gateway

import (
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// uploadTimeout is how long the rest of a request is waited for after its response has ended.
	uploadTimeout = 100 * time.Millisecond
	// maxResponseHead bounds what an instance may send before the content of a response.
	maxResponseHead = 256 << 10
)

// attempt is one try to send a request to an instance and to get its response.
type attempt interface {
	// send sends the request. Content that has not arrived yet follows while the response is received.
	send() error
	// receive waits until a deadline for the head of the next response, which may be an interim one. Its fields are valid
	// until the next call.
	receive(res *wire.Response, deadline time.Time) error
	// read reads the content of the response, which must go on before a deadline.
	read(p []byte, deadline time.Time) (int, error)
	// direct returns the connection from which n bytes of the content may be taken without read, and is nil if none may. took
	// notes how many were.
	direct(deadline time.Time) (from syscall.RawConn, n int64)
	took(n int64)
	// ready reports whether read need not wait.
	ready() bool
	trailer() []wire.Field
	// uploading reports whether content of the request may yet follow.
	uploading() bool
	// hijack gives the connection away to a tunnel. It is nil if the attempt has none of its own.
	hijack() *instanceConn
	// Any goroutine may interrupt the attempt.
	interruptible
	// brokeOff reports whether the attempt failed because the instance was not there, or went away before it answered.
	brokeOff(err error) bool
	// unseen reports whether the instance provably did not get the request: it may be sent to another one.
	unseen(err error) bool
	// finish ends the attempt: nothing reads the content of the request after that. whole is whether the response was whole.
	finish(whole bool)
}
