package gateway

import (
	"net"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// lingerTime is how long a connection that is closed is read on, and lingerContent how much: the kernel would reset it otherwise
	// if something came, and with that destroy the response on its way.
	lingerTime    = time.Second
	lingerContent = 4 << 20
	// maxLinger bounds that for a client that has not taken all of a response that is whole.
	maxLinger = 30 * time.Second
)

// client is the other end of a request: a connection that speaks HTTP/1, or a stream of HTTP/2.
type client interface {
	// Read reads the content of the request. After io.EOF, trailer has its trailer.
	Read(p []byte) (int, error)
	trailer() []wire.Field
	// takeContent appends the content if all of it has arrived already.
	takeContent(dst []byte) (with []byte, whole bool)
	// setReadDeadline bounds Read; interruptRead ends one that runs, and all that follow. After pauseReading, a Read that waits until then
	// ends with os.ErrDeadlineExceeded, and the next one goes on.
	setReadDeadline(t time.Time)
	pauseReading(t time.Time)
	interruptRead()
	// cutRead ends a Read that waits for the client, too. The mutex of the connection may be held.
	cutRead()

	// inform sends an interim response.
	inform(res *wire.Response) error
	// respond begins the response. Nothing is sent before the next call.
	respond(a *answer)
	// retract takes a response back of which nothing was sent: another one may begin. It reports false if something was.
	retract() bool
	// write sends buf[wire.ChunkRoom:wire.ChunkRoom+n] as content; buf has at least two bytes more.
	write(buf []byte, n int) error
	// splice has the kernel send n bytes from a connection, and tells took what is taken from there. It sends less only with an error, which
	// wraps errClientGone if the client is the reason, or if the client stalls, or nothing at all if that cannot be done now.
	splice(from syscall.RawConn, n int64, took func(n int64)) (sent int64, err error)
	// splices reports whether splice may ever send something.
	splices() bool
	// flush sends what has been written.
	flush() error
	// finish ends a response that is whole.
	finish(trailer []wire.Field) error
	// abort ends a response that is not, so that it is not taken for whole.
	abort()
	// interruptWrite ends a write that waits for the client.
	interruptWrite()
	// acked is how much the client's machine has got over the connection, and how many requests share that.
	acked() (n, sharers int64)

	// hijack gives the connection away to a tunnel: it brings no further request. It is nil if there is none of its own.
	hijack() *rawClient
}

// rawClient is the connection of a client that has left HTTP.
type rawClient struct {
	net.Conn
	reader *wire.Reader // with what has arrived already
	idle   *netio.IdleReader
	stays  bool // no other gateway can go on with it
}

// answer is the head of a response.
type answer struct {
	status  int
	reason  []byte
	fields  []wire.Field // as the instance sent them
	framing wire.Framing
	length  int64 // what the head says of the length of the content, which the response may not have; -1: nothing
	id      string
	wake    wake
	cookie  string // that the gateway sets
}

// eachPassed calls each with the fields of the response that go through.
func (a *answer) eachPassed(each func(wire.Field)) { endToEnd(a.fields, isOurResponseField, each) }
