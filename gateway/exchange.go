package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// maxResends bounds how often a request is sent again that an instance got and did not read. A connection that could
	// not be made does not count: the request waits until one can, or its time is over.
	maxResends = 3
	// maxResponseHead bounds what an instance may send before the content of a response.
	maxResponseHead = 256 << 10
)

// exchange is one request and its response. A connection uses one for all its requests, one after the other.
type exchange struct {
	gateway *Gateway
	client  client
	origin  *origin
	http1   http1Attempt
	res     wire.Response
	head    answer
	access  Access
	request

	mu sync.Mutex
	interruptible
}

// request is what is known of the request at hand.
type request struct {
	req     *wire.Request // its fields are there until its content is read
	host    string
	id      string
	method  string
	path    string // without the query
	content bool   // it has some
	chunked bool   // its content is sent on in chunks
	upgrade bool   // it may become a tunnel
	began   time.Time
	end     time.Time // when its time is over

	function *function
	share    share
	pool     *pool
	lease    *lease
	cold     time.Duration
	queued   time.Duration
	resends  int

	code      int
	firstByte time.Duration
	sent      int64
	cookie    string // that the client is given to stick by
}

// interruptible is what other goroutines may touch. The exchange's mutex guards it.
type interruptible struct {
	over      bool
	responded bool  // the client has got something
	cause     error // of the interruption
	cancel    context.CancelCauseFunc
	attempt   attempt
	concluded bool
	received  int64
}

// begin takes on the next request.
func (x *exchange) begin(req *wire.Request) {
	x.http1.message = x.http1.message[:0]
	x.request = request{
		req: req, began: time.Now(), method: methodName(req.Method), path: pathOf(req.Path),
		id: requestID(req.Fields), content: req.HasBody(), chunked: req.Chunked, upgrade: upgrades(req),
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.interruptible = interruptible{}
}

// serve sends the request to an instance of the target and its response to the client.
func (x *exchange) serve(t *target) {
	x.share = t.pick(x)
	x.function, x.pool = t.function, x.share.pool
	x.end = x.began.Add(x.share.timeout)
	x.pool.arrive(x.began)
	counted := !uncounted[x.path]
	if counted {
		x.function.begin(x.began)
	}
	why := x.settle(x.run())
	if counted {
		x.function.end(time.Now())
	}
	x.finish(why)
}

// run makes attempts until one brings a response.
func (x *exchange) run() error {
	if most := x.share.maxBody; most > 0 && x.req.ContentLength > most {
		return errBodyTooLarge
	}
	for {
		if err := x.acquire(); err != nil {
			return err
		}
		a := x.prepare()
		err := a.send()
		if err == nil {
			err = x.relay(a)
		}
		again := err != nil && x.failed(a, err)
		a.finish(err == nil)
		x.lease.release()
		if !again {
			return err
		}
		x.pool.retried()
	}
}

// acquire waits for an instance. If the revision takes no traffic any more, it follows the route to the one that does.
func (x *exchange) acquire() error {
	for {
		asked := time.Now()
		l, err := x.pool.acquire(x.context, x.firstByteToSend(), x.size())
		if err == nil {
			x.lease = l
			x.cold = max(x.cold, l.cold)
			if l.waited {
				x.queued += time.Since(asked)
			}
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
		x.share = t.pick(x)
		x.pool = x.share.pool
		x.pool.arrive(now)
	}
}

// firstByteToSend is what the connection to an instance begins with.
func (x *exchange) firstByteToSend() byte {
	if x.share.http2 {
		return http2Preface[0]
	}
	return x.method[0]
}

// size is about what memory the request needs while it waits.
func (x *exchange) size() int64 {
	size := int64(headRoom)
	for _, f := range x.req.Fields {
		size += int64(len(f.Name) + len(f.Value))
	}
	return size
}

// prepare makes an attempt with the instance that was acquired.
func (x *exchange) prepare() attempt {
	if x.share.http2 {
		return newHTTP2Attempt(x, x.lease.instance.upstream)
	}
	a := &x.http1
	a.exchange, a.upstream = x, x.lease.instance.upstream
	if len(a.message) == 0 {
		a.message = x.appendRequest(a.message)
		a.message, a.whole = x.client.takeContent(a.message)
		if a.whole && x.req.ContentLength > 0 {
			x.receive(x.req.ContentLength)
		}
	}
	return a
}

// until is when the client must have taken the response. A moment is left to tell it that its time is over.
func (x *exchange) until() time.Time {
	if x.end.IsZero() {
		return time.Now().Add(lingerTime)
	}
	return x.end.Add(lingerTime)
}

// bounded is the end of a wait that has a limit of its own besides the request's.
func (x *exchange) bounded(limit time.Duration) time.Time {
	if limit <= 0 {
		return x.end
	}
	if own := time.Now().Add(limit); own.Before(x.end) {
		return own
	}
	return x.end
}

// finish counts.
func (x *exchange) finish(why abortion) {
	now := time.Now()
	if why == abortedByUpstream {
		x.lease.strike()
	}
	if x.cold > 0 {
		x.function.coldStart().Observe(x.cold.Seconds())
	}
	if x.queued > 0 {
		x.function.queueTime().Observe(x.queued.Seconds())
	}
	if x.firstByte > 0 {
		x.function.firstByte().Observe(x.firstByte.Seconds())
	}
	if x.code != http.StatusSwitchingProtocols {
		x.function.duration().Observe(now.Sub(x.began).Seconds())
	}
	x.pool.finish(now, x, why)
	x.record(now, why)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if x.cancel != nil {
		x.cancel(nil)
	}
}

// record tells the access log.
func (x *exchange) record(now time.Time, why abortion) {
	log := x.gateway.cfg.AccessLog
	if log == nil {
		return
	}
	x.access = Access{
		At: x.began, Method: x.method, Host: x.host, Path: x.path, Protocol: x.origin.protocol, Status: x.code,
		Duration: now.Sub(x.began), Queued: x.queued, FirstByte: x.firstByte, Cold: x.cold,
		RequestID: x.id, Peer: x.origin.peer, Received: x.receive(0), Sent: x.sent, Aborted: string(why), Retries: x.resends,
	}
	if x.function != nil {
		x.access.Function, x.access.Revision = x.function.name, x.pool.name
	}
	if x.lease != nil {
		x.access.Instance = x.lease.instance.name
	}
	log.Record(&x.access)
}

// readContent reads what the client sends, as far as the function takes it.
func (x *exchange) readContent(p []byte) (int, error) {
	n, err := x.client.Read(p)
	if most, total := x.share.maxBody, x.receive(int64(n)); most > 0 && total > most {
		return 0, errBodyTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := x.interruption(); cause != nil {
			return 0, cause
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, errTimeout
		}
		return 0, fmt.Errorf("%w: %w", errRequestBody, err)
	}
	return n, err
}

// receive counts content of the request.
func (x *exchange) receive(n int64) (total int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.received += n
	return x.received
}
