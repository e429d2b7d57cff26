package gateway

import (
	"errors"
	"net/http"
	"time"
)

// maxResends bounds how often a request is sent again that an instance got and did not read. A connection that could not be
// made does not count: the request waits until one can, or its time is over.
const maxResends = 3

// serve answers the request, which begin has taken on: it sends the request to an instance and the response to the client.
func (x *exchange) serve() {
	to, refused := x.route()
	if refused != nil {
		x.reject(refused)
		x.record(time.Now(), "")
		return
	}
	x.function = to.function
	x.arrive(to, x.began)
	x.end = x.began.Add(x.share.timeout)
	counted := !uncounted[x.path]
	if counted {
		x.function.begin(x.began)
	}
	aborted := x.answerError(x.forward())
	if counted {
		x.function.end(time.Now())
	}
	x.finish(aborted)
}

// route finds the function of the request.
func (x *exchange) route() (destination, *refusal) {
	if x.method == http.MethodConnect {
		return destination{}, noTunnel()
	}
	if !isPath(x.method, x.req.Path) { // HTTP/2 lets everything be one
		return destination{}, badPath()
	}
	host, ok := parseHost(x.origin.lastHost(x.req.Host))
	if !ok {
		return destination{}, badHost()
	}
	x.host, x.via = host, x.proxy.via.element[x.origin.protocol]
	if x.proxy.via.passes(x.req.Fields) >= maxPasses {
		return destination{}, looping(host)
	}
	return x.proxy.fleet.find(host, x.path)
}

// forward makes attempts until one brings a response.
func (x *exchange) forward() error {
	if x.maxContent > 0 && x.req.ContentLength > x.maxContent {
		return errContentTooLarge
	}
	for {
		if err := x.acquire(); err != nil {
			return err
		}
		a := x.newAttempt()
		err := a.send()
		if err == nil {
			err = x.relay(a)
		}
		again := err != nil && x.mayRetry(a, err)
		a.finish(err == nil)
		x.lease.release()
		if !again {
			return err
		}
		x.pool.retry()
	}
}

// acquire waits for an instance. If the revision takes no traffic any more, the request follows the route to the one that
// does.
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
		to, refused := x.proxy.fleet.find(x.host, x.path)
		if refused != nil {
			return refused
		}
		now := time.Now()
		x.pool.reroute(now)
		x.arrive(to, now)
	}
}

// firstByteToSend is what the connection to an instance begins with.
func (x *exchange) firstByteToSend() byte {
	if x.share.http2 {
		return http2Preface[0]
	}
	return x.method[0]
}

// newAttempt makes an attempt with the instance that was lent.
func (x *exchange) newAttempt() attempt {
	if x.share.http2 {
		return newHTTP2Attempt(&x.request, &x.lease.delivery, x.lease.instance.upstream)
	}
	x.http1.prepare(&x.request, &x.lease.delivery, x.lease.instance.upstream)
	return &x.http1
}

// mayRetry reports whether to make another attempt after one that brought no response.
func (x *exchange) mayRetry(a attempt, err error) bool {
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
