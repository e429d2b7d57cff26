package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/fnctl/fnctl/gateway/grpc"
	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// proxy is what all exchanges share.
type proxy struct {
	fleet     *fleet
	buffers   *netio.Buffers
	metrics   *metrics
	via       via
	toTLS     toTLS
	rate      netio.Rate // the least one of a client
	tunnels   recent[*tunnel]
	accessLog AccessLog // may be nil
	log       *slog.Logger
}

// newPace measures a client, unless there is no least rate.
func (p *proxy) newPace(moved func() int64, tooSlow func()) *netio.Pace {
	return netio.NewPace(p.rate, moved, tooSlow)
}

// exchange is one request and its response. A connection uses one for all its requests, one after the other.
type exchange struct {
	proxy *proxy
	request
	routing
	responseSent
	delivered download
	stall     netio.Stall // of the client when the response is written
	http1     http1Attempt
	res       wire.Response
	head      answer
	access    Access
}

// routing is where the request goes.
type routing struct {
	function *function // nil: the request reached none
	share    share
	pool     *pool
	lease    *lease // nil: no instance was lent yet
	wake     wake   // the longest for which it has waited
	queued   time.Duration
	resends  int
	serving  bool // it counts as serving
	left     bool // the instance, which is not needed for what the client has yet to get
}

// responseSent is what the client has got of the response.
type responseSent struct {
	code      int
	firstByte time.Duration
	sent      int64
	cookie    string // that the client is given to stick by
}

// begin takes on the next request of the client.
func (x *exchange) begin(req *wire.Request) {
	x.request.begin(req)
	x.routing, x.responseSent = routing{}, responseSent{}
	x.stall.Reset()
}

// forget drops what the exchange points to, so that it can be kept.
func (x *exchange) forget() {
	x.request.forget()
	x.routing, x.responseSent = routing{}, responseSent{}
	x.head, x.access = answer{}, Access{}
}

// setCookie implements stickyRequest.
func (x *exchange) setCookie(cookie string) { x.cookie = cookie }

// choose makes a revision of the destination the one that gets the request.
func (x *exchange) choose(to destination) {
	x.share = to.pick(x)
	x.prefix = to.prefix()
	x.pool, x.maxContent = x.share.pool, x.share.maxContent
}

// aim makes a destination the one of the request, and its time that which the request has.
func (x *exchange) aim(to destination) {
	x.function = to.function
	x.choose(to)
	x.end = x.began.Add(x.share.timeout)
}

// respond begins the response.
func (x *exchange) respond(head answer) {
	x.head = head
	x.head.id, x.head.wake, x.head.cookie = x.id, x.wake, x.cookie
	if x.entry != nil {
		x.head.fields = x.entry.AppendFields(head.fields[:len(head.fields):len(head.fields)], head.fields)
	}
	x.lifetime.respond()
	x.client.respond(&x.head)
}

// reject counts and answers what reaches no function.
func (x *exchange) reject(r *refusal) {
	x.proxy.metrics.refused(r.code)
	x.refuse(r)
}

// refuse sends an answer of the gateway itself.
func (x *exchange) refuse(r *refusal) {
	x.code = r.code
	if grpc.IsCall(values(x.req.Fields, "content-type")) {
		timeout, bounded := grpc.Timeout(values(x.req.Fields, "grpc-timeout"))
		x.respond(r.inGRPC(bounded && time.Since(x.began) >= timeout))
		_ = x.client.finish(nil)
		return
	}
	content := r.content()
	x.respond(answer{status: r.code, reason: []byte(http.StatusText(r.code)), fields: r.fields(), framing: wire.Length(int64(len(content))), length: int64(len(content))})
	if x.method != http.MethodHead {
		buf := x.buffers.Get()
		defer x.buffers.Put(buf)
		x.sent = int64(copy(buf[wire.ChunkRoom:len(buf)-2], content))
		if x.client.write(buf[:], int(x.sent)) != nil {
			return
		}
	}
	_ = x.client.finish(nil) // a client that does not read it has gone
}

// answerError answers a request that ended with an error, or breaks its response off, and returns why it did.
func (x *exchange) answerError(err error) abortion {
	if err == nil {
		return ""
	}
	if errors.Is(err, errClientGone) {
		x.code = statusClientGone
		x.client.abort()
		return abortedByClient
	}
	if x.hasResponded() {
		if x.sent > 0 || !x.client.retract() {
			if errors.Is(err, errSlowReader) {
				x.tell("response cut", x.code, err)
			}
			x.client.abort()
			return abortionOf(err)
		}
		if abortionOf(err) == abortedByUpstream {
			x.lease.strike()
		}
	}
	r := refusalOf(err, x.function.name)
	x.tell("request refused", r.code, err)
	x.refuse(r)
	return ""
}

// tell tells the operator why a request was not answered as the app would, within bounds. For them it is news if the app breaks off or
// answers badly, or if the gateway has cut a client that may have been of use.
func (x *exchange) tell(what string, code int, err error) {
	level := slog.LevelDebug
	isNews := code == http.StatusBadGateway || errors.Is(err, errSlowContent) || errors.Is(err, errSlowReader)
	if isNews && x.function.warn(time.Now()) {
		level = slog.LevelWarn
	}
	x.proxy.log.Log(context.Background(), level, what, "function", x.function.name, "revision", x.pool.revision.String(),
		"request_id", x.id, "code", code, "err", err)
}

// finish counts the request, which has ended, and why it broke off if it did.
func (x *exchange) finish(aborted abortion) {
	now := time.Now()
	if aborted == abortedByUpstream {
		x.lease.strike()
	}
	if cold := x.wake.coldStart(); cold > 0 {
		x.function.coldStart().Observe(cold.Seconds())
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
	x.pool.counts.end(now, outcome{code: x.code, aborted: aborted, left: x.left, received: x.received.Load(), sent: x.sent})
	x.record(now, aborted)
	x.pace.Stop()
	x.lifetime.close()
}

// record writes the request to the access log.
func (x *exchange) record(now time.Time, aborted abortion) {
	log := x.proxy.accessLog
	if log == nil {
		return
	}
	x.access = Access{
		At: x.began, Method: x.method, Host: x.host, Path: x.path, Protocol: x.origin.protocol, Status: x.code,
		Duration: now.Sub(x.began), Queued: x.queued, FirstByte: x.firstByte, Cold: x.wake.coldStart(),
		RequestID: x.id, Peer: x.sender.client, Received: x.received.Load(), Sent: x.sent, Aborted: string(aborted), Retries: x.resends,
	}
	if x.function != nil {
		x.access.Function = x.function.name
	}
	if x.pool != nil {
		x.access.Revision = x.pool.name
	}
	if x.lease != nil {
		x.access.Instance = x.lease.instance.name
	}
	log.Record(&x.access)
}
