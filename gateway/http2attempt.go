package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// http2Attempt is an attempt over a connection of HTTP/2.
type http2Attempt struct {
	request  *request
	delivery *delivery
	upstream *http2Upstream
	ctx      context.Context
	cancel   context.CancelCauseFunc
	body     *attemptBody // nil: the request has no content
	interim  chan wire.Response
	arrived  chan struct{} // closed when there is a response, or will be none
	res      *http.Response
	err      error
	isGone   bool        // it failed because the instance has gone
	informed atomic.Bool // an interim response has come
}

func newHTTP2Attempt(r *request, d *delivery, u *upstream) *http2Attempt {
	a := &http2Attempt{request: r, delivery: d, upstream: u.overHTTP2(), interim: make(chan wire.Response), arrived: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	return a
}

func (a *http2Attempt) send() error {
	if !a.request.attach(a) {
		close(a.arrived) // finish has nothing to join
		return a.request.interruption()
	}
	if a.request.content {
		a.request.client.setReadDeadline(a.request.end)
	}
	req := a.newRequest()
	go a.roundTrip(req)
	return nil
}

// roundTrip is joined by finish.
func (a *http2Attempt) roundTrip(req *http.Request) {
	defer close(a.arrived)
	c, err := a.upstream.reserve(a.ctx)
	if err != nil {
		a.err, a.isGone = err, true
		return
	}
	a.delivery.conn.Store(c.conn)
	a.res, a.isGone, a.err = c.roundTrip(req, &a.delivery.sent)
}

// newRequest makes the request one of the transport.
func (a *http2Attempt) newRequest() *http.Request {
	r := a.request
	trace := &httptrace.ClientTrace{WroteHeaders: a.wroteHead, Got1xxResponse: a.gotInterim}
	host := string(r.req.Host)
	req := (&http.Request{
		Method: r.method, Host: host, Header: make(http.Header),
		// The connection is chosen already. What is opaque is sent as it is: the transport takes scheme and host from it.
		URL: &url.URL{Scheme: "http", Host: "instance", Opaque: "//" + host + string(r.target())},
	}).WithContext(httptrace.WithClientTrace(a.ctx, trace))
	req.Header.Set("User-Agent", "") // the client's, or none
	r.eachPassed(func(f wire.Field) { addField(req.Header, string(f.Name), string(f.Value)) })
	r.eachAdded(func(name, value string) { addField(req.Header, name, value) })
	if r.content {
		a.body = &attemptBody{request: r, into: req}
		req.Body, req.ContentLength = a.body, r.req.ContentLength
		req.Trailer = announced(r.req.Fields)
	}
	return req
}

// addField adds a field that is not the default one.
func addField(h http.Header, name, value string) {
	key := textproto.CanonicalMIMEHeaderKey(name)
	if key == "User-Agent" {
		h.Set(key, value)
		return
	}
	h[key] = append(h[key], value)
}

// announced makes room for the trailer that a request says it will have.
func announced(fields []wire.Field) http.Header {
	trailer := make(http.Header)
	for _, name := range strings.Split(values(fields, "trailer"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			trailer[textproto.CanonicalMIMEHeaderKey(name)] = nil
		}
	}
	return trailer
}

func (a *http2Attempt) wroteHead() { a.delivery.sent.Store(true) }

func (a *http2Attempt) gotInterim(code int, header textproto.MIMEHeader) error {
	a.informed.Store(true)
	res := wire.Response{Minor: 1, Status: code, Reason: []byte(http.StatusText(code)), Fields: fieldsOf(http.Header(header)), ContentLength: -1}
	if err := wire.CheckFields(res.Fields); err != nil {
		return err
	}
	select {
	case a.interim <- res:
		return nil
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	}
}

func (a *http2Attempt) receive(res *wire.Response, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case *res = <-a.interim:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	case <-a.arrived:
	}
	if a.err != nil {
		return fmt.Errorf("ask the instance: %w", a.err)
	}
	*res = wire.Response{
		Minor: 1, Status: a.res.StatusCode, Reason: []byte(http.StatusText(a.res.StatusCode)), Fields: fieldsOf(a.res.Header),
		ContentLength: a.res.ContentLength, Chunked: a.res.ContentLength < 0, KeepAlive: true,
	}
	return wire.CheckFields(res.Fields)
}

