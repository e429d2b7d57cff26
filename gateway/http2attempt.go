package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// http2Upstream is the connections to an instance that speaks HTTP/2 with prior knowledge.
type http2Upstream struct{ transport *http.Transport }

func newHTTP2Upstream(u *upstream) *http2Upstream {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http2Upstream{&http.Transport{
		Protocols:          &protocols,
		DisableCompression: true,
		IdleConnTimeout:    upstreamIdleTimeout,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := u.take(func() context.Context { return ctx }, http2Preface[0])
			if err != nil {
				return nil, err
			}
			c.shared.Store(true)
			return &prefacedConn{conn: c}, nil
		},
	}}
}

func (u *http2Upstream) close() { u.transport.CloseIdleConnections() }

// prefacedConn is a connection whose first byte may have been sent by a proof.
type prefacedConn struct {
	*conn
	begun atomic.Bool
}

func (c *prefacedConn) Write(p []byte) (int, error) {
	if c.begun.Swap(true) || len(p) == 0 {
		return c.Conn.Write(p)
	}
	if err := c.begin(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// overHTTP2 returns the connections for HTTP/2, which most instances do not have.
func (u *upstream) overHTTP2() *http2Upstream {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.http2 == nil {
		u.http2 = newHTTP2Upstream(u)
	}
	return u.http2
}

// http2Attempt is an attempt over a connection of HTTP/2.
type http2Attempt struct {
	exchange *exchange
	upstream *http2Upstream
	ctx      context.Context
	cancel   context.CancelCauseFunc
	body     *attemptBody // nil: the request has no content
	interim  chan wire.Response
	arrived  chan struct{} // closed when there is a response, or will be none
	res      *http.Response
	err      error
}

func newHTTP2Attempt(x *exchange, u *upstream) *http2Attempt {
	a := &http2Attempt{exchange: x, upstream: u.overHTTP2(), interim: make(chan wire.Response), arrived: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	return a
}

func (a *http2Attempt) send() error {
	if !a.exchange.attach(a) {
		return a.exchange.interruption()
	}
	if a.exchange.content {
		a.exchange.client.setReadDeadline(a.exchange.end)
	}
	req := a.request()
	go a.roundTrip(req)
	return nil
}

// roundTrip is joined by finish.
func (a *http2Attempt) roundTrip(req *http.Request) {
	defer close(a.arrived)
	a.res, a.err = a.upstream.transport.RoundTrip(req)
}

// request is the request of the exchange as the transport knows it.
func (a *http2Attempt) request() *http.Request {
	x := a.exchange
	trace := &httptrace.ClientTrace{Got1xxResponse: a.gotInterim}
	target := "http://instance" + string(x.req.Path) // each instance has its own transport, so that this is only its key
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(a.ctx, trace), x.method, target, nil)
	if err != nil { // what the parser took for a path, and package url does not
		req = (&http.Request{Method: x.method, Header: make(http.Header)}).WithContext(a.ctx)
	}
	req.Host = string(x.req.Host)
	req.Header.Set("User-Agent", "") // the client's, or none
	x.eachPassed(func(f wire.Field) { addField(req.Header, string(f.Name), string(f.Value)) })
	x.eachAdded(func(name, value string) { addField(req.Header, name, value) })
	if x.content {
		a.body = &attemptBody{exchange: x, into: req}
		req.Body, req.ContentLength = a.body, x.req.ContentLength
		req.Trailer = announced(x.req.Fields)
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

func (a *http2Attempt) gotInterim(code int, header textproto.MIMEHeader) error {
	res := wire.Response{Minor: 1, Status: code, Reason: []byte(http.StatusText(code)), Fields: fieldsOf(http.Header(header)), ContentLength: -1}
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
	return nil
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

func (a *http2Attempt) interrupt()     { a.cancel(context.Canceled) }
func (a *http2Attempt) interruptRead() { a.cancel(context.Canceled) }

func (a *http2Attempt) brokeOff(err error) bool { return a.res == nil }

// unseen knows less than HTTP/1 does: one connection is for many requests. The transport itself repeats a request which the
// instance says it has not taken.
func (a *http2Attempt) unseen(err error) bool { return errors.Is(err, errDial) && !a.body.wasTouched() }

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
	a.exchange.detach()
}

// attemptBody lends the content of a request to the transport, which may read it for longer than the attempt lasts.
type attemptBody struct {
	exchange *exchange
	into     *http.Request

	mu      sync.Mutex // held while the content is read
	touched bool
	over    bool
}

func (b *attemptBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0, io.ErrClosedPipe
	}
	b.touched = true
	n, err := b.exchange.readContent(p)
	switch {
	case errors.Is(err, io.EOF):
		for _, f := range withoutOurs(b.exchange.client.trailer()) {
			addField(b.into.Trailer, string(f.Name), string(f.Value))
		}
	case err != nil:
		b.exchange.interrupt(err)
	}
	return n, err
}

// Close does nothing: the content belongs to the client.
func (b *attemptBody) Close() error { return nil }

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
	patience := time.AfterFunc(pumpPatienceIf(whole), b.exchange.client.interruptRead)
	b.mu.Lock()
	defer b.mu.Unlock()
	patience.Stop()
	b.over = true
}

func pumpPatienceIf(whole bool) time.Duration {
	if whole {
		return pumpPatience
	}
	return 0
}
