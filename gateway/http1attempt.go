package gateway

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// http1Attempt is an attempt over a connection of HTTP/1.
type http1Attempt struct {
	request  *request
	delivery *delivery
	upstream *upstream
	message  []byte // the head, and content that is held if it is short
	head     int64  // how much of message is the head
	rest     []byte // of the content that is held
	tail     []byte // what follows that
	conn     *instanceConn
	content  wire.Content
	keep     bool          // the connection may be used again
	uploaded chan struct{} // closed when no content follows any more; nil: none ever did
	joining  atomic.Bool   // the upload is being ended
	sent     bool          // all of the request
}

const (
	// shortContent is what is copied to be sent with one write.
	shortContent = 4 << 10
	// promptRest is what a socket takes whether the instance reads or not.
	promptRest = 64 << 10
)

// prepare makes it an attempt with another instance. A request that moved to another revision may have another path there.
func (a *http1Attempt) prepare(r *request, d *delivery, u *upstream) {
	a.request, a.delivery, a.upstream = r, d, u
	a.message = r.appendHead(a.message[:0])
	a.head = int64(len(a.message))
	a.frameHeld()
	if len(a.rest) <= shortContent {
		a.message = append(append(a.message, a.rest...), a.tail...)
		a.rest, a.tail = nil, a.tail[:0]
	}
}

// frameHeld makes what is held one chunk if the content has no length.
func (a *http1Attempt) frameHeld() {
	r := a.request
	a.rest, a.tail = r.held, a.tail[:0]
	if !r.chunked {
		return
	}
	if len(r.held) > 0 {
		a.message, a.tail = wire.AppendChunkSize(a.message, len(r.held)), append(a.tail, "\r\n"...)
	}
	if r.whole {
		a.tail = wire.AppendLastChunk(a.tail, withoutOurs(r.client.trailer()))
	}
}

// sendHeld sends what the message does not have of the content that is held.
func (a *http1Attempt) sendHeld(c *instanceConn) error {
	if err := c.send(a.rest); err != nil || len(a.tail) == 0 {
		return err
	}
	return c.send(a.tail)
}

func (a *http1Attempt) send() error {
	c, atOnce, err := a.take()
	if err != nil {
		return err
	}
	a.conn, a.keep, a.uploaded, a.sent = c, false, nil, atOnce
	a.joining.Store(false)
	if !a.request.attach(a) {
		return a.request.interruption()
	}
	a.delivery.conn.Store(c)
	if atOnce {
		c.beginAsking(a.message, a.request.end)
		return nil
	}
	_ = c.SetWriteDeadline(a.request.end) // a closed connection fails at once
	if err := c.begin(a.message); err != nil {
		return err
	}
	if a.request.whole && len(a.rest) <= promptRest {
		a.sent = len(a.rest) == 0 || a.sendHeld(c) == nil // an instance that reads no more may answer all the same
		return nil
	}
	if !a.request.whole {
		a.request.client.setReadDeadline(a.request.end)
	}
	a.uploaded = make(chan struct{})
	go a.upload(c, a.uploaded)
	return nil
}

// adopt makes it an attempt that another gateway has made over a connection, and that was answered with a tunnel.
func (a *http1Attempt) adopt(r *request, d *delivery, u *upstream, c *instanceConn) {
	a.request, a.delivery, a.upstream, a.rest = r, d, u, nil
	a.conn, a.keep, a.uploaded, a.sent = c, false, nil, true
	r.attach(a) // nothing has interrupted the request yet
	d.answered.Store(true)
	d.unbounded.Store(true)
	d.conn.Store(c)
}

// take lends a connection. With atOnce it was idle, and is to be asked in one go, which also finds out whether it may be used still.
func (a *http1Attempt) take() (c *instanceConn, atOnce bool, err error) {
	if a.request.whole && len(a.rest) == 0 {
		if c = a.upstream.takeIdle(); c != nil {
			return c, true, nil
		}
	}
	c, err = a.upstream.take(a.request.context, a.message[0])
	return c, false, err
}

