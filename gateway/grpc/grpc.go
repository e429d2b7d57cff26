// Package grpc is what a proxy has to know of gRPC to answer in its place: a client of gRPC reads a status of HTTP other than 200 as a
// broken server, and an answer of text not at all. See https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
package grpc

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ContentType is that of a call whose messages are not described any further.
const ContentType = "application/grpc"

// Status is how a call ended (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
type Status int

// The statuses that a proxy tells.
const (
	Cancelled         Status = 1
	Unknown           Status = 2
	DeadlineExceeded  Status = 4
	PermissionDenied  Status = 7
	ResourceExhausted Status = 8
	Unimplemented     Status = 12
	Internal          Status = 13
	Unavailable       Status = 14
	Unauthenticated   Status = 16
)

// IsCall reports whether a request with a content type is a call. The calls of gRPC-Web are not: their clients read statuses of HTTP.
func IsCall(contentType string) bool {
	rest, found := strings.CutPrefix(strings.ToLower(contentType), ContentType)
	return found && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// OfHTTP is the status for one of HTTP: what clients take it for (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md),
// and that the content is too large.
func OfHTTP(status int) Status {
	switch status {
	case http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge:
		return Internal
	case http.StatusUnauthorized:
		return Unauthenticated
	case http.StatusForbidden:
		return PermissionDenied
	case http.StatusNotFound:
		return Unimplemented
	case http.StatusRequestEntityTooLarge:
		return ResourceExhausted
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Unavailable
	default:
		return Unknown
	}
}

// OfReset is the status for a stream that was reset with a code of HTTP/2 (RFC 9113, section 7).
func OfReset(code uint32) Status {
	switch code {
	case 7: // REFUSED_STREAM
		return Unavailable
	case 8: // CANCEL
		return Cancelled
	case 11: // ENHANCE_YOUR_CALM
		return ResourceExhausted
	case 12: // INADEQUATE_SECURITY
		return PermissionDenied
	default:
		return Internal
	}
}

// units are those of the field grpc-timeout.
var units = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// Timeout is the time that a field grpc-timeout gives a call: at most eight digits and a unit. It is false for any other value.
func Timeout(field string) (time.Duration, bool) {
	last := len(field) - 1
	if last < 1 || last > 8 {
		return 0, false
	}
	unit, known := units[field[last]]
	n, err := strconv.ParseUint(field[:last], 10, 32)
	if !known || err != nil {
		return 0, false
	}
	return unit * min(time.Duration(n), math.MaxInt64/unit), true
}

// EscapeMessage writes a message as the field grpc-message has it: what is not printable ASCII in percent-encoding.
func EscapeMessage(message string) string {
	var out strings.Builder
	for _, c := range []byte(message) {
		if c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&out, "%%%02X", c)
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}
