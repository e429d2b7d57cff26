package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"golang.org/x/sys/unix"
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

// again says whether the context is that of an attempt which had a connection already. The transport repeats an idempotent
// request without a body if a connection that was idle turns out to be closed; but if its instance has no other one, the
// pool is to choose again, because the instance may be gone.
func again(ctx context.Context) bool {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	return ok && a.via.Load() != nil
}

// send sends a request.
func (a *attempt) send(u *upstream, req *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if c, ok := info.Conn.(*conn); ok {
			a.via.Store(&passage{conn: c, wrote: c.wrote.Load(), read: c.read.Load()})
		}
	}}
	ctx := context.WithValue(req.Context(), attemptKey{}, a)
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace))
	if req.Body != nil {
		a.body = &attemptBody{src: req.Body}
		req.Body = a.body
	}
	return u.RoundTrip(req)
}

// brokenOff says whether the attempt failed because the instance was not there, or went away before it answered.
func (a *attempt) brokenOff(err error) bool {
	if errors.Is(err, errDial) {
		return true
	}
	p := a.via.Load()
	return p != nil && p.conn.read.Load() == p.read
}

// unseen says whether the instance provably did not get the request: it may be sent to another one.
func (a *attempt) unseen(err error) bool {
	intact := a.body == nil || a.body.takeBack()
	if errors.Is(err, errDial) {
		return intact
	}
	p := a.via.Load()
	if p == nil || p.conn.read.Load() != p.read {
		return false
	}
	if p.conn.wrote.Load() == p.wrote {
		return intact
	}
	// The kernel resets a unix connection, instead of ending it, only if the other end had not read everything. Without a
	// body that means it has not read the end of the head, and cannot have acted on the request.
	return a.body == nil && errors.Is(err, unix.ECONNRESET)
}
