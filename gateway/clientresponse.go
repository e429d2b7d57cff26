package gateway

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// writeRoom is how much of a response is collected before it is sent.
const writeRoom = 16 << 10

// inform implements client.
func (c *clientConn) inform(res *wire.Response) error {
	s := c.current
	if s.req.Minor == 0 {
		return nil // it knows no interim responses
	}
	s.out = wire.AppendStatusLine(s.out, res.Status, res.Reason)
	endToEnd(res.Fields, isOurResponseField, func(f wire.Field) { s.out = wire.AppendField(s.out, f.Name, f.Value) })
	s.out = wire.AppendEnd(s.out)
	c.writeEnd = s.exchange.clientDeadline()
	defer c.awaitResponse()
	return c.flush()
}

// respond implements client.
func (c *clientConn) respond(a *answer) {
	s := c.current
	c.writeEnd = s.exchange.clientDeadline()
	s.rest = s.unread()
	c.closing = c.closing || s.rest < 0 || !s.req.KeepAlive || c.env.stopping.Load()
	dst := wire.AppendStatusLine(s.out, a.status, a.reason)
	a.eachPassed(func(f wire.Field) { dst = wire.AppendField(dst, f.Name, f.Value) })
	dst = wire.AppendField(dst, headerRequestID, a.id)
	if a.cold > 0 {
		dst = wire.AppendField(dst, headerColdStart, a.coldText())
	}
	if a.cookie != "" {
		dst = wire.AppendField(dst, "Set-Cookie", a.cookie)
	}
	if !has(a.fields, "date") {
		dst = wire.AppendField(dst, "Date", c.env.date.now())
	}
	s.out = wire.AppendEnd(c.appendFraming(dst, a))
}

// maxRest is the longest rest of a request that is read after an early response, so that the connection can go on.
const maxRest = 256 << 10

// unread is how much of the content of the request is to come, and -1 if that is not known, or is too much to be read after the
// response. Another goroutine may be reading it.
func (s *requestState) unread() int64 {
	x := &s.exchange
	switch rest := s.req.ContentLength - x.received.Load(); {
	case !x.content:
		return 0
	case x.attempt == nil: // content that no attempt reads is not read at all
		if s.content.Done() {
			return 0
		}
		return -1
	case s.req.ContentLength < 0:
		if s.ended.Load() {
			return 0
		}
		return -1
	case rest > maxRest, rest > 0 && s.req.ExpectContinue: // the client need not send it
		return -1
	default:
		return rest
	}
}

// retract implements client.
func (c *clientConn) retract() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun {
		return false
	}
	s := c.current
	s.out, s.chunked, s.ragged, c.closing = s.out[:0], false, false, false
	return true
}

// appendFraming appends the fields that say how the content is sent, and what becomes of the connection.
func (c *clientConn) appendFraming(dst []byte, a *answer) []byte {
	s := c.current
	length, known := a.framing.Length()
	switch {
	case a.status == http.StatusSwitchingProtocols:
		dst = wire.AppendField(dst, "Connection", "Upgrade")
		return wire.AppendField(dst, "Upgrade", values(a.fields, "upgrade"))
	case a.status == http.StatusNoContent: // it says nothing of content (RFC 9110, section 8.6)
	case a.framing.IsNone() && a.length >= 0:
		dst = wire.AppendField(dst, "Content-Length", strconv.FormatInt(a.length, 10))
	case known:
		dst = wire.AppendField(dst, "Content-Length", strconv.FormatInt(length, 10))
	case a.framing.IsNone():
	case s.req.Minor == 0:
		c.closing, s.ragged = true, true
	default:
		s.chunked = true
		dst = wire.AppendField(dst, "Transfer-Encoding", "chunked")
	}
	switch {
	case c.closing:
		dst = wire.AppendField(dst, "Connection", "close")
	case s.req.Minor == 0:
		dst = wire.AppendField(dst, "Connection", "keep-alive")
	}
	return dst
}

// write implements client.
func (c *clientConn) write(buf []byte, n int) error {
	s := c.current
	piece := buf[wire.ChunkRoom : wire.ChunkRoom+n]
	if s.chunked {
		piece = wire.FrameChunk(buf, n)
	}
	if len(s.out)+len(piece) <= writeRoom {
		s.out = append(s.out, piece...)
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	return c.send(piece)
}

// flush implements client.
func (c *clientConn) flush() error {
	s := c.current
	if len(s.out) == 0 {
		return nil
	}
	err := c.send(s.out[c.beginSending():])
	if s.out = s.out[:0]; cap(s.out) > writeRoom {
		s.out = nil
	}
	return err
}

// send writes to the client. What can be written at once needs no deadline.
func (c *clientConn) send(p []byte) error {
	if c.idle != nil && !c.writeCut.Load() {
		p = p[c.current.now.Write(c.idle.Raw(), p):]
	}
	if len(p) == 0 {
		return nil
	}
	c.armWrite()
	_, err := c.Conn.Write(p)
	return err
}

// armWrite bounds a write that may wait for the client.
func (c *clientConn) armWrite() {
	_ = c.SetWriteDeadline(c.writeEnd) // a closed connection fails at once
	if c.writeCut.Load() {
		_ = c.SetWriteDeadline(past)
	}
}

// splices implements client.
func (c *clientConn) splices() bool { return c.idle != nil && !c.current.chunked }

// splice implements client.
func (c *clientConn) splice(from syscall.RawConn, n int64) (sent int64, err error) {
	p := c.env.pipes.Get()
	if p == nil {
		return 0, nil
	}
	defer func() { c.env.pipes.Put(p, err == nil) }()
	if c.flush() != nil {
		return 0, errClientGone
	}
	c.armWrite()
	sent, err = p.Move(c.idle.Raw(), from, n)
	if write := (*netio.WriteError)(nil); errors.As(err, &write) {
		err = errors.Join(errClientGone, write.Err)
	}
	return sent, err
}

// finish implements client.
func (c *clientConn) finish(trailer []wire.Field) error {
	s := c.current
	if s.chunked {
		s.out = wire.AppendLastChunk(s.out, trailer)
	}
	return c.flush()
}

// abort implements client.
func (c *clientConn) abort() {
	s := c.current
	c.closing, c.linger = true, lingerTime
	_ = c.flush() // what came from the instance is the client's
	if tcp, ok := c.Conn.(*net.TCPConn); ok && s.ragged {
		_ = tcp.SetLinger(0) // so that the end does not look like one
		c.linger = 0
	}
}
