package admission

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform/auth"
)

// Policy is who may come in to a function.
type Policy struct {
	guard    *Guard
	function string
	networks networks
	auth     bool // some must say who they are
	basic    bool
	token    bool
	open     openPaths
	users    *userBook // nil: there are none, or they cannot be read
	tokens   atomic.Pointer[tokenBook]
	cors     *cors    // nil: the app's
	limiter  *limiter // nil: there is none
}

// NeedsTokens reports whether the tokens of the function matter.
func (p *Policy) NeedsTokens() bool { return p.token }

// SetTokens replaces the tokens of the function.
func (p *Policy) SetTokens(tokens []auth.Token) error {
	book, err := newTokenBook(tokens)
	if err != nil {
		p.tokens.Store(nil)
		return err
	}
	p.tokens.Store(&book)
	return nil
}

// CloseTokens lets nobody in who has to say who they are, because it is not known which tokens there are.
func (p *Policy) CloseTokens() { p.tokens.Store(nil) }

// Decide decides about a request. If it does not come in, the denial is its answer; what the entry adds to a response is for that one, too.
func (p *Policy) Decide(r *Request, now time.Time) (*Entry, *Denial) {
	e := &Entry{policy: p}
	if p.cors != nil {
		origin, _ := r.only("origin")
		e.origin = p.cors.allowed(origin)
	}
	preflight := (p.cors != nil || p.auth) && isPreflight(r)
	switch {
	case !p.networks.admits(r.Addr):
		return e, forbidden(ReasonAddress, fmt.Sprintf("%s takes no request from this address", p.function))
	case preflight && p.cors != nil:
		return e, p.cors.preflight(r)
	case !p.auth:
	case preflight || p.open.has(r.Path):
		e.hides = p.knows(r)
	default:
		if denied := p.authenticate(r, e, now); denied != nil {
			return e, denied
		}
	}
	if p.limiter == nil {
		return e, nil
	}
	var ok bool
	if e.limit, ok = p.limiter.take(p.limiter.senderOf(r, e.User), now); !ok {
		return e, later(ReasonRate, e.limit.reset, "too many requests: try again later")
	}
	return e, nil
}

// authenticate finds out who sends a request.
func (p *Policy) authenticate(r *Request, e *Entry, now time.Time) *Denial {
	tokens := p.tokens.Load()
	if p.basic && p.users == nil || p.token && tokens == nil {
		return &Denial{
			Reason: ReasonClosed, Status: http.StatusServiceUnavailable,
			Text: fmt.Sprintf("who may come in to %s cannot be read: see journalctl -u fnctl-gateway", p.function),
		}
	}
	e.hides = true
	value, once := r.only("authorization")
	if !once {
		return p.challenge(&Denial{Reason: ReasonAuth, Status: http.StatusUnauthorized, Text: "credentials are needed"})
	}
	if encoded, is := credentials(value, "Basic"); is && p.basic {
		user, password, ok := userAndPassword(encoded)
		if !ok {
			return p.challenge(wrongCredentials())
		}
		e.User = string(user)
		return p.challenge(p.users.verify(r, user, password, now))
	}
	if text, is := credentials(value, "Bearer"); is && p.token {
		var denied *Denial
		e.User, denied = tokens.verify(p.guard, r, text, now)
		return p.challenge(denied)
	}
	return p.challenge(wrongCredentials())
}

// knows reports whether a request that need not say who sends it has credentials of this function nevertheless.
func (p *Policy) knows(r *Request) bool {
	for i := range r.Fields {
		if !r.Fields[i].Is("authorization") {
			continue
		}
		if _, is := credentials(r.Fields[i].Value, "Basic"); is && p.basic {
			return true
		}
		if text, is := credentials(r.Fields[i].Value, "Bearer"); is && p.token && isToken(text) {
			return true
		}
	}
	return false
}

// challenge says in a denial of credentials which are needed.
func (p *Policy) challenge(d *Denial) *Denial {
	if d == nil || d.Status != http.StatusUnauthorized {
		return d
	}
	with := *d // others may have it, too
	with.Fields = append(make([]wire.Field, 0, 2), d.Fields...)
	if p.basic {
		with.Fields = append(with.Fields, field("WWW-Authenticate", fmt.Sprintf("Basic realm=%q, charset=\"UTF-8\"", p.function)))
	}
	if p.token {
		with.Fields = append(with.Fields, field("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", p.function)))
	}
	return &with
}

func wrongCredentials() *Denial {
	return &Denial{Reason: ReasonAuth, Status: http.StatusUnauthorized, Text: "the credentials are not valid"}
}

func tooManyGuesses(wait time.Duration) *Denial {
	return later(ReasonGuessing, wait, "too many wrong credentials from this address: try again later")
}

func tooManyChecks() *Denial {
	return later(ReasonGuessing, time.Second, "too many passwords are being checked: try again")
}

// Rates are when the senders of a function would be through, for the gateway that takes the place of this one.
func (p *Policy) Rates(now time.Time) map[Sender]int64 {
	if p.limiter == nil {
		return nil
	}
	return p.limiter.export(now)
}

// AdoptRates adds those of the gateway before this one.
func (p *Policy) AdoptRates(times map[Sender]int64) {
	if p.limiter != nil {
		p.limiter.adopt(times)
	}
}
