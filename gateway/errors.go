package gateway

import (
	"errors"
	"fmt"
)

// Errors of what the client sends, or does not read.
var (
	// errClientGone ends a request whose client went away.
	errClientGone = errors.New("the client went away")
	// errReadContent is wrapped by errors of reading what the client sends.
	errReadContent = errors.New("read the content of the request")
	// errLateContent ends a request whose content the client did not send in time.
	errLateContent = fmt.Errorf("%w: it took too long", errReadContent)
	// errSlowContent ends a request whose client sends its content more slowly than the least rate, and errSlowReader one whose client takes
	// the response so, while the instance waits for nothing else.
	errSlowContent = fmt.Errorf("%w: the client sends it more slowly than gateway.min_rate", errReadContent)
	errSlowReader  = errors.New("the client takes the response more slowly than gateway.min_rate")
	// errContentTooLarge ends a request with more content than its function takes.
	errContentTooLarge = errors.New("the content of the request is too large")
)

// Errors of a request that gets no instance.
var (
	// errQueueFull refuses a request because too many are held already.
	errQueueFull = errors.New("too many requests wait for this function")
	// errRerouted sends a request back to the routing table: its revision has no traffic any more and nothing to serve it.
	errRerouted = errors.New("the revision takes no traffic any more")
)

// Errors of the instance.
var (
	// errDial is wrapped by the error of a connection that could not be made: nothing was sent.
	errDial = errors.New("connect to the instance")
	// errPreface is wrapped by the error of a connection of HTTP/2 whose instance got less than the preface: it has seen no request.
	errPreface = errors.New("begin to speak HTTP/2 with the instance")
	// errUntaken is wrapped by the error of a request in HTTP/2 which the instance has not taken, as it says.
	errUntaken = errors.New("the instance has not taken the request")
	// errEnded is an errDial, too: the instance has just closed a connection. Its process may be gone, and its socket takes
	// connections all the same, from which nothing would be read.
	errEnded = fmt.Errorf("%w: it has closed one that was idle", errDial)
	// errUnquiet is an errDial, too: the instance has sent something over a connection that was idle, which cannot be used.
	errUnquiet = fmt.Errorf("%w: it has sent something that was not asked for", errDial)
	// errResponseHead ends a response with a head that an app cannot mean.
	errResponseHead = errors.New("the head of the response is too long")
	// errUnasked ends a response that switches to a protocol for which the request did not ask.
	errUnasked = errors.New("the app switched to a protocol that was not asked for")
)

// Errors of time.
var (
	// errTimeout ends a request that took longer than its function allows.
	errTimeout = errors.New("the request took too long")
	// errNoAnswer ends a request whose response did not begin in time.
	errNoAnswer = errors.New("the app did not begin to answer")
	// errSilent ends a response that did not go on in time.
	errSilent = errors.New("the app fell silent")
	// errShutdown ends the requests that are left when the gateway's drain is over.
	errShutdown = errors.New("the gateway stops")
)

// Errors of tunnels that go on elsewhere.
var (
	// errParked ends one direction of a tunnel, where it is, so that another gateway can go on.
	errParked = errors.New("the tunnel is parked")
	// errHandedOver ends a tunnel that another gateway has taken. It is counted there.
	errHandedOver = errors.New("another gateway has the tunnel")
)

// isClientsFault reports whether the client is the reason of an error.
func isClientsFault(err error) bool {
	return errors.Is(err, errReadContent) || errors.Is(err, errContentTooLarge) || errors.Is(err, errClientGone) || errors.Is(err, errSlowReader)
}
