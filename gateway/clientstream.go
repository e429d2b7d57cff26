package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// clientStream is a request of a client that speaks HTTP/2.
type clientStream struct {
	writer  http.ResponseWriter
	control *http.ResponseController
	in      *http.Request
	aborted bool
	status  int // of the response that was not sent yet; 0: there is none
	conn    *handedConn
	content netio.Patient

	mu  sync.Mutex
	cut *time.Timer // closes the connection; nil: nothing was sent yet

	exchange exchange
}

func newClientStream(p *proxy, w http.ResponseWriter, r *http.Request, conn *handedConn) *clientStream {
	s := &clientStream{writer: w, in: r, control: http.NewResponseController(w), conn: conn, content: netio.Patient{Source: r.Body}}
	from := conn.origin // a copy, for streams run side by side
	x := &s.exchange
	x.proxy, x.buffers, x.client, x.origin = p, p.buffers, s, &from
	return s
}

// request returns the request as one of HTTP/1 would be.
func (s *clientStream) request() *wire.Request {
	r := s.in
	req := &wire.Request{
		Method: []byte(r.Method), Target: []byte(r.RequestURI), Path: []byte(r.RequestURI), Host: []byte(r.Host), Minor: 1,
		ContentLength: r.ContentLength, KeepAlive: true, ExpectContinue: strings.EqualFold(r.Header.Get("Expect"), "100-continue"),
	}
	if req.ContentLength < 0 {
		req.Chunked = true
	} else if req.ContentLength == 0 && r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		req.ContentLength = -1
	}
	for name, values := range r.Header {
		for _, value := range values {
			req.Fields = append(req.Fields, wire.Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	return req
}

func (s *clientStream) Read(p []byte) (int, error) { return s.content.Read(p) }

func (s *clientStream) trailer() []wire.Field { return fieldsOf(s.in.Trailer) }

// takeContent implements client. What has arrived is not known.
func (s *clientStream) takeContent(dst []byte) ([]byte, bool) { return dst, !s.exchange.content }

// A stream fails only with its connection, so that there is no error on which to act.

func (s *clientStream) setReadDeadline(t time.Time) {
	s.content.Until = time.Time{}
	_ = s.control.SetReadDeadline(t)
}

// pauseReading implements client. The stream would end with a deadline of its own.
func (s *clientStream) pauseReading(t time.Time) { s.content.Until = t }

func (s *clientStream) interruptRead() { _ = s.control.SetReadDeadline(netio.Past) }
func (s *clientStream) cutRead()       { s.interruptRead() }

// interruptWrite implements client: the stream is reset.
func (s *clientStream) interruptWrite() {
	_ = s.control.SetWriteDeadline(netio.Past)
	s.cutAt(time.Now().Add(lingerTime))
}

// bound gives the client as long as it has to take what is sent. Then its stream is reset.
func (s *clientStream) bound() {
	deadline := s.exchange.clientDeadline()
	_ = s.control.SetWriteDeadline(deadline)
	s.cutAt(deadline.Add(lingerTime))
}

// cutAt has the connection closed at a time, or before, if a reset cannot be sent, behind what the client does not read: the instance is
// not to wait for it.
func (s *clientStream) cutAt(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut == nil || s.cut.Stop() {
		s.cut = time.AfterFunc(time.Until(t), func() { s.conn.Close() })
	}
}

// release ends the hold that the stream has on its connection.
func (s *clientStream) release() {
	if s.content.IsReading() {
		s.interruptRead()
		s.content.Join()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut != nil {
		s.cut.Stop()
	}
}

// acked implements client.
func (s *clientStream) acked() (n, sharers int64) {
	return s.conn.acked(), int64(s.conn.streams.Load())
}

// inform implements client.
func (s *clientStream) inform(res *wire.Response) error {
	if res.Status == http.StatusContinue {
		return nil // the server sends it when the content is read
	}
	s.bound()
	h := s.writer.Header()
	endToEnd(res.Fields, isOurResponseField, func(f wire.Field) { h.Add(string(f.Name), string(f.Value)) })
	s.writer.WriteHeader(res.Status)
	clear(h)
	return nil
}

// respond implements client.
func (s *clientStream) respond(a *answer) {
	s.bound()
	h := s.writer.Header()
	a.eachPassed(func(f wire.Field) { h.Add(string(f.Name), string(f.Value)) })
	h.Set(headerRequestID, a.id)
	if a.wake.from != "" {
		h.Set(headerColdStart, a.wake.String())
	}
	if a.cookie != "" {
		h.Add("Set-Cookie", a.cookie)
	}
	if a.length >= 0 && a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.FormatInt(a.length, 10))
	}
	s.status = a.status
}

// begin sends the head of the response, if it was not sent yet.
func (s *clientStream) begin() {
	if s.status != 0 {
		s.writer.WriteHeader(s.status)
		s.status = 0
	}
}

// retract implements client.
func (s *clientStream) retract() bool {
	if s.status == 0 {
		return false
	}
	s.status = 0
	clear(s.writer.Header())
	return true
}

// write implements client.
func (s *clientStream) write(buf []byte, n int) error {
	stall := &s.exchange.stall
	stall.Begin()
	s.begin()
	n, err := s.writer.Write(buf[wire.ChunkRoom : wire.ChunkRoom+n])
	stall.End(int64(n))
	return err
}

// A stream has no connection of its own.

func (s *clientStream) hijack() *rawClient { return nil }
func (s *clientStream) splices() bool      { return false }
func (s *clientStream) splice(syscall.RawConn, int64, func(int64)) (int64, error) {
	return 0, nil
}

// flush implements client.
func (s *clientStream) flush() error {
	stall := &s.exchange.stall
	stall.Begin()
	defer stall.End(0)
	s.begin()
	return s.control.Flush()
}

// finish implements client. The server sends the rest, and the trailer, when the handler returns.
func (s *clientStream) finish(trailer []wire.Field) error {
	s.begin()
	h := s.writer.Header()
	for _, f := range trailer {
		h.Add(http.TrailerPrefix+string(f.Name), string(f.Value))
	}
	return nil
}

// abort implements client: the stream is reset, which the server does only of one that has begun.
func (s *clientStream) abort() {
	_ = s.flush()
	s.aborted = true
}
