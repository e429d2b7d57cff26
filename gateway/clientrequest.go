package gateway

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// clientRequest is a request of a client that speaks HTTP/1: what its connection needs for that and not between two of them, since most
// connections are idle.
type clientRequest struct {
	conn     *clientConn
	req      wire.Request
	content  wire.Content
	exchange exchange
	out      []byte // of the response, not sent yet
	writer   netio.Writer
	chunked  bool        // how the content of the response is sent
	ragged   bool        // the end of the connection is the end of the response
	ended    atomic.Bool // the content was read to its end
	rest     int64       // of the content, which is read after the response; -1: it is not
}

// maxKeptHead is the largest head whose memory is kept for the next request.
const maxKeptHead = 16 << 10

var clientRequests = sync.Pool{New: func() any { return new(clientRequest) }}

func newClientRequest(c *clientConn) *clientRequest {
	s := clientRequests.Get().(*clientRequest)
	s.conn = c
	s.resetWriter()
	s.content.Reset(&c.reader, wire.None(), 0)
	p, x := c.env.proxy, &s.exchange
	x.proxy, x.buffers, x.client, x.origin = p, p.buffers, s, &c.origin
	return s
}

// resetWriter has the response written to the connection.
func (s *clientRequest) resetWriter() {
	c := s.conn
	if c.secure == nil {
		s.writer.Reset(c.Conn, c.raw(), &s.exchange.stall)
		return
	}
	s.writer.Reset(c.secure.Under(), c.raw(), &s.exchange.stall)
	s.writer.SealBy(c.secure.WriteBy)
}

// begin takes on the next request of the connection, whose head was read.
func (s *clientRequest) begin() {
	s.exchange.begin(&s.req)
	s.writer.Resume()
	s.chunked, s.ragged, s.rest = false, false, 0
	s.ended.Store(false)
}

// free keeps the memory for another request. Nothing may use it after that.
func (s *clientRequest) free() {
	if cap(s.exchange.http1.message) > maxKeptHead {
		return
	}
	s.exchange.forget()
	s.conn = nil
	s.writer.Reset(nil, nil, nil)
	clientRequests.Put(s)
}

// Read implements client.
func (s *clientRequest) Read(p []byte) (int, error) {
	n, err := s.content.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		s.ended.Store(true)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errClientGone
	}
	return n, err
}

// trailer implements client.
func (s *clientRequest) trailer() []wire.Field { return s.content.Trailer() }

// takeContent implements client: the head and the content of a small request are sent with one write.
func (s *clientRequest) takeContent(dst []byte) (with []byte, whole bool) {
	if s.content.Done() {
		return dst, true
	}
	n, known := s.req.Framing().Length()
	if !known || n > int64(len(s.conn.reader.Buffered())) {
		return dst, false
	}
	dst = append(dst, s.conn.reader.Buffered()[:n]...)
	s.conn.reader.Discard(int(n))
	s.content.Reset(&s.conn.reader, wire.None(), 0)
	return dst, true
}

// setReadDeadline implements client.
func (s *clientRequest) setReadDeadline(t time.Time) { s.conn.reads.Set(t) }

// pauseReading implements client: a read goes on after its deadline.
func (s *clientRequest) pauseReading(t time.Time) { s.setReadDeadline(t) }

// interruptRead implements client.
func (s *clientRequest) interruptRead() { s.conn.reads.Interrupt() }

// cutRead implements client.
func (s *clientRequest) cutRead() { s.conn.reads.Cut() }

// hijack implements client.
func (s *clientRequest) hijack() *rawClient {
	c := s.conn
	if c.idle == nil {
		return nil
	}
	c.closing, c.linger = true, lingerTime
	c.enter(phaseTunneling)
	return &rawClient{Conn: c.Conn, reader: &c.reader, idle: c.idle, stays: c.secure != nil}
}
