package gateway

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/fnctl/fnctl/gateway/wire"
)

// eachPassed calls each with the fields of the request that go through.
func (x *exchange) eachPassed(each func(wire.Field)) { endToEnd(x.req.Fields, isOurRequestField, each) }

// eachAdded calls each with the fields that the gateway adds to the request.
func (x *exchange) eachAdded(each func(name, value string)) {
	if has(x.req.Fields, "te") && wire.ListHas([]byte(values(x.req.Fields, "te")), "trailers") {
		each("TE", "trailers") // without a Connection field, as everybody sends it
	}
	x.origin.forwarded(x.req, each)
	each(headerRequestID, x.id)
}

// appendRequest makes the head of the request that the instance gets.
func (x *exchange) appendRequest(dst []byte) []byte {
	dst = wire.AppendRequestLine(dst, x.req.Method, x.req.Path)
	dst = wire.AppendField(dst, "Host", x.req.Host)
	x.eachPassed(func(f wire.Field) { dst = wire.AppendField(dst, f.Name, f.Value) })
	x.eachAdded(func(name, value string) { dst = wire.AppendField(dst, name, value) })
	if x.req.Chunked {
		dst = wire.AppendField(dst, "Transfer-Encoding", "chunked")
	}
	if x.upgrade {
		dst = wire.AppendField(dst, "Connection", "Upgrade")
		dst = wire.AppendField(dst, "Upgrade", values(x.req.Fields, "upgrade"))
	}
	if x.req.ContentLength >= 0 {
		dst = wire.AppendField(dst, "Content-Length", strconv.FormatInt(x.req.ContentLength, 10))
	}
	return wire.AppendEnd(dst)
}

// upgrades says whether a request may become a tunnel. HTTP/2 on a connection that began with HTTP/1 is not passed on: what goes
// over it would be requests that the gateway does not see.
func upgrades(req *wire.Request) bool {
	return req.Upgrade && !req.HasBody() && !wire.ListHas([]byte(values(req.Fields, "upgrade")), "h2c")
}

// methodName makes no string of the usual methods.
func methodName(method []byte) string {
	for _, usual := range [...]string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		if string(method) == usual {
			return usual
		}
	}
	return string(method)
}

// isPath says whether a target is one that an origin server knows.
func isPath(method string, target []byte) bool {
	return len(target) > 0 && target[0] == '/' || method == http.MethodOptions && string(target) == "*"
}

// pathOf is a path without the query, which may hold secrets.
func pathOf(target []byte) string {
	path, _, _ := bytes.Cut(target, []byte("?"))
	return string(path)
}

// eachPassed calls each with the fields of the response that go through.
func (a *answer) eachPassed(each func(wire.Field)) { endToEnd(a.fields, isOurResponseField, each) }

// coldText is how long the client has waited for an instance to start.
func (a *answer) coldText() string { return strconv.FormatInt(a.cold.Milliseconds(), 10) + "ms" }

func isEventStream(fields []wire.Field) bool {
	value, once := find(fields, "content-type")
	const events = "text/event-stream"
	return once && len(value) >= len(events) && bytes.EqualFold(value[:len(events)], []byte(events))
}
