package gateway

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
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
	// direct is the connection from which so much of the content may be taken without read, with took told; nil if none.
	direct(deadline time.Time) (syscall.RawConn, int64)
	took(n int64)
	// ready says whether read need not wait.
	ready() bool
	trailer() []wire.Field
	// interrupt ends what waits, now and later. Any goroutine may call it.
	interrupt()
	// interruptRead ends a wait for the instance only.
	interruptRead()
	// brokeOff says whether the attempt failed because the instance was not there, or went away before it answered.
	brokeOff(err error) bool
	// unseen says whether the instance provably did not get the request: it may be sent to another one.
	unseen(err error) bool
	// finish ends the attempt: nothing reads the content of the request after that. whole says that the response was.
	finish(whole bool)
}

// pumpPatience is how long the rest of a request is waited for after its response has ended.
const pumpPatience = 100 * time.Millisecond

// http1Attempt is an attempt over a connection of HTTP/1.
type http1Attempt struct {
	exchange *exchange
	upstream *upstream
	message  []byte // the head, and the content if all of it was there
	whole    bool   // message is all of the request
	conn     *conn
	content  wire.Content
	keep     bool          // the connection may be used again
	pumped   chan struct{} // closed when no content follows any more; nil: none ever did
	sent     bool          // the pump sent all
}

func (a *http1Attempt) send() error {
	c, err := a.upstream.take(a.exchange.context, a.message[0])
	if err != nil {
		return err
	}
	a.conn, a.keep, a.pumped, a.sent = c, false, nil, false
	if !a.exchange.attach(a) {
		return a.exchange.interruption()
	}
	a.exchange.lease.conn.Store(c)
	_ = c.SetWriteDeadline(a.exchange.end) // a closed connection fails at once
	if err := c.begin(a.message); err != nil {
		return err
	}
	if !a.whole {
		a.exchange.client.setReadDeadline(a.exchange.end)
		a.pumped = make(chan struct{})
		go a.pump(c, a.pumped)
	}
	return nil
}

// pump sends the content of the request as it comes. finish joins it.
func (a *http1Attempt) pump(c *conn, done chan struct{}) {
	defer close(done)
	x := a.exchange
	buf := x.gateway.buffers.get()
	defer x.gateway.buffers.put(buf)
	for {
		n, err := x.readContent(buf[wire.ChunkRoom : len(buf)-2])
		if errors.Is(err, io.EOF) {
			a.sent = a.end(c) == nil
			return
		}
		if err != nil {
			x.interrupt(err)
			return
		}
		if a.pass(c, buf[:], n) != nil {
			return // the instance does not want to know; it may answer all the same
		}
	}
}

func (a *http1Attempt) pass(c *conn, buf []byte, n int) error {
	if a.exchange.chunked {
		return c.send(wire.FrameChunk(buf, n))
	}
	return c.send(buf[wire.ChunkRoom : wire.ChunkRoom+n])
}

func (a *http1Attempt) end(c *conn) error {
	if !a.exchange.chunked {
		return nil
	}
	return c.send(wire.AppendLastChunk(nil, withoutOurs(a.exchange.client.trailer())))
}

func (a *http1Attempt) receive(res *wire.Response, deadline time.Time) error {
	c := a.conn
	if err := c.setReadDeadline(deadline); err != nil {
		return err
	}
	r := &c.reader
	for scanned := 0; ; {
		n, next, err := wire.HeadLength(r.Buffered(), scanned)
		if err != nil {
			return err
		}
		if n > 0 {
			return a.parse(res, n)
		}
		if scanned = next; len(r.Buffered()) > maxResponseHead {
			return errResponseHead
		}
		if err := r.Fill(); err != nil {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

func (a *http1Attempt) parse(res *wire.Response, n int) error {
	r := &a.conn.reader
	if err := res.Parse(r.Buffered()[:n]); err != nil {
		return err
	}
	r.Discard(n)
	if res.Status >= 200 {
		framing := res.Framing([]byte(a.exchange.method))
		a.content.Reset(r, framing, maxResponseHead)
		a.keep = res.KeepAlive && !framing.IsUntilClose()
	}
	return nil
}

func (a *http1Attempt) read(p []byte, deadline time.Time) (int, error) {
	if err := a.conn.setReadDeadline(deadline); err != nil {
		return 0, err
	}
	return a.content.Read(p)
}

func (a *http1Attempt) direct(deadline time.Time) (syscall.RawConn, int64) {
	n := a.content.Direct()
	if n == 0 || a.conn.raw == nil || a.conn.setReadDeadline(deadline) != nil {
		return nil, 0
	}
	return a.conn.raw, n
}

func (a *http1Attempt) took(n int64) { a.content.Took(n) }

func (a *http1Attempt) ready() bool { return a.content.Ready() }

func (a *http1Attempt) trailer() []wire.Field { return a.content.Trailer() }

func (a *http1Attempt) interrupt()     { a.conn.interrupt() }
func (a *http1Attempt) interruptRead() { a.conn.interruptRead() }

func (a *http1Attempt) brokeOff(err error) bool {
	if a.conn == nil {
		return errors.Is(err, errDial)
	}
	return a.conn.read == 0
}

func (a *http1Attempt) unseen(err error) bool {
	c := a.conn
	switch {
	case c == nil:
		return errors.Is(err, errDial)
	case c.read > 0 || a.pumped != nil:
		return false
	case c.wrote.Load() == 0:
		return true
	}
	// The kernel resets a unix connection, instead of ending it, only if the other end had not read everything. Without
	// content that means it has not read the end of the head, and cannot have acted on the request.
	return c.reset && !a.exchange.content
}

func (a *http1Attempt) finish(whole bool) {
	c := a.conn
	if c == nil {
		return
	}
	a.joinPump(whole)
	a.exchange.detach()
	a.exchange.lease.conn.Store(nil)
	a.conn = nil
	c.mu.Lock()
	usable := whole && a.keep && !c.interrupted && (a.whole || a.sent) && len(c.reader.Buffered()) == 0
	c.mu.Unlock()
	if usable {
		a.upstream.give(c)
		return
	}
	c.Close()
}

// joinPump ends the pump, if there is one. If the response was whole, it may be about to have sent all of the request.
func (a *http1Attempt) joinPump(whole bool) {
	if a.pumped == nil {
		return
	}
	if whole {
		patience := time.NewTimer(pumpPatience)
		defer patience.Stop()
		select {
		case <-a.pumped:
			return
		case <-patience.C:
		}
	}
	a.exchange.client.interruptRead()
	a.conn.interrupt()
	<-a.pumped
}
