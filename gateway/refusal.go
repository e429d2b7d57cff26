package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/fnctl/fnctl/gateway/wire"
)

// statusClientGone is the code that is counted when the client went away. It is never sent.
const statusClientGone = 499

// refusal is an answer of the gateway itself: one line that a person can act on.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

func badHost() *refusal {
	return &refusal{http.StatusBadRequest, "the Host header is not a host name"}
}

func badPath() *refusal {
	return &refusal{http.StatusBadRequest, "the path of the request must begin with a slash"}
}

func noFunction(host string) *refusal {
	return &refusal{http.StatusNotFound, fmt.Sprintf("no function is reached at %s: see fnctl list", host)}
}

func looping(host string) *refusal {
	return &refusal{http.StatusLoopDetected, fmt.Sprintf("the request comes back again and again: what is reached at %s sends it on to itself", host)}
}

func noTag(function, label string) *refusal {
	if strings.Trim(label, "0123456789") == "" {
		return &refusal{http.StatusNotFound, fmt.Sprintf("revision %s of %s has neither traffic nor a tag: fnctl traffic %s --tag TAG=%s", label, function, function, label)}
	}
	return &refusal{http.StatusNotFound, fmt.Sprintf("%s has no tag %s: see fnctl traffic %s", function, label, function)}
}

func badRoute(function string) *refusal {
	return &refusal{http.StatusServiceUnavailable, fmt.Sprintf("the route of %s cannot be read: see journalctl -u fnctl-gateway", function)}
}

func paused(function string) *refusal {
	return &refusal{http.StatusServiceUnavailable, fmt.Sprintf("%s is paused: try again later", function)}
}

func noTunnel() *refusal {
	return &refusal{http.StatusMethodNotAllowed, "CONNECT is not allowed: this is not a forward proxy"}
}

func malformed(err error) *refusal {
	var wrong *wire.Error
	if !errors.As(err, &wrong) {
		return &refusal{http.StatusBadRequest, "the request cannot be read"}
	}
	return &refusal{wrong.Status, "the request cannot be read: " + wrong.Text}
}

func headTooLarge() *refusal {
	return &refusal{http.StatusRequestHeaderFieldsTooLarge, "the head of the request is too large"}
}

func headTooLate() *refusal {
	return &refusal{http.StatusRequestTimeout, "the head of the request took too long"}
}

func tooManyConnections() *refusal {
	return &refusal{http.StatusServiceUnavailable, "too many connections: try again"}
}

func tooManyOfAddress() *refusal {
	return &refusal{http.StatusTooManyRequests, "too many connections from this address"}
}

func tooManyRequests() *refusal {
	return &refusal{http.StatusServiceUnavailable, "too many requests at once: try again"}
}

func tooManyRequestsOfAddress() *refusal {
	return &refusal{http.StatusTooManyRequests, "too many requests at once from this address"}
}

func cannotStart(function, reason string) *refusal {
	return &refusal{http.StatusServiceUnavailable, fmt.Sprintf("%s cannot start: %s; see fnctl logs %s", function, reason, function)}
}

// refusalOf is the answer to a request that ended with an error before it got a response.
func refusalOf(err error, function string) *refusal {
	if own := (*refusal)(nil); errors.As(err, &own) {
		return own
	}
	var malformed *wire.Error
	switch {
	case errors.Is(err, errTimeout):
		return &refusal{http.StatusGatewayTimeout, "The upstream server is timing out"}
	case errors.Is(err, errNoAnswer), errors.Is(err, errSilent):
		return &refusal{http.StatusGatewayTimeout, "the app did not begin to answer in time: see fnctl logs " + function}
	case errors.Is(err, errContentTooLarge):
		return &refusal{http.StatusRequestEntityTooLarge, "the content of the request is larger than " + function + " takes"}
	case errors.Is(err, errQueueFull):
		return &refusal{http.StatusServiceUnavailable, "too many requests wait for an instance of " + function + ": try again"}
	case errors.Is(err, errShutdown):
		return &refusal{http.StatusServiceUnavailable, "the gateway restarts: try again"}
	case errors.Is(err, errLateContent):
		return &refusal{http.StatusRequestTimeout, "the content of the request took too long"}
	case errors.Is(err, errReadContent):
		return &refusal{http.StatusBadRequest, "the body of the request cannot be read"}
	case errors.As(err, &malformed), errors.Is(err, errResponseHead), errors.Is(err, errUnasked):
		// The reason, which is of what the app is made, is for the log.
		return &refusal{http.StatusBadGateway, "the app's answer cannot be passed on: see fnctl logs " + function}
	default:
		return &refusal{http.StatusBadGateway, "the instance broke off before it answered: see fnctl logs " + function}
	}
}

// fields are those of the answer, without its length.
func (r *refusal) fields() []wire.Field {
	fields := []wire.Field{
		{Name: []byte("Content-Type"), Value: []byte("text/plain; charset=utf-8")},
		{Name: []byte("X-Content-Type-Options"), Value: []byte("nosniff")},
	}
	if r.code == http.StatusServiceUnavailable || r.code == http.StatusTooManyRequests {
		fields = append(fields, wire.Field{Name: []byte("Retry-After"), Value: []byte("1")})
	}
	return fields
}
