package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/gateway/grpc"
	"github.com/fnctl/fnctl/gateway/wire"
)

// statusClientGone is the code that is counted when the client went away. It is never sent.
const statusClientGone = 499

// refusal is an answer of the gateway itself: one line that a person can act on.
type refusal struct {
	code   int
	text   string
	status grpc.Status // that a client of gRPC is told; 0: that of the code
	more   []wire.Field
}

func (r *refusal) Error() string { return r.text }

func badHost() *refusal {
	return &refusal{code: http.StatusBadRequest, text: "the Host header is not a host name"}
}

func badPath() *refusal {
	return &refusal{code: http.StatusBadRequest, text: "the path of the request must begin with a slash"}
}

func noFunction(host string) *refusal {
	return &refusal{code: http.StatusNotFound, text: fmt.Sprintf("no function is reached at %s: see fnctl list", host)}
}

func looping(host string) *refusal {
	return &refusal{code: http.StatusLoopDetected, text: fmt.Sprintf("the request comes back again and again: what is reached at %s sends it on to itself", host)}
}

func noTag(function, label string) *refusal {
	if strings.Trim(label, "0123456789") == "" {
		return &refusal{code: http.StatusNotFound, text: fmt.Sprintf("revision %s of %s has neither traffic nor a tag: fnctl traffic %s --tag TAG=%s", label, function, function, label)}
	}
	return &refusal{code: http.StatusNotFound, text: fmt.Sprintf("%s has no tag %s: see fnctl traffic %s", function, label, function)}
}

func badRoute(function string) *refusal {
	return &refusal{code: http.StatusServiceUnavailable, text: fmt.Sprintf("the route of %s cannot be read: see journalctl -u fnctl-gateway", function)}
}

func paused(function string) *refusal {
	return &refusal{code: http.StatusServiceUnavailable, text: fmt.Sprintf("%s is paused: try again later", function)}
}

func noTunnel() *refusal {
	return &refusal{code: http.StatusMethodNotAllowed, text: "CONNECT is not allowed: this is not a forward proxy"}
}

func malformed(err error) *refusal {
	var wrong *wire.Error
	if !errors.As(err, &wrong) {
		return &refusal{code: http.StatusBadRequest, text: "the request cannot be read"}
	}
	return &refusal{code: wrong.Status, text: "the request cannot be read: " + wrong.Text}
}

func headTooLarge() *refusal {
	return &refusal{code: http.StatusRequestHeaderFieldsTooLarge, text: "the head of the request is too large"}
}

func headTooLate() *refusal {
	return &refusal{code: http.StatusRequestTimeout, text: "the head of the request took too long"}
}

func tooManyConnections() *refusal {
	return &refusal{code: http.StatusServiceUnavailable, text: "too many connections: try again"}
}

func tooManyOfAddress() *refusal {
	return &refusal{code: http.StatusTooManyRequests, text: "too many connections from this address"}
}

func tooManyRequests() *refusal {
	return &refusal{code: http.StatusServiceUnavailable, text: "too many requests at once: try again"}
}

func tooManyRequestsOfAddress() *refusal {
	return &refusal{code: http.StatusTooManyRequests, text: "too many requests at once from this address"}
}

func cannotStart(function, reason string) *refusal {
	return &refusal{code: http.StatusServiceUnavailable, text: fmt.Sprintf("%s cannot start: %s; see fnctl logs %s", function, reason, function)}
}

// refusalOf is the answer to a request that ended with an error before it got a response.
func refusalOf(err error, function string) *refusal {
	if own := (*refusal)(nil); errors.As(err, &own) {
		return own
	}
	var malformed *wire.Error
	var reset streamError
	switch {
	case errors.Is(err, errTimeout):
		return &refusal{code: http.StatusGatewayTimeout, text: "The upstream server is timing out"}
	case errors.Is(err, errNoAnswer), errors.Is(err, errSilent):
		return &refusal{code: http.StatusGatewayTimeout, text: "the app did not begin to answer in time: see fnctl logs " + function}
	case errors.Is(err, errContentTooLarge):
		return &refusal{code: http.StatusRequestEntityTooLarge, text: "the content of the request is larger than " + function + " takes"}
	case errors.Is(err, errQueueFull):
		return &refusal{code: http.StatusServiceUnavailable, text: "too many requests wait for an instance of " + function + ": try again"}
	case errors.Is(err, errShutdown):
		return &refusal{code: http.StatusServiceUnavailable, text: "the gateway restarts: try again"}
	case errors.Is(err, errLateContent):
		return &refusal{code: http.StatusRequestTimeout, text: "the content of the request took too long"}
	case errors.Is(err, errSlowContent):
		return &refusal{code: http.StatusRequestTimeout, text: "the content of the request comes too slowly"}
	case errors.Is(err, errReadContent):
		return &refusal{code: http.StatusBadRequest, text: "the body of the request cannot be read"}
	case errors.As(err, &malformed), errors.Is(err, errResponseHead), errors.Is(err, errUnasked):
		// The reason, which is of what the app is made, is for the log.
		return &refusal{code: http.StatusBadGateway, text: "the app's answer cannot be passed on: see fnctl logs " + function}
	case errors.As(err, &reset):
		broke := brokeOff(function)
		broke.status = grpc.OfReset(reset.Code)
		return broke
	default:
		return brokeOff(function)
	}
}

func brokeOff(function string) *refusal {
	return &refusal{code: http.StatusBadGateway, text: "the instance broke off before it answered: see fnctl logs " + function}
}

// inGRPC is the answer for a client of gRPC, which is a head alone. late is whether the client's own deadline has passed: what an app
// does about that, which may reset its stream, reaches the client as if it had come from the app.
func (r *refusal) inGRPC(late bool) answer {
	status := r.status
	switch {
	case late:
		status = grpc.DeadlineExceeded
	case status == 0:
		status = grpc.OfHTTP(r.code)
	}
	return answer{status: http.StatusOK, reason: []byte("OK"), fields: []wire.Field{
		{Name: []byte("Content-Type"), Value: []byte(grpc.ContentType)},
		{Name: []byte("Grpc-Status"), Value: strconv.AppendInt(nil, int64(status), 10)},
		{Name: []byte("Grpc-Message"), Value: []byte(grpc.EscapeMessage(r.text))},
	}, framing: wire.Length(0)}
}

// content is that of the answer. That to a preflight has none.
func (r *refusal) content() string {
	if r.code == http.StatusNoContent {
		return ""
	}
	return r.text + "\n"
}

// fields are those of the answer, without its length.
func (r *refusal) fields() []wire.Field {
	if r.code == http.StatusNoContent {
		return r.more
	}
	fields := []wire.Field{
		{Name: []byte("Content-Type"), Value: []byte("text/plain; charset=utf-8")},
		{Name: []byte("X-Content-Type-Options"), Value: []byte("nosniff")},
	}
	busy := r.code == http.StatusServiceUnavailable || r.code == http.StatusTooManyRequests
	if busy && !has(r.more, "retry-after") {
		fields = append(fields, wire.Field{Name: []byte("Retry-After"), Value: []byte("1")})
	}
	return append(fields, r.more...)
}
