package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/admission"
	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// request is the request at hand, with what ends it.
type request struct {
	client  client
	origin  *origin
	buffers *netio.Buffers
	lifetime

	req        *wire.Request // its fields are there until its content is read from the connection, unless it is detached
	host       string
	sender     sender
	id         string
	method     string
	path       string            // without the query
	via        string            // what the gateway appends to the Via field
	prefix     string            // of the path that the instance does not get
	policy     *admission.Policy // by which it came in; nil: everybody does
	entry      *admission.Entry  // nil without a policy
	content    bool              // it has some
	chunked    bool              // its content is sent on in chunks
	upgrade    bool              // it may become a tunnel
	began      time.Time
	end        time.Time // when its time is over; zero: the function is not known
	maxContent int64     // most bytes of content that the function takes; 0: no limit

	heldContent
	pace *netio.Pace // of the client while it sends content; nil: it is not measured

	received atomic.Int64 // bytes of content
	awaited  atomic.Int64 // when content was waited for last, in nanoseconds
}

// awaitedNow is that content is being waited for.
const awaitedNow = math.MaxInt64

// begin takes on the next request of the client.
func (r *request) begin(req *wire.Request) {
	r.lifetime.restart(r.client)
	r.req, r.host, r.id = req, "", requestID(req.Fields)
	r.sender = r.origin.sender(req.Fields)
	r.method, r.path, r.prefix = methodName(req.Method), pathOf(req.Path), ""
	r.content, r.chunked, r.upgrade = req.HasContent(), req.Chunked, upgrades(req)
	r.began, r.end, r.maxContent = time.Now(), time.Time{}, 0
	r.policy, r.entry = nil, nil
	r.held, r.heldRoom, r.whole, r.pace = r.held[:0], 0, false, nil
	r.received.Store(0)
	r.awaited.Store(0)
}

// forget drops what the request points to.
func (r *request) forget() {
	r.lifetime.restart(nil)
	r.client, r.origin, r.req = nil, nil, nil
	r.sender, r.policy, r.entry = sender{}, nil, nil
	r.host, r.id, r.method, r.path, r.prefix = "", "", "", "", ""
}

