package admission

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/fnctl/fnctl/platform/auth"
)

const (
	// knownTime is how long a password that was right is not checked again.
	knownTime = 5 * time.Minute
	// maxKnown bounds how many are remembered.
	maxKnown = 1024
)

// userBook are the users of a function, with the passwords of theirs that were right. These are known by a hash with a key that no other
// process has.
type userBook struct {
	guard  *Guard
	users  auth.Users
	hashes []string // sorted

	mu      sync.Mutex
	known   map[[sha256.Size]byte]time.Time // until when
	running map[[sha256.Size]byte]*check
}

// check is one of a password, for all requests that have it.
type check struct {
	done   chan struct{}
	right  bool
	denial *Denial // that came of it instead
}

func newUserBook(g *Guard, users auth.Users) *userBook {
	return &userBook{
		guard: g, users: users, hashes: slices.Sorted(maps.Values(users)),
		known: make(map[[sha256.Size]byte]time.Time), running: make(map[[sha256.Size]byte]*check),
	}
}

func (u *userBook) same(users auth.Users) bool { return maps.Equal(u.users, users) }

// userAndPassword reads what follows the scheme Basic (RFC 7617).
func userAndPassword(encoded []byte) (user, password []byte, ok bool) {
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Strict().Decode(decoded, encoded)
	user, password, found := bytes.Cut(decoded[:n], []byte(":"))
	isControl := func(r rune) bool { return r < ' ' || r == 0x7f }
	if err != nil || !found || len(user) == 0 || !utf8.Valid(decoded[:n]) || bytes.ContainsFunc(decoded[:n], isControl) {
		return nil, nil, false
	}
	return user, password, true
}

// verify checks a password. Its address must have had no wrong ones lately. The denial is nil if it is right.
func (u *userBook) verify(r *Request, user, password []byte, now time.Time) *Denial {
	if wait := u.guard.passwords.delay(r.Addr, now); wait > 0 {
		return tooManyGuesses(wait)
	}
	sum := u.sum(user, password)
	u.mu.Lock()
	if until, known := u.known[sum]; known && now.Before(until) {
		u.mu.Unlock()
		return nil
	}
	c, running := u.running[sum]
	if !running {
		c = &check{done: make(chan struct{})}
		u.running[sum] = c
	}
	u.mu.Unlock()
	if running {
		return c.wait(r)
	}
	c.denial = u.run(r, string(user), password, c)
	u.mu.Lock()
	delete(u.running, sum)
	if c.right {
		u.remember(sum, now)
	}
	u.mu.Unlock()
	close(c.done)
	return c.denial
}

// wait waits for a check that another request runs.
func (c *check) wait(r *Request) *Denial {
	select {
	case <-c.done:
		return c.denial
	case <-r.Context().Done():
		return tooManyChecks()
	}
}

// run runs a check when there is room.
func (u *userBook) run(r *Request, user string, password []byte, c *check) (denied *Denial) {
	addr := sender(r.Addr)
	if !u.guard.enter(addr) {
		return tooManyChecks()
	}
	defer u.guard.leave(addr)
	ran := u.guard.check(r.Context(), func() {
		// Others of the same address may have been wrong meanwhile.
		if wait := u.guard.passwords.delay(addr, time.Now()); wait > 0 {
			denied = tooManyGuesses(wait)
			return
		}
		if c.right = u.isRight(user, password); !c.right {
			u.guard.passwords.wrong(addr, time.Now())
			denied = wrongCredentials()
		}
	})
	if !ran {
		return tooManyChecks()
	}
	return denied
}

// isRight takes as long for a user that there is not as for one that there is: always the same one for a name, so that the costs of their
// hashes tell nothing.
func (u *userBook) isRight(user string, password []byte) bool {
	hash, is := u.users[user]
	if !is {
		sum := u.sum([]byte(user), nil)
		hash = u.hashes[binary.BigEndian.Uint64(sum[:8])%uint64(len(u.hashes))]
	}
	return bcrypt.CompareHashAndPassword([]byte(hash), password) == nil && is
}

// sum is a hash of a user and a password, with a key. No user has a NUL in it.
func (u *userBook) sum(user, password []byte) [sha256.Size]byte {
	var room [256]byte
	text := append(room[:0], u.guard.key[:]...)
	text = append(append(append(text, user...), 0), password...)
	return sha256.Sum256(text)
}

// remember notes that a password was right. If there are too many, any one is forgotten.
func (u *userBook) remember(sum [sha256.Size]byte, now time.Time) {
	maps.DeleteFunc(u.known, func(_ [sha256.Size]byte, until time.Time) bool { return !now.Before(until) })
	for other := range u.known {
		if len(u.known) < maxKnown {
			break
		}
		delete(u.known, other)
	}
	u.known[sum] = now.Add(knownTime)
}
