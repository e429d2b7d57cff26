package gateway

import (
	"errors"
	"sync"

	"github.com/fnctl/fnctl/gateway/wire"
)

// turn is what a connection needs for a request and not between two of them: most connections are idle.
type turn struct {
	req     wire.Request
	content wire.Content
	x       exchange
	out     []byte // of the response, not sent yet
	chunked bool   // how the content of the response is sent
	ragged  bool   // the end of the connection is the end of the response
}

// maxKeptHead is the largest head whose memory is kept for the next request.
const maxKeptHead = 16 << 10

var turns = sync.Pool{New: func() any { return new(turn) }}

// takeTurn is called when a request comes.
func (c *clientConn) takeTurn() {
	if c.turn != nil {
		return
	}
	t := turns.Get().(*turn)
	t.x.gateway, t.x.client, t.x.origin = c.gateway, c, &c.origin
	t.content.Reset(&c.reader, wire.None(), 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn = t
}

// giveTurn is called when none is there any more. Nobody touches its exchange after that: who does from elsewhere holds the
// mutex of the connection, or is done with.
func (c *clientConn) giveTurn() {
	c.mu.Lock()
	t := c.turn
	c.turn = nil
	c.mu.Unlock()
	if t == nil || cap(t.x.http1.message) > maxKeptHead {
		return
	}
	t.x.client, t.x.origin = nil, nil
	t.x.request, t.x.head, t.x.access = request{}, answer{}, Access{}
	turns.Put(t)
}

// interrupt ends the request that the connection brought, if one is served. A tunnel finds out by itself who has gone.
func (c *clientConn) interrupt(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn != nil && (c.phase == serving || c.phase == tunneling && !errors.Is(cause, errClientGone)) {
		c.turn.x.interrupt(cause)
	}
}
