package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

const headerColdStart = "Fnctl-Cold-Start"

// maxResends bounds how often a request is sent again that an instance got and did not read. A connection that could not
// be made does not count: the request waits until one can, or its time is over.
const maxResends = 3

// exchange is one request and its response.
type exchange struct {
	gateway *Gateway
	in      *http.Request // as the client sent it; its context ends with the client
	host    string
	id      string // of the request
	began   time.Time

	function *function
	pool     *pool
	lease    *lease
	cold     time.Duration
	body     *responseBody
	resends  int

	code     int
	complete bool // the handler came to its end: nothing was broken off
}

// serve sends the request to an instance of the target and its response to the client.
func (x *exchange) serve(w http.ResponseWriter, t *target) {
	share := t.pick()
	x.function, x.pool = t.function, share.pool
	ctx, cancel := context.WithTimeoutCause(x.in.Context(), share.timeout, errTimeout)
	defer cancel()
	x.pool.arrive(x.began)
	if counted := !uncounted[x.in.URL.Path]; counted {
		t.function.begin(x.began)
		defer func() { t.function.end(time.Now()) }()
	}
	defer x.finish(ctx)
	x.limit(w, share.timeout)
	proxy := httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      x,
		ModifyResponse: x.modify,
		ErrorHandler:   x.fail,
		FlushInterval:  -1,
		BufferPool:     x.gateway.buffers,
		ErrorLog:       x.gateway.serverLog,
	}
	proxy.ServeHTTP(w, x.in.WithContext(ctx))
	x.complete = true
}

// limit sees to it that a client which neither sends nor reads cannot keep the request longer than its timeout. A moment
// is left to tell it so.
func (x *exchange) limit(w http.ResponseWriter, timeout time.Duration) {
	control := http.NewResponseController(w)
	end := x.began.Add(timeout + time.Second)
	// An engine without deadlines would be no reason to refuse the request.
	_ = control.SetWriteDeadline(end)
	if x.in.ContentLength != 0 {
		_ = control.SetReadDeadline(end)
		_ = control.EnableFullDuplex() // an app may answer while it reads
	}
}

// rewrite makes the request that the instance gets of the one that the client sent.
func (x *exchange) rewrite(r *httputil.ProxyRequest) {
	out := r.Out
	for name := range out.Header {
		if isOurs(name) {
			delete(out.Header, name)
		}
	}
	r.SetXForwarded()
	out.URL.Scheme = "http"
	out.URL.Host = "instance" // each instance has its own transport; this is only its key
	out.URL.RawQuery = r.In.URL.RawQuery
	out.Trailer = r.In.Trailer // filled in when the body has been read
	out.Header[headerRequestID] = []string{x.id}
}

// isOurs says whether a header is for the gateway to set, and not for the outside. Apps that know headers as CGI variables
// cannot tell an underscore from a hyphen.
func isOurs(name string) bool {
	name = strings.ReplaceAll(name, "_", "-")
	for _, prefix := range []string{"Fnctl-", "X-Forwarded-", headerRequestID} {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// RoundTrip sends the request to an instance, and to another one as long as none has seen it.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		if err := x.acquire(req); err != nil {
			return nil, err
		}
		var a attempt
		res, err := a.send(x.lease.instance.upstream, req)
		if err == nil {
			return res, nil
		}
		again := x.failed(req.Context(), &a, err)
		x.lease.release()
		x.lease = nil
		if !again {
			if a.body != nil && a.body.failure() != nil {
				err = a.body.failure()
			}
			return nil, err
		}
		x.pool.retried()
	}
}

// acquire waits for an instance. If the revision takes no traffic any more, it follows the route to the one that does.
func (x *exchange) acquire(req *http.Request) error {
	for {
		l, err := x.pool.acquire(req.Context(), req.Method[0])
		if err == nil {
			x.lease = l
			x.cold = max(x.cold, l.cold)
			return nil
		}
		if !errors.Is(err, errRerouted) {
			return err
		}
		t, refused := x.gateway.fleet.find(x.host)
		if refused != nil {
			return refused
		}
		now := time.Now()
		x.pool.depart(now)
		x.pool = t.pick().pool
		x.pool.arrive(now)
	}
}

// failed judges an attempt that brought no response, and says whether to make another one.
func (x *exchange) failed(ctx context.Context, a *attempt, err error) (again bool) {
	if ctx.Err() != nil || a.body != nil && a.body.failure() != nil {
		return false // not the instance's fault
	}
	if a.brokenOff(err) {
		x.lease.strike()
	}
	if !a.unseen(err) {
		return false
	}
	if !errors.Is(err, errDial) {
		x.resends++
	}
	return x.resends <= maxResends
}

// modify completes the head of the response.
func (x *exchange) modify(res *http.Response) error {
	x.code = res.StatusCode
	res.Header.Set(headerRequestID, x.id)
	if x.cold > 0 {
		res.Header.Set(headerColdStart, fmt.Sprintf("%dms", x.cold.Milliseconds()))
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		x.body = &responseBody{ReadCloser: res.Body}
		res.Body = x.body
		if x.gateway.clients.stopping.Load() {
			res.Header.Set("Connection", "close")
		}
	}
	return nil
}

// fail answers a request that got no response.
func (x *exchange) fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if x.clientGone() {
		panic(http.ErrAbortHandler)
	}
	refusal := refusalOf(err, x.function.name)
	x.code = refusal.code
	level := slog.LevelDebug
	if refusal.code == http.StatusBadGateway {
		level = slog.LevelWarn
	}
	x.gateway.log.Log(ctx, level, "request refused", "function", x.function.name, "revision", x.pool.revision.String(),
		"request_id", x.id, "code", refusal.code, "err", err)
	refusal.write(w, x.id)
}

// clientGone says whether the client gave up, which no instance and no timeout is to blame for.
func (x *exchange) clientGone() bool {
	ctx := x.in.Context()
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), errShutdown)
}

// finish counts. It is called also if the handler panics, which is how a response is broken off.
func (x *exchange) finish(ctx context.Context) {
	now := time.Now()
	var why abortion
	if !x.complete {
		why = x.reason(ctx)
	}
	if why == abortedByClient {
		x.code = statusClientGone
	}
	if x.lease != nil {
		if why == abortedByUpstream {
			x.lease.strike()
		}
		x.lease.release()
	}
	if x.cold > 0 {
		x.function.coldStart().Observe(x.cold.Seconds())
	}
	if x.code != http.StatusSwitchingProtocols {
		x.function.duration().Observe(now.Sub(x.began).Seconds())
	}
	x.pool.finish(now, x.code, why)
}

// reason finds out who broke off a response.
func (x *exchange) reason(ctx context.Context) abortion {
	switch {
	case x.clientGone():
		return abortedByClient
	case errors.Is(context.Cause(ctx), errShutdown):
		return abortedByShutdown
	case ctx.Err() != nil:
		return abortedByTimeout
	case x.body != nil && x.body.err != nil:
		return abortedByUpstream
	default:
		return abortedByClient // what could not be done was to write
	}
}
