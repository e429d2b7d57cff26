package gateway

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/fnctl/fnctl/gateway/wire"
)

// eachRequestField calls each with the fields of the request that the instance gets, but Host and those of the framing.
func (x *exchange) eachRequestField(each func(name, value []byte)) {
	endToEnd(x.req.Fields, isOurRequestField, func(f wire.Field) { each(f.Name, f.Value) })
	if te := values(x.req.Fields, "te"); wire.ListHas([]byte(te), "trailers") {
		each([]byte("TE"), []byte("trailers")) // without a Connection field, as everybody sends it
	}
	x.origin.forwarded(x.req, func(name, value string) { each([]byte(name), []byte(value)) })
	each([]byte(headerRequestID), []byte(x.id))
}

// appendRequest makes the head of the request that the instance gets.
func (x *exchange) appendRequest(dst []byte) []byte {
	dst = wire.AppendRequestLine(dst, x.req.Method, x.req.Path)
	dst = wire.AppendField(dst, "Host", x.req.Host)
	x.eachRequestField(func(name, value []byte) { dst = wire.AppendField(dst, name, value) })
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

// eachResponseField calls each with the fields of the response that the client gets, but those of the framing.
func (a *answer) eachResponseField(each func(name, value []byte)) {
	endToEnd(a.fields, isOurResponseField, func(f wire.Field) { each(f.Name, f.Value) })
	each([]byte(headerRequestID), []byte(a.id))
	if a.cold > 0 {
		each([]byte(headerColdStart), append(strconv.AppendInt(nil, a.cold.Milliseconds(), 10), "ms"...))
	}
}

func isEventStream(fields []wire.Field) bool {
	value, once := find(fields, "content-type")
	const events = "text/event-stream"
	return once && len(value) >= len(events) && bytes.EqualFold(value[:len(events)], []byte(events))
}
