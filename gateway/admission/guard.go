package admission

import (
	"context"
	"crypto/rand"
	"net/netip"
	"sync"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
)

const (
	// MaxWait bounds how long a request waits until its password is checked.
	MaxWait = 5 * time.Second
	// maxChecks is how many passwords are checked at once, each on a processor: they are slow on purpose.
	maxChecks = 2
	// maxWaiting bounds the requests that wait for that, and maxWaitingOfAddress those of one address.
	maxWaiting          = 64
	maxWaitingOfAddress = 4
)

// Guard is what the policies of a gateway share.
type Guard struct {
	key       [32]byte // of the hashes of passwords that are remembered
	passwords guesses
	tokens    guesses
	checks    chan struct{}

	mu      sync.Mutex
	waiting map[netip.Addr]int
	total   int
}

// NewGuard makes a guard that has seen nobody yet.
func NewGuard() *Guard {
	g := &Guard{
		passwords: guesses{of: make(map[netip.Addr]guess)}, tokens: guesses{of: make(map[netip.Addr]guess)},
		checks: make(chan struct{}, maxChecks), waiting: make(map[netip.Addr]int),
	}
	rand.Read(g.key[:]) // never fails
	return g
}

// Policy compiles the rules of a function. before, if not nil, is its policy until now, of which is kept what has not changed: whose
// passwords are known, and who has sent how much. users is nil if they are not needed, or cannot be read, and then nobody comes in who has to be one.
func (g *Guard) Policy(function string, rules platform.Admission, users auth.Users, before *Policy) *Policy {
	p := &Policy{
		guard: g, function: function, networks: networks{rules.Allow, rules.Deny},
		cors: newCORS(rules.CORS), limiter: newLimiter(rules.RateLimit),
	}
	if rules.Auth != nil {
		p.auth, p.basic, p.token, p.open = true, rules.Auth.Basic != nil, rules.Auth.Token, newOpenPaths(rules.Auth.Open)
	}
	if before != nil {
		p.tokens.Store(before.tokens.Load())
		if l := before.limiter; l != nil && p.limiter != nil && l.rules == p.limiter.rules {
			p.limiter = l
		}
	}
	if p.basic && users != nil {
		p.users = newUserBook(g, users)
		if before != nil && before.users != nil && before.users.same(users) {
			p.users = before.users
		}
	}
	return p
}

// enter takes a place among the requests that wait for a check. It reports false if there is none.
func (g *Guard) enter(addr netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= maxWaiting || g.waiting[addr] >= maxWaitingOfAddress {
		return false
	}
	g.total++
	g.waiting[addr]++
	return true
}

func (g *Guard) leave(addr netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.waiting[addr]--; g.waiting[addr] == 0 {
		delete(g.waiting, addr)
	}
}

// check runs a check when there is room for it. It reports false if the context ends before.
func (g *Guard) check(ctx context.Context, run func()) bool {
	select {
	case g.checks <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-g.checks }()
	run()
	return true
}
