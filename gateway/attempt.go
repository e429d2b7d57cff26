package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// attempt is one try to send a request to an instance.
type attempt struct {
	body *attemptBody // nil: the request has none
	via  atomic.Pointer[passage]
}

// passage is a connection, and what had gone over it before the attempt.
type passage struct {
	conn        *conn
	wrote, read int64
}

type attemptKey struct{}

// repeats says whether the context is that of an attempt which had a connection already. The transport repeats an idempotent
// request if a connection that it had used before breaks, even if the app has read the request and died of it. Whether to
// send it again is for the exchange to decide.
func repeats(ctx context.Context) bool {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	return ok && a.via.Load() != nil
}

// send sends a request once.
func (a *attempt) send(u *upstream, req *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: a.gotConn}
	ctx := context.WithValue(req.Context(), attemptKey{}, a)
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace))
	if req.Body != nil {
		a.body = &attemptBody{src: req.Body}
		req.Body = a.body
	}
	return u.RoundTrip(req)
}

// gotConn is called before the request is written. There is no way to keep the transport from repeating it over another
// idle connection, but to close that. It gives up when there are none left and it dials.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	c, ok := info.Conn.(*conn)
	if !ok {
		return
	}
	if !a.via.CompareAndSwap(nil, &passage{conn: c, wrote: c.wrote.Load(), read: c.read.Load()}) {
		c.Close()
	}
}

// brokenOff says whether the attempt failed because the instance was not there, or went away before it answered.
func (a *attempt) brokenOff(err error) bool {
	p := a.via.Load()
	if p == nil {
		return errors.Is(err, errDial)
	}
	return p.conn.read.Load() == p.read
}

// unseen says whether the instance provably did not get the request: it may be sent to another one.
func (a *attempt) unseen(err error) bool {
	intact := a.body == nil || a.body.takeBack()
	p := a.via.Load()
	if p == nil {
		return intact && errors.Is(err, errDial)
	}
	if p.conn.read.Load() != p.read {
		return false
	}
	if p.conn.wrote.Load() == p.wrote {
		return intact
	}
	// The kernel resets a unix connection, instead of ending it, only if the other end had not read everything. Without a
	// body that means it has not read the end of the head, and cannot have acted on the request.
	return a.body == nil && p.conn.reset.Load()
}
