package gateway

import (
	"errors"
	"fmt"
	"net/http"
)

// statusClientGone is what is counted when the client went away. It is never sent.
const statusClientGone = 499

var (
	// errTimeout ends a request that took longer than its function allows.
	errTimeout = errors.New("the request took too long")
	// errShutdown ends the requests that are left when the gateway's drain is over.
	errShutdown = errors.New("the gateway stops")
)

// refusal is an answer of the gateway itself: one line that a person can act on.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

func badHost() *refusal {
	return &refusal{http.StatusBadRequest, "the Host header is not a host name"}
}

func noFunction(host string) *refusal {
	return &refusal{http.StatusNotFound, fmt.Sprintf("no function is reached at %s: see fnctl list", host)}
}

func badRoute(function string) *refusal {
	return &refusal{http.StatusServiceUnavailable, fmt.Sprintf("the route of %s cannot be read: see journalctl -u fnctl-gateway", function)}
}

func noTunnel() *refusal {
	return &refusal{http.StatusMethodNotAllowed, "CONNECT is not allowed: this is not a forward proxy"}
}

// refusalOf translates an error into what the client is told.
func refusalOf(err error, function string) *refusal {
	if own := (*refusal)(nil); errors.As(err, &own) {
		return own
	}
	switch {
	case errors.Is(err, errTimeout):
		return &refusal{http.StatusGatewayTimeout, "The upstream server is timing out"}
	case errors.Is(err, errQueueFull):
		return &refusal{http.StatusServiceUnavailable, "too many requests wait for an instance of " + function + ": try again"}
	case errors.Is(err, errShutdown):
		return &refusal{http.StatusServiceUnavailable, "the gateway restarts: try again"}
	case errors.Is(err, errRequestBody):
		return &refusal{http.StatusBadRequest, "the body of the request cannot be read"}
	default:
		return &refusal{http.StatusBadGateway, "the instance broke off before it answered: see fnctl logs " + function}
	}
}

// write answers a request.
func (r *refusal) write(w http.ResponseWriter, requestID string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(headerRequestID, requestID)
	if r.code == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(r.code)
	fmt.Fprintln(w, r.text)
}
