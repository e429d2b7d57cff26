package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	// promptContent is the length of a response whose head is not sent before its content: what is so short, and says how
	// long it is, is no stream.
	promptContent = 64 << 10
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
	leftover  bool // the content of the request was not read to its end
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
	x.share = t.pick()
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
		if !a.finish(err == nil) && x.content {
			x.leftover = true
		}
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
		x.share = t.pick()
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

// relay sends the client what the instance answers.
func (x *exchange) relay(a attempt) error {
	deadline := x.bounded(x.share.responseStart)
	for {
		if err := a.receive(&x.res, deadline); err != nil {
			return x.explain(err, errNoAnswer)
		}
		x.lease.answered.Store(true)
		if x.res.Status >= 200 || x.res.Status == http.StatusSwitchingProtocols {
			break
		}
		if err := x.client.inform(&x.res); err != nil {
			return errClientGone
		}
	}
	x.code = x.res.Status
	x.firstByte = time.Since(x.began)
	if x.code == http.StatusSwitchingProtocols {
		return x.tunnel(a)
	}
	framing := x.res.Framing([]byte(x.method))
	x.respond(answer{status: x.code, reason: x.res.Reason, fields: x.res.Fields, framing: framing, length: x.res.ContentLength})
	if framing.IsNone() {
		return x.sentAll(x.client.finish(nil))
	}
	if isEventStream(x.res.Fields) {
		defer x.lease.stream(x)()
	}
	return x.copy(a, framing)
}

func (x *exchange) respond(head answer) {
	x.head = head
	x.head.id, x.head.cold = x.id, x.cold
	x.mu.Lock()
	x.responded = true
	x.mu.Unlock()
	x.client.respond(&x.head)
}

// copy sends the content of the response as it comes.
func (x *exchange) copy(a attempt, framing wire.Framing) error {
	buf := x.gateway.buffers.get()
	defer x.gateway.buffers.put(buf)
	length, known := framing.Length()
	prompt := known && length <= promptContent
	for {
		if !prompt && x.share.idle <= 0 && x.client.splices() {
			if err := x.splice(a); err != nil {
				return err
			}
		}
		if !a.ready() && !prompt {
			if err := x.client.flush(); err != nil {
				return errClientGone
			}
		}
		n, err := a.read(buf[wire.ChunkRoom:len(buf)-2], x.bounded(x.share.idle))
		if n > 0 {
			prompt = false
			x.sent += int64(n)
			if err := x.client.write(buf[:], n); err != nil {
				return errClientGone
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return x.sentAll(x.client.finish(a.trailer()))
		case err != nil && x.wasConcluded():
			return x.sentAll(x.client.finish(nil))
		case err != nil:
			return x.explain(err, errSilent)
		}
	}
}

// splice sends what is left of large content without looking at it. What ends it early is found out by what is read next.
func (x *exchange) splice(a attempt) error {
	from, n := a.direct(x.end)
	if n <= promptContent {
		return nil
	}
	sent, err := x.client.splice(from, n)
	a.took(sent)
	x.sent += sent
	if err != nil && x.interruption() == nil && !errors.Is(err, os.ErrDeadlineExceeded) && !a.isOver() {
		return errClientGone
	}
	if err != nil {
		return x.explain(err, errSilent)
	}
	return nil
}

func (x *exchange) sentAll(err error) error {
	if err != nil {
		return errClientGone
	}
	return nil
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

// explain says why something ended with an error, which may be the result of an interruption, or of a time that is over.
func (x *exchange) explain(err, slow error) error {
	if cause := x.interruption(); cause != nil {
		return cause
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		if time.Now().Before(x.end) {
			return slow
		}
		return errTimeout
	}
	return err
}

// failed judges an attempt that brought no response, and says whether to make another one.
func (x *exchange) failed(a attempt, err error) (again bool) {
	if x.hasResponded() || x.interruption() != nil || isClientsFault(err) || errors.Is(err, errTimeout) || errors.Is(err, errNoAnswer) {
		return false // not the instance's fault, or seen by the client
	}
	if a.brokeOff(err) {
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

// settle sees to it that a request which ended with an error is answered or broken off, and says why it was.
func (x *exchange) settle(err error) (why abortion) {
	if err == nil {
		return ""
	}
	if cause := x.interruption(); cause != nil {
		err = cause
	}
	if errors.Is(err, errClientGone) {
		x.code = statusClientGone
		x.client.abort()
		return abortedByClient
	}
	if x.hasResponded() {
		x.client.abort()
		return reasonOf(err)
	}
	x.refuse(err)
	return ""
}

// refuse answers a request that got no response.
func (x *exchange) refuse(err error) {
	r := refusalOf(err, x.function.name)
	x.code = r.code
	level := slog.LevelDebug
	if r.code == http.StatusBadGateway {
		level = slog.LevelWarn
	}
	x.gateway.log.Log(context.Background(), level, "request refused", "function", x.function.name, "revision", x.pool.revision.String(),
		"request_id", x.id, "code", r.code, "err", err)
	x.tell(r)
}

// tell sends an answer of the gateway itself.
func (x *exchange) tell(r *refusal) {
	content := r.text + "\n"
	x.code = r.code
	x.respond(answer{status: r.code, reason: []byte(http.StatusText(r.code)), fields: r.fields(), framing: wire.Length(int64(len(content))), length: int64(len(content))})
	if x.method != http.MethodHead {
		buf := x.gateway.buffers.get()
		defer x.gateway.buffers.put(buf)
		x.sent = int64(copy(buf[wire.ChunkRoom:len(buf)-2], content))
		if x.client.write(buf[:], int(x.sent)) != nil {
			return
		}
	}
	_ = x.client.finish(nil) // who does not read it has gone
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
