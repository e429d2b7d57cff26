package admission_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/fnctl/fnctl/gateway/admission"
	"github.com/fnctl/fnctl/platform/auth"
)

// slowUsers has a password whose check takes a moment.
func slowUsers(t testing.TB) auth.Users {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), 8)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Users{"alice": string(hash)}
}

// Many requests with one password are one check, and those that guess at once are no more than those that guess one by one.
func TestChecksAreShared(t *testing.T) {
	p := admission.NewGuard().Policy("ping", rules(t, "auth: {basic: {users: u}}"), slowUsers(t), nil)
	var wg sync.WaitGroup
	var refused, wrong, late atomic.Int64
	for range 50 {
		wg.Go(func() {
			if _, d := p.Decide(ask("/", basic("alice", "secret")), time.Now()); d != nil {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if refused.Load() > 0 {
		t.Errorf("%d of 50 with the right password were refused", refused.Load())
	}
	for i := range 50 {
		wg.Go(func() {
			switch _, d := p.Decide(ask("/", basic("alice", fmt.Sprint(i))), time.Now()); status(d) {
			case http.StatusUnauthorized:
				wrong.Add(1)
			case http.StatusTooManyRequests:
				late.Add(1)
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 7 || wrong.Load()+late.Load() != 50 {
		t.Errorf("of 50 guesses at once, %d were checked and %d held up", wrong.Load(), late.Load())
	}
}

// Who goes away waits no longer, and leaves its place.
func TestWaitEnds(t *testing.T) {
	p := admission.NewGuard().Policy("ping", rules(t, "auth: {basic: {users: u}}"), someUsers(t), nil)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range 500 { // each may have found room all the same, but none keeps its place
		r := ask("/", basic("alice", "secret"))
		r.Context = func() context.Context { return gone }
		if _, d := p.Decide(r, start.Add(time.Duration(i)*time.Hour)); d != nil && d.Status != http.StatusTooManyRequests {
			t.Fatalf("got %+v", d)
		}
	}
	if _, d := p.Decide(ask("/", basic("bob", "hidden")), start.Add(-time.Hour)); d != nil {
		t.Errorf("after them: %+v", d)
	}
}

// Who waits for a check while another one of the address is wrong once too often is not checked.
func TestGuessesAtOnceAreHeldUp(t *testing.T) {
	p := admission.NewGuard().Policy("ping", rules(t, "auth: {basic: {users: u}}"), someUsers(t), nil)
	now := time.Now()
	for i := range 5 {
		if _, d := p.Decide(ask("/", basic("alice", fmt.Sprint(i))), now); status(d) != http.StatusUnauthorized {
			t.Fatal(d)
		}
	}
	waits := ask("/", basic("alice", "secret"))
	waits.Context = func() context.Context { // it is about to wait
		if _, d := p.Decide(ask("/", basic("alice", "x")), now); status(d) != http.StatusUnauthorized {
			t.Error(d)
		}
		return context.Background()
	}
	if _, d := p.Decide(waits, now); status(d) != http.StatusTooManyRequests {
		t.Errorf("got %+v", d)
	}
}

// A name that there is not takes as long as one that there is.
func TestUnknownUsersTakeAsLong(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	users := slowUsers(t)
	fastest := func(user string) time.Duration {
		least := time.Hour
		for i := range 5 { // five guesses cost nothing
			p := admission.NewGuard().Policy("ping", rules(t, "auth: {basic: {users: u}}"), users, nil)
			began := time.Now()
			if _, d := p.Decide(ask("/", basic(user, fmt.Sprint(i))), began); status(d) != http.StatusUnauthorized {
				t.Fatal(d)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	known, unknown := fastest("alice"), fastest("mallory")
	if unknown < known/2 || known < unknown/2 {
		t.Errorf("a user that there is takes %s, one that there is not %s", known, unknown)
	}
}

// A password that was right is not checked again for five minutes, and is then.
func TestRightPasswordsAreRemembered(t *testing.T) {
	p := admission.NewGuard().Policy("ping", rules(t, "auth: {basic: {users: u}}"), someUsers(t), nil)
	checks := 0
	for _, c := range []struct {
		after  time.Duration
		checks int
	}{{0, 1}, {time.Second, 1}, {5*time.Minute - 1, 1}, {5 * time.Minute, 2}, {6 * time.Minute, 2}} {
		r := ask("/", basic("alice", "secret"))
		r.Context = func() context.Context { checks++; return context.Background() }
		if _, d := p.Decide(r, start.Add(c.after)); d != nil || checks != c.checks {
			t.Errorf("after %s: %+v, %d checks, want %d", c.after, d, checks, c.checks)
		}
	}
}

// One address cannot take all places of those that wait.
func TestPlacesOfAnAddress(t *testing.T) {
	p := admission.NewGuard().Policy("ping", rules(t, "auth: {basic: {users: u}}"), someUsers(t), nil)
	var codes []int
	var nested func(n int) // has a place while the next one asks
	nested = func(n int) {
		r := ask("/", basic("alice", fmt.Sprint(n)))
		r.Context = func() context.Context {
			nested(n + 1)
			if _, d := p.Decide(from("192.0.2.200", ask("/", basic("alice", "secret"))), time.Now()); d != nil {
				t.Errorf("another address: %+v", d)
			}
			return context.Background()
		}
		_, d := p.Decide(r, time.Now())
		codes = append(codes, status(d))
	}
	nested(0)
	if want := []int{429, 401, 401, 401, 401}; !slices.Equal(codes, want) {
		t.Errorf("got %v, want %v", codes, want)
	}
}
