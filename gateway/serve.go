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
	if refused := x.admit(to); refused != nil {
		x.deny(to, refused)
		return
	}
	x.aim(to)
	began, err := x.hold()
	defer x.dropHeld()
	x.pool.counts.begin(began)
	x.startServing(began)
	if err == nil {
		err = x.forward()
	}
	x.complete(err)
}

// complete ends the request, which was served with an error or without. If another gateway goes on with it, it counts there.
func (x *exchange) complete(err error) {
	if errors.Is(err, errHandedOver) {
		x.pool.leave(time.Now())
		x.lifetime.close()
		return
	}
	aborted := x.answerError(err)
	x.endServing()
	x.finish(aborted)
}

// startServing counts the request as one that the function serves, until endServing is called.
func (x *exchange) startServing(now time.Time) {
	if x.serving = !uncounted[x.path]; x.serving {
		x.function.begin(now)
	}
}

func (x *exchange) endServing() {
	if x.serving {
		x.serving = false
		x.function.end(time.Now())
	}
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
	if x.origin.redirected {
		return destination{}, x.redirect(host)
	}
	return x.proxy.fleet.find(host, x.path)
}

// forward makes attempts until one brings a response.
func (x *exchange) forward() error {
	if x.isTooLarge() {
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
		err = x.reasonOf(err) // before finish, which interrupts what runs
		again := err != nil && x.mayRetry(a, err)
		if !again {
			x.leave(a, err == nil)
			return err
		}
		a.finish(false)
		x.lease.release()
		x.pool.counts.retry()
	}
}

// reasonOf returns why an attempt ended with an error; nil: with none.
func (x *exchange) reasonOf(err error) error {
	if err == nil || errors.Is(err, errHandedOver) { // what ends the request from then on ends it where it is
		return err
	}
	return x.causeOf(err, err)
}

// leave gives the instance back, if that is not done yet: the request is in flight no longer. whole is whether the response was.
func (x *exchange) leave(a attempt, whole bool) {
	if x.left {
		return
	}
	x.left = true
	a.finish(whole)
	x.lease.last = true
	x.lease.release()
	x.endServing()
}

// acquire waits for an instance. If the revision takes no traffic any more, the request follows the route to the one that
// does.
func (x *exchange) acquire() error {
	for {
		asked := time.Now()
		l, err := x.pool.acquire(x.context, x.firstByteToSend(), x.size())
		if err == nil {
			x.lease = l
			if l.wake.took >= x.wake.took {
				x.wake = l.wake
			}
			if l.waited {
				x.queued += time.Since(asked)
			}
			return nil
		}
		if !errors.Is(err, errRerouted) {
			return err
		}
		to, refused := x.find()
		if refused != nil {
			return refused
		}
		now := time.Now()
		x.pool.counts.reroute(now)
		x.choose(to)
		x.pool.counts.begin(now)
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
