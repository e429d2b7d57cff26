package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"syscall"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// writeRoom is how much of a response is collected before it is sent.
const writeRoom = 16 << 10

// inform implements client.
func (s *clientRequest) inform(res *wire.Response) error {
	if s.req.Minor == 0 {
		return nil // it knows no interim responses
	}
	s.out = wire.AppendStatusLine(s.out, res.Status, res.Reason)
	endToEnd(res.Fields, isOurResponseField, func(f wire.Field) { s.out = wire.AppendField(s.out, f.Name, f.Value) })
	s.out = wire.AppendEnd(s.out)
	s.writer.Bound(s.exchange.clientDeadline())
	defer s.conn.awaitResponse()
	return s.flush()
}

// respond implements client.
func (s *clientRequest) respond(a *answer) {
	s.writer.Bound(s.exchange.clientDeadline())
	s.rest = s.unread()
	s.conn.closing = s.conn.closing || s.rest < 0 || !s.req.KeepAlive || s.conn.env.stopping.Load()
	dst := wire.AppendStatusLine(s.out, a.status, a.reason)
	a.eachPassed(func(f wire.Field) { dst = wire.AppendField(dst, f.Name, f.Value) })
	dst = wire.AppendField(dst, headerRequestID, a.id)
	if a.wake.from != "" {
		dst = wire.AppendField(dst, headerColdStart, a.wake.String())
	}
	if a.cookie != "" {
		dst = wire.AppendField(dst, "Set-Cookie", a.cookie)
	}
	if !has(a.fields, "date") {
		dst = wire.AppendField(dst, "Date", s.conn.env.date.Now())
	}
	s.out = wire.AppendEnd(s.appendFraming(dst, a))
}

// maxRest is the longest rest of a request that is read after an early response, so that the connection can go on.
const maxRest = 256 << 10

// unread is how much of the content of the request is to come, and -1 if that is not known, or is too much to be read after the
// response. Another goroutine may be reading it.
func (s *clientRequest) unread() int64 {
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
func (s *clientRequest) retract() bool {
	if s.conn.hasBegun() {
		return false
	}
	s.out, s.chunked, s.ragged, s.conn.closing = s.out[:0], false, false, false
	return true
}

// appendFraming appends the fields that say how the content is sent, and what becomes of the connection.
func (s *clientRequest) appendFraming(dst []byte, a *answer) []byte {
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
		s.conn.closing, s.ragged = true, true
	default:
		s.chunked = true
		dst = wire.AppendField(dst, "Transfer-Encoding", "chunked")
	}
	switch {
	case s.conn.closing:
		dst = wire.AppendField(dst, "Connection", "close")
	case s.req.Minor == 0:
		dst = wire.AppendField(dst, "Connection", "keep-alive")
	}
	return dst
}

// write implements client.
func (s *clientRequest) write(buf []byte, n int) error {
	piece := buf[wire.ChunkRoom : wire.ChunkRoom+n]
	if s.chunked {
		piece = wire.FrameChunk(buf, n)
	}
	if len(s.out)+len(piece) <= writeRoom {
		s.out = append(s.out, piece...)
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	return s.send(piece)
}

// flush implements client.
func (s *clientRequest) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	err := s.send(s.out[s.conn.beginSending():])
	if s.out = s.out[:0]; cap(s.out) > writeRoom {
		s.out = nil
	}
	return err
}

func (s *clientRequest) send(p []byte) error {
	_, err := s.writer.Write(p)
	return err
}

// interruptWrite implements client.
func (s *clientRequest) interruptWrite() { s.writer.Interrupt() }

// acked implements client.
func (s *clientRequest) acked() (n, sharers int64) {
	if raw := s.conn.raw(); raw != nil {
		return netio.Acked(raw), 1
	}
	return 0, 1
}

// splices implements client.
func (s *clientRequest) splices() bool {
	return s.conn.idle != nil && s.conn.secure == nil && !s.chunked
}

// splice implements client.
func (s *clientRequest) splice(from syscall.RawConn, n int64, took func(n int64)) (sent int64, err error) {
	p := s.conn.env.pipes.Get()
	if p == nil {
		return 0, nil
	}
	defer func() { s.conn.env.pipes.Put(p, err == nil) }()
	if s.flush() != nil {
		return 0, errClientGone
	}
	s.writer.Arm()
	sent, err = p.Move(s.conn.idle.Raw(), from, n, took, &s.exchange.stall)
	if write := (*netio.WriteError)(nil); errors.As(err, &write) {
		err = errors.Join(errClientGone, write.Err)
	}
	return sent, err
}

// finish implements client.
func (s *clientRequest) finish(trailer []wire.Field) error {
	if s.chunked {
		s.out = wire.AppendLastChunk(s.out, trailer)
	}
	return s.flush()
}

// abort implements client.
func (s *clientRequest) abort() {
	c := s.conn
	c.closing, c.linger = true, lingerTime
	_ = s.flush() // what came from the instance is the client's
	if s.ragged {
		c.breakOff()
	}
}
