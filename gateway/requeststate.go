package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// requestState is what a connection of HTTP/1 needs for a request and not between two of them: most connections are idle.
type requestState struct {
	req      wire.Request
	content  wire.Content
	exchange exchange
	out      []byte // of the response, not sent yet
	now      netio.Writer
	chunked  bool        // how the content of the response is sent
	ragged   bool        // the end of the connection is the end of the response
	ended    atomic.Bool // the content was read to its end
	rest     int64       // of the content, which is read after the response; -1: it is not
}

// maxKeptHead is the largest head whose memory is kept for the next request.
const maxKeptHead = 16 << 10

var requestStates = sync.Pool{New: func() any { return new(requestState) }}

func newRequestState(p *proxy, c client, from *origin) *requestState {
	s := requestStates.Get().(*requestState)
	x := &s.exchange
	x.proxy, x.buffers, x.client, x.origin = p, p.buffers, c, from
	return s
}

// begin takes on the next request of the connection, whose head was read.
func (s *requestState) begin() {
	s.exchange.begin(&s.req)
	s.chunked, s.ragged, s.rest = false, false, 0
	s.ended.Store(false)
}

// free keeps the memory for another request. Nothing may use it after that.
func (s *requestState) free() {
	if cap(s.exchange.http1.message) > maxKeptHead {
		return
	}
	s.exchange.forget()
	requestStates.Put(s)
}
