package gateway

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	headerColdStart = "Fnctl-Cold-Start"
	headerRequestID = "X-Request-Id"
)

// endToEnd calls each with the fields of a message that go through: neither those that are for this connection only, nor those
// that are for the gateway to set.
func endToEnd(fields []wire.Field, ours func(name []byte) bool, each func(wire.Field)) {
	var room [4][]byte // few name any; a large one would make the stack of every connection larger
	options := wire.AppendOptions(room[:0], fields)
	for _, f := range fields {
		if !wire.HopByHop(f.Name) && !ours(f.Name) && !wire.IsOption(options, f.Name) {
			each(f)
		}
	}
}

// withoutOurs leaves out of a trailer what is for the gateway to set.
func withoutOurs(trailer []wire.Field) []wire.Field {
	return slices.DeleteFunc(trailer, func(f wire.Field) bool { return isStrangersField(f.Name) })
}

// maxPasses is how often a request may have come through the gateways of this machine: functions may ask each other.
const maxPasses = 16

// via is by what a gateway is known in Via fields (RFC 9110, section 7.6.3).
type via struct {
	name    string
	element map[string]string // by the protocol of the client
}

func newVia(name string) via {
	v := via{name: name, element: make(map[string]string)}
	for _, protocol := range []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"} {
		v.element[protocol] = strings.TrimPrefix(protocol, "HTTP/") + " " + name
	}
	return v
}

// passes counts how often a request has come through.
func (v via) passes(fields []wire.Field) (n int) {
	for _, f := range fields {
		if !f.Is("via") {
			continue
		}
		for element := range bytes.SplitSeq(f.Value, []byte(",")) {
			if words := bytes.Fields(element); len(words) > 1 && string(words[1]) == v.name {
				n++
			}
		}
	}
	return n
}

// has reports whether a field is there.
func has(fields []wire.Field, name string) bool {
	return slices.ContainsFunc(fields, func(f wire.Field) bool { return f.Is(name) })
}

// isFraming reports whether a field says how a message is sent, which is for its sender to say.
func isFraming(name []byte) bool {
	return bytes.EqualFold(name, []byte("content-length"))
}

// isOurRequestField reports whether a field of a request is for the gateway to set, and not for the client. Apps that know
// fields as CGI variables cannot tell an underscore from a hyphen.
func isOurRequestField(name []byte) bool {
	switch name[0] | 0x20 {
	case 'h':
		return is(name, "host")
	case 'c':
		return isFraming(name)
	case 'f':
		return is(name, "forwarded") || hasPrefix(name, "fnctl-")
	case 'p':
		return is(name, "path-info") || is(name, "proxy") // the second is HTTP_PROXY to a CGI program
	case 's':
		return is(name, "script-name") // gunicorn takes it for where the app is mounted
	case 'x':
		return hasPrefix(name, "x-forwarded-") || hasPrefix(name, "x-request-id") || is(name, "x-real-ip")
	}
	return false
}

// clientFields are those by which proxies of all kinds tell an address of the client. Frameworks believe one or another of them.
var clientFields = []string{
	"cf-connecting-ip", "client-ip", "fastly-client-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-original-forwarded-for",
	"x-remote-addr", "x-remote-ip",
}

// isStrangersField reports whether a field of a request is for the gateway or for a trusted proxy to set, and not for a stranger.
func isStrangersField(name []byte) bool {
	if isOurRequestField(name) {
		return true
	}
	switch name[0] | 0x20 {
	case 'c', 'f', 't', 'x':
		return slices.ContainsFunc(clientFields, func(field string) bool { return is(name, field) })
	}
	return false
}

// isOurResponseField reports whether a field of a response is for the gateway to set, and not for the app.
func isOurResponseField(name []byte) bool {
	switch name[0] | 0x20 {
	case 'c':
		return isFraming(name)
	case 'f':
		return hasPrefix(name, "fnctl-cold-start")
	case 'x':
		return hasPrefix(name, "x-request-id")
	}
	return false
}

// is compares as hasPrefix does.
func is(name []byte, field string) bool { return len(name) == len(field) && hasPrefix(name, field) }

// hasPrefix compares without regard to case, and takes an underscore for a hyphen.
func hasPrefix(name []byte, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := name[i]
		switch {
		case c == '_':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// find returns the value of a field, and reports whether it is there once.
func find(fields []wire.Field, name string) (value []byte, once bool) {
	n := 0
	for _, f := range fields {
		if f.Is(name) {
			value = f.Value
			n++
		}
	}
	return value, n == 1
}

// values joins all values of a field.
func values(fields []wire.Field, name string) string {
	var all []string
	for _, f := range fields {
		if f.Is(name) {
			all = append(all, string(f.Value))
		}
	}
	return strings.Join(all, ", ")
}

// fieldsOf makes fields of those of net/http.
func fieldsOf(h http.Header) (fields []wire.Field) {
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, wire.Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	return fields
}