// upload sends the content of the request: what is held, and then what comes. finish joins it.
func (a *http1Attempt) upload(c *instanceConn, done chan struct{}) {
	defer close(done)
	r := a.request
	if a.sendHeld(c) != nil {
		return
	}
	if r.whole {
		a.sent = true
		return
	}
	buf := r.buffers.Get()
	defer r.buffers.Put(buf)
	for {
		n, err := r.readContent(buf[wire.ChunkRoom : len(buf)-2])
		if errors.Is(err, io.EOF) {
			a.sent = a.end(c) == nil
			return
		}
		if err != nil {
			if !a.joining.Load() {
				r.interrupt(err)
			}
			return
		}
		if a.pass(c, buf[:], n) != nil {
			return // the instance reads no more; it may answer all the same
		}
	}
}

func (a *http1Attempt) pass(c *instanceConn, buf []byte, n int) error {
	if a.request.chunked {
		return c.send(wire.FrameChunk(buf, n))
	}
	return c.send(buf[wire.ChunkRoom : wire.ChunkRoom+n])
}

func (a *http1Attempt) end(c *instanceConn) error {
	if !a.request.chunked {
		return nil
	}
	return c.send(wire.AppendLastChunk(nil, withoutOurs(a.request.client.trailer())))
}

func (a *http1Attempt) receive(res *wire.Response, deadline time.Time) error {
	c := a.conn
	if err := c.readUntil(deadline); err != nil {
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
			if errors.Is(err, errDial) {
				a.upstream.lost()
			}
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
		framing := res.Framing([]byte(a.request.method))
		a.content.Reset(r, framing, maxResponseHead)
		a.content.AllowBlanks()
		a.keep = res.KeepAlive && !framing.IsUntilClose()
	}
	return nil
}

func (a *http1Attempt) read(p []byte, deadline time.Time) (int, error) {
	if err := a.conn.readUntil(deadline); err != nil {
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

func (a *http1Attempt) uploading() bool {
	if a.uploaded == nil {
		return false
	}
	select {
	case <-a.uploaded:
		return false
	default:
		return true
	}
}

func (a *http1Attempt) hijack() *instanceConn {
	if a.conn.raw == nil {
		return nil
	}
	return a.conn
}

func (a *http1Attempt) interrupt()     { a.conn.interrupt() }
func (a *http1Attempt) interruptRead() { a.conn.interruptRead() }

func (a *http1Attempt) brokeOff(err error) bool {
	if a.conn == nil {
		return errors.Is(err, errDial)
	}
	return a.conn.read.Load() == 0 && !errors.Is(err, errUnquiet)
}

func (a *http1Attempt) unseen(err error) bool {
	c := a.conn
	switch {
	case c == nil:
		return errors.Is(err, errDial)
	case c.read.Load() > 0 || a.uploaded != nil:
		return false
	case c.wrote.Load() < a.head:
		return true // as when the instance ends after it has read what the probe wrote
	}
	// The kernel resets a unix connection, instead of ending it, only if the other end had not read everything. Without
	// content that means that it has not read the end of the head, and cannot have acted on the request.
	return c.reset && !a.request.content
}

func (a *http1Attempt) finish(whole bool) {
	c := a.conn
	if c == nil {
		return
	}
	a.joinUpload(whole)
	a.request.detach()
	a.delivery.conn.Store(nil)
	a.conn = nil
	c.mu.Lock()
	usable := whole && a.keep && !c.interrupted && a.sent && len(c.reader.Buffered()) == 0
	c.mu.Unlock()
	if usable {
		a.upstream.give(c)
		return
	}
	c.Close()
}

// joinUpload ends the upload, if there is one. If the response was whole, it may be about to have sent all of the request.
func (a *http1Attempt) joinUpload(whole bool) {
	if a.uploaded == nil {
		return
	}
	if whole {
		timeout := time.NewTimer(uploadTimeout)
		defer timeout.Stop()
		select {
		case <-a.uploaded:
			return
		case <-timeout.C:
		}
	}
	a.joining.Store(true)
	if !a.request.whole {
		a.request.client.interruptRead()
	}
	a.conn.interrupt()
	<-a.uploaded
}
