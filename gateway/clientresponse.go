package gateway

import (
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/fnctl/fnctl/gateway/wire"
)

// writeRoom is how much of a response is collected before it is sent.
const writeRoom = 16 << 10

// inform implements client.
func (c *clientConn) inform(res *wire.Response) error {
	if c.req.Minor == 0 {
		return nil // it knows no interim responses
	}
	c.out = wire.AppendStatusLine(c.out, res.Status, res.Reason)
	endToEnd(res.Fields, isOurResponseField, func(f wire.Field) { c.out = wire.AppendField(c.out, f.Name, f.Value) })
	c.out = wire.AppendEnd(c.out)
	return c.flush()
}

// respond implements client.
func (c *clientConn) respond(a *answer) {
	_ = c.SetWriteDeadline(c.x.until())
	// What is not read by an attempt is not read by anyone.
	unread := c.x.content && c.x.attempt == nil && !c.content.Done()
	c.closing = c.closing || unread || !c.req.KeepAlive || c.gateway.clients.stopping.Load()
	dst := wire.AppendStatusLine(c.out, a.status, a.reason)
	a.eachPassed(func(f wire.Field) { dst = wire.AppendField(dst, f.Name, f.Value) })
	dst = wire.AppendField(dst, headerRequestID, a.id)
	if a.cold > 0 {
		dst = wire.AppendField(dst, headerColdStart, a.coldText())
	}
	if a.cookie != "" {
		dst = wire.AppendField(dst, "Set-Cookie", a.cookie)
	}
	if !has(a.fields, "date") {
		dst = wire.AppendField(dst, "Date", c.gateway.date.now())
	}
	c.out = wire.AppendEnd(c.appendFraming(dst, a))
}

// appendFraming says how the content is sent, and what becomes of the connection.
func (c *clientConn) appendFraming(dst []byte, a *answer) []byte {
	length, known := a.framing.Length()
	switch {
	case a.status == http.StatusSwitchingProtocols:
		dst = wire.AppendField(dst, "Connection", "Upgrade")
		return wire.AppendField(dst, "Upgrade", values(a.fields, "upgrade"))
	case a.framing.IsNone() && a.length >= 0:
		dst = wire.AppendField(dst, "Content-Length", strconv.FormatInt(a.length, 10))
	case known:
		dst = wire.AppendField(dst, "Content-Length", strconv.FormatInt(length, 10))
	case a.framing.IsNone():
	case c.req.Minor == 0:
		c.closing, c.ragged = true, true
	default:
		c.chunked = true
		dst = wire.AppendField(dst, "Transfer-Encoding", "chunked")
	}
	switch {
	case c.closing:
		dst = wire.AppendField(dst, "Connection", "close")
	case c.req.Minor == 0:
		dst = wire.AppendField(dst, "Connection", "keep-alive")
	}
	return dst
}

// write implements client.
func (c *clientConn) write(buf []byte, n int) error {
	piece := buf[wire.ChunkRoom : wire.ChunkRoom+n]
	if c.chunked {
		piece = wire.FrameChunk(buf, n)
	}
	if len(c.out)+len(piece) <= writeRoom {
		c.out = append(c.out, piece...)
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	_, err := c.Conn.Write(piece)
	return err
}

// flush implements client.
func (c *clientConn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > writeRoom {
		c.out = nil
	}
	return err
}

// splices implements client.
func (c *clientConn) splices() bool { return c.patient != nil && !c.chunked }

// splice implements client.
func (c *clientConn) splice(from syscall.RawConn, n int64) (sent int64, err error) {
	p := c.gateway.pipes.get()
	if p == nil {
		return 0, nil
	}
	defer func() { c.gateway.pipes.put(p, err == nil) }()
	if c.flush() != nil {
		return 0, errClientGone
	}
	return p.move(c.patient.raw, from, n)
}

// finish implements client.
func (c *clientConn) finish(trailer []wire.Field) error {
	if c.chunked {
		c.out = wire.AppendLastChunk(c.out, trailer)
	}
	return c.flush()
}

// abort implements client.
func (c *clientConn) abort() {
	c.closing = true
	_ = c.flush() // what came is the client's
	if tcp, ok := c.Conn.(*net.TCPConn); ok && c.ragged {
		_ = tcp.SetLinger(0) // so that the end does not look like one
	}
}