func (a *http2Attempt) read(p []byte, deadline time.Time) (int, error) {
	late := time.AfterFunc(time.Until(deadline), func() { a.cancel(os.ErrDeadlineExceeded) })
	defer late.Stop()
	n, err := a.res.Body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && a.ctx.Err() != nil {
		err = context.Cause(a.ctx)
	}
	return n, err
}

func (a *http2Attempt) direct(time.Time) (syscall.RawConn, int64) { return nil, 0 }
func (a *http2Attempt) took(int64)                                {}

func (a *http2Attempt) ready() bool { return false }

func (a *http2Attempt) trailer() []wire.Field { return fieldsOf(a.res.Trailer) }

func (a *http2Attempt) uploading() bool { return a.body.isRunning() }

func (a *http2Attempt) hijack() *instanceConn { return nil }

func (a *http2Attempt) interrupt()     { a.cancel(context.Canceled) }
func (a *http2Attempt) interruptRead() { a.cancel(context.Canceled) }

// brokeOff is false for a stream that the instance has reset: it is there.
func (a *http2Attempt) brokeOff(error) bool { return a.isGone }

// unseen knows less than that of HTTP/1, since one connection is for many requests: what the instance says of one.
func (a *http2Attempt) unseen(err error) bool {
	isUntaken := errors.Is(err, errDial) || errors.Is(err, errPreface) || errors.Is(err, errUntaken)
	return isUntaken && !a.informed.Load() && !a.body.wasTouched()
}

func (a *http2Attempt) finish(whole bool) {
	if !whole {
		a.cancel(context.Canceled)
	}
	a.body.takeBack(whole)
	<-a.arrived
	if a.res != nil {
		a.res.Body.Close()
	}
	a.cancel(nil)
	a.delivery.conn.Store(nil)
	a.request.detach()
}

// attemptBody lends the content of a request to the transport, which may read it for longer than the attempt lasts.
type attemptBody struct {
	request *request
	into    *http.Request

	reading sync.Mutex // held while the content is read, and before mu
	sent    int        // of what is held

	mu      sync.Mutex
	touched bool // the client's connection was read
	ended   bool
	called  bool // back: what reads the content is told to stop
	over    bool
}

func (b *attemptBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	n, err := b.read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over || b.called && err != nil:
	case errors.Is(err, io.EOF):
		b.ended = true
		for _, f := range withoutOurs(b.request.client.trailer()) {
			addField(b.into.Trailer, string(f.Name), string(f.Value))
		}
	case err != nil:
		b.request.interrupt(err)
	}
	return n, err
}

func (b *attemptBody) read(p []byte) (int, error) {
	if b.isOver() {
		return 0, io.ErrClosedPipe
	}
	if b.sent < len(b.request.held) {
		n := copy(p, b.request.held[b.sent:])
		b.sent += n
		return n, nil
	}
	if b.request.whole {
		return 0, io.EOF
	}
	b.touch()
	return b.request.readContent(p)
}

func (b *attemptBody) isOver() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}

func (b *attemptBody) touch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.touched = true
}

// Close is called when nothing more is sent. The transport waits for what reads the content then, as takeBack does.
func (b *attemptBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended && !b.over && !b.request.whole {
		time.AfterFunc(uploadTimeout, b.callBack)
	}
	return nil
}

// callBack ends what reads the content.
func (b *attemptBody) callBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended && !b.over && !b.request.whole {
		b.called = true
		b.request.client.interruptRead()
	}
}

func (b *attemptBody) isRunning() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended
}

func (b *attemptBody) wasTouched() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.touched
}

// takeBack ends the loan: nothing reads the content any more after that.
func (b *attemptBody) takeBack(whole bool) {
	if b == nil {
		return
	}
	timeout := time.AfterFunc(uploadTimeoutIf(whole), b.callBack)
	defer timeout.Stop()
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

func uploadTimeoutIf(whole bool) time.Duration {
	if whole {
		return uploadTimeout
	}
	return 0
}
