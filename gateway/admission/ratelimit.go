package admission

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
)

// maxSenders bounds how many senders of a function are told apart, which takes some 5 MB. Who sends least is forgotten first.
const maxSenders = 1 << 16

// looked is how many senders are looked at to find one that can be forgotten.
const looked = 8

// Sender is what counts as one sender of a function.
type Sender [16]byte

// limiter lets through what a sender may send, by the generic cell rate algorithm (ITU-T I.371): of a sender only the time is kept at which
// its requests would be through if they came one by one.
type limiter struct {
	rules    platform.RateLimit
	header   string
	interval time.Duration // of requests, if they came one by one
	room     time.Duration // in which a burst fits
	policy   string        // the value of RateLimit-Policy

	mu    sync.Mutex
	times map[Sender]int64 // in nanoseconds of Unix
}

// rateState is what a sender may still send.
type rateState struct {
	limiter   *limiter // nil: there is no limit
	remaining int64
	reset     time.Duration // until there is more, or if there is some, until there is all
}

func newLimiter(rules *platform.RateLimit) *limiter {
	if rules == nil {
		return nil
	}
	interval := time.Duration(rules.Per) / time.Duration(rules.Requests)
	l := &limiter{
		rules: *rules, header: rules.Header(), interval: interval, room: interval * time.Duration(rules.Burst), times: make(map[Sender]int64),
	}
	l.policy = fmt.Sprintf("%q;q=%d;w=%d", "default", rules.Requests, ceilSeconds(time.Duration(rules.Per)))
	return l
}

// senderOf is whose request it is. user is who has sent it, if that is known.
func (l *limiter) senderOf(r *Request, user string) Sender {
	switch {
	case l.rules.By == platform.ByToken && user != "":
		return named("user", []byte(user))
	case l.header != "":
		if value, once := r.only(l.header); once && len(value) > 0 {
			return named(l.header, value)
		}
	}
	return addressed(r.Addr)
}

func addressed(addr netip.Addr) Sender { return sender(addr).As16() }

// named is a sender that is known by a name. No address is like it, but by chance.
func named(kind string, name []byte) (s Sender) {
	sum := sha256.Sum256(append([]byte(kind+"\x00"), name...))
	copy(s[:], sum[:])
	return s
}

// take counts a request, and reports whether it may pass.
func (l *limiter) take(s Sender, now time.Time) (state rateState, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now.UnixNano()
	before, known := l.times[s]
	if most := at + int64(l.room); before > most { // the clock was set back
		before, l.times[s] = most, most
	}
	before = max(before, at)
	after := before + int64(l.interval)
	if free := int64(l.room) - (after - at); free >= 0 {
		if !known {
			l.makeRoom(at)
		}
		l.times[s] = after
		return rateState{l, free / int64(l.interval), time.Duration(after - at)}, true
	}
	return rateState{l, 0, time.Duration(after-at) - l.room}, false
}

// makeRoom forgets senders that may send all again, and if there are too many, the one of some that is nearest to that.
func (l *limiter) makeRoom(now int64) {
	n, least, found := 0, int64(0), Sender{}
	for s, at := range l.times { // begins anywhere
		if n++; n > looked {
			break
		}
		if at <= now {
			delete(l.times, s)
		} else if least == 0 || at < least {
			least, found = at, s
		}
	}
	if len(l.times) >= maxSenders {
		delete(l.times, found)
	}
}

// appendFields appends the fields of draft-ietf-httpapi-ratelimit-headers-10.
func (s rateState) appendFields(dst []wire.Field) []wire.Field {
	state := fmt.Sprintf("%q;r=%d;t=%d", "default", s.remaining, ceilSeconds(s.reset))
	return append(dst, field("RateLimit-Policy", s.limiter.policy), field("RateLimit", state))
}

// export returns when the senders would be through.
func (l *limiter) export(now time.Time) map[Sender]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := make(map[Sender]int64, len(l.times))
	for s, at := range l.times {
		if at > now.UnixNano() {
			times[s] = at
		}
	}
	return times
}

// adopt adds what another limiter of the same function has exported.
func (l *limiter) adopt(times map[Sender]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, at := range times {
		if len(l.times) < maxSenders {
			l.times[s] = max(l.times[s], at)
		}
	}
}
