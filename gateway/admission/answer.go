package admission

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// Reason is why a request is turned away, as the metric has it.
type Reason string

// The reasons.
const (
	// ReasonAddress: its network is denied, or not among those allowed.
	ReasonAddress Reason = "address"
	// ReasonAuth: it has no credentials, or wrong ones.
	ReasonAuth Reason = "auth"
	// ReasonGuessing: its address has had wrong ones too often, or too many are being checked.
	ReasonGuessing Reason = "guessing"
	// ReasonRate: its sender sends more than the limit.
	ReasonRate Reason = "rate_limit"
	// ReasonCORS: its site is none of cors.origins.
	ReasonCORS Reason = "cors"
	// ReasonClosed: it is not known who may come in.
	ReasonClosed Reason = "closed"
)

// Reasons are all of them.
var Reasons = []Reason{ReasonAddress, ReasonAuth, ReasonGuessing, ReasonRate, ReasonCORS, ReasonClosed}

// Denial is the answer in the place of the function.
type Denial struct {
	// Reason is "" for an answer that turns nobody away: that to a preflight.
	Reason Reason
	Status int
	Text   string
	// Fields are those besides the usual ones.
	Fields []wire.Field
}

func field(name, value string) wire.Field {
	return wire.Field{Name: []byte(name), Value: []byte(value)}
}

func forbidden(reason Reason, text string) *Denial {
	return &Denial{Reason: reason, Status: http.StatusForbidden, Text: text}
}

// later is an answer to who may try again after a time.
func later(reason Reason, after time.Duration, text string) *Denial {
	seconds := strconv.FormatInt(ceilSeconds(after), 10)
	return &Denial{Reason: reason, Status: http.StatusTooManyRequests, Text: text, Fields: []wire.Field{field("Retry-After", seconds)}}
}

// ceilSeconds is a time in seconds, at least one.
func ceilSeconds(d time.Duration) int64 { return max(1, int64((d+time.Second-1)/time.Second)) }

// Entry is what becomes of a request that comes in.
type Entry struct {
	// User is who it is: the name of a user or the label of a token, "" if that was not asked.
	User string

	policy *Policy
	hides  bool // the Authorization field is not the app's
	limit  rateState
	origin []byte // that may read the response; nil: none that needs to be told
}

// HeaderUser is the field by which the app knows the user. What a client says there never reaches it.
const HeaderUser = "X-Forwarded-User"

// Strips reports whether a field of the request is not for the app.
func (e *Entry) Strips(name []byte) bool {
	return e.hides && bytes.EqualFold(name, []byte("authorization"))
}

// AppendFields appends the fields that a response gets besides those of the app. What the app says itself of CORS stands.
func (e *Entry) AppendFields(dst, app []wire.Field) []wire.Field {
	if e.policy.cors != nil {
		dst = e.policy.cors.appendFields(dst, app, e.origin)
	}
	if e.limit.limiter != nil {
		dst = e.limit.appendFields(dst)
	}
	return dst
}