// upgrades reports whether a request may become a tunnel. HTTP/2 on a connection that began with HTTP/1 is not passed on: what
// goes over it would be requests that the gateway does not see.
func upgrades(req *wire.Request) bool {
	return req.Upgrade && !req.HasContent() && !wire.ListHas([]byte(values(req.Fields, "upgrade")), "h2c")
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

// isPath reports whether a target is one that an origin server knows.
func isPath(method string, target []byte) bool {
	return len(target) > 0 && target[0] == '/' || method == http.MethodOptions && string(target) == "*"
}

// pathOf is a path without the query, which may hold secrets.
func pathOf(target []byte) string {
	path, _, _ := bytes.Cut(target, []byte("?"))
	return string(path)
}

// target is what the instance is asked for: the path, with the query.
func (r *request) target() []byte {
	return withoutPrefix(r.req.Path, r.prefix)
}

// withoutPrefix is a path, with or without the query, without the prefix with which it begins.
func withoutPrefix[Path []byte | string](path Path, prefix string) Path {
	rest := path[len(prefix):]
	if prefix != "" && (len(rest) == 0 || rest[0] != '/') {
		return Path("/" + string(rest))
	}
	return rest
}

// fields implements stickyRequest.
func (r *request) fields() []wire.Field { return r.req.Fields }

// eachPassed calls each with the fields that go through.
func (r *request) eachPassed(each func(wire.Field)) {
	ours := isStrangersField
	if r.origin.trusted {
		ours = isOurRequestField
	}
	if others := ours; r.entry != nil {
		ours = func(name []byte) bool { return others(name) || r.entry.Strips(name) }
	}
	endToEnd(r.req.Fields, ours, each)
}

// eachAdded calls each with the fields that the gateway adds.
func (r *request) eachAdded(each func(name, value string)) {
	if has(r.req.Fields, "te") && wire.ListHas([]byte(values(r.req.Fields, "te")), "trailers") {
		each("TE", "trailers") // without a Connection field, as is usual
	}
	r.origin.forwarded(r.req, r.sender, r.prefix, each)
	if r.entry != nil && r.entry.User != "" {
		each(admission.HeaderUser, r.entry.User)
	}
	each("Via", r.via)
	each(headerRequestID, r.id)
}

// appendHead appends the head of the request that the instance gets.
func (r *request) appendHead(dst []byte) []byte {
	dst = wire.AppendRequestLine(dst, r.req.Method, r.target())
	dst = wire.AppendField(dst, "Host", r.req.Host)
	r.eachPassed(func(f wire.Field) { dst = wire.AppendField(dst, f.Name, f.Value) })
	r.eachAdded(func(name, value string) { dst = wire.AppendField(dst, name, value) })
	if r.req.Chunked {
		dst = wire.AppendField(dst, "Transfer-Encoding", "chunked")
	}
	if r.upgrade {
		dst = wire.AppendField(dst, "Connection", "Upgrade")
		dst = wire.AppendField(dst, "Upgrade", values(r.req.Fields, "upgrade"))
	}
	if r.req.ContentLength >= 0 {
		dst = wire.AppendField(dst, "Content-Length", strconv.FormatInt(r.req.ContentLength, 10))
	}
	return wire.AppendEnd(dst)
}

// headRoom is how much of a request is read at first.
const headRoom = 4 << 10

// size is about how many bytes of memory the request needs while it waits.
func (r *request) size() int64 {
	size := int64(headRoom)
	for _, f := range r.req.Fields {
		size += int64(len(f.Name) + len(f.Value))
	}
	return size
}

// readContent reads what the client sends, as far as the function takes it.
func (r *request) readContent(p []byte) (int, error) {
	r.awaited.Store(awaitedNow)
	if !r.req.ExpectContinue || r.received.Load() > 0 { // otherwise it may wait to be told
		r.pace.Wait()
	}
	n, err := r.client.Read(p)
	r.awaited.Store(time.Now().UnixNano())
	total := r.received.Add(int64(n))
	r.pace.Go()
	if r.maxContent > 0 && total > r.maxContent {
		return 0, errContentTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := r.interruption(); cause != nil {
			return 0, cause
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, errTimeout
		}
		return 0, fmt.Errorf("%w: %w", errReadContent, err)
	}
	return n, err
}

// context is for what the request waits for without a connection. It ends with the time of the request, or its interruption.
func (r *request) context() context.Context { return r.contextUntil(r.end) }

// clientDeadline is when the client must have taken the response. A moment is left to tell it that its time is over.
func (r *request) clientDeadline() time.Time {
	if r.end.IsZero() {
		return time.Now().Add(lingerTime)
	}
	return r.end.Add(lingerTime)
}

// deadline is the end of a wait that has a limit of its own besides the request's; 0: it has none.
func (r *request) deadline(limit time.Duration) time.Time {
	if limit <= 0 {
		return r.end
	}
	if own := time.Now().Add(limit); own.Before(r.end) {
		return own
	}
	return r.end
}

// lastAwaited returns when content was waited for last, or now if it is; not before a time.
func (r *request) lastAwaited(since time.Time) time.Time {
	switch last := r.awaited.Load(); {
	case last == awaitedNow:
		return time.Now()
	case last > since.UnixNano():
		return time.Unix(0, last)
	}
	return since
}

// causeOf returns why something ended with an error, which may be the result of an interruption, or of a time that is over:
// the request's, or else one for which slow is the error.
func (r *request) causeOf(err, slow error) error {
	if cause := r.interruption(); cause != nil {
		return cause
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		if time.Now().Before(r.end) {
			return slow
		}
		return errTimeout
	}
	return err
}

// maxRequestID is the greatest length of a request id that is taken from a client.
const maxRequestID = 128

// requestID returns the id that a client gave to its request if it is sane, and makes one otherwise.
func requestID(fields []wire.Field) string {
	if given, once := find(fields, "x-request-id"); once && saneRequestID(given) {
		return string(given)
	}
	return newRequestID()
}

// newRequestID makes an id of 128 bits that no other request has. It is no secret, so that the generator of the runtime does, which is
// seeded by the kernel and asks it nothing more.
func newRequestID() string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	high, low := rand.Uint64(), rand.Uint64()
	for i := range 13 {
		id[i], id[13+i] = digits[high>>(5*i)%32], digits[low>>(5*i)%32]
	}
	return string(id[:])
}

func saneRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > maxRequestID {
		return false
	}
	for _, c := range id {
		if !isAlphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
