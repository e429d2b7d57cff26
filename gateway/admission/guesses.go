package admission

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// freeGuesses are those that cost no time: people mistype.
	freeGuesses = 5
	// firstDelay is that after the next one; each further one doubles it, up to maxDelay.
	firstDelay = time.Second
	maxDelay   = 5 * time.Minute
	// guessMemory is how long the guesses of an address are remembered after its delay.
	guessMemory = 15 * time.Minute
	// maxGuessers bounds how many addresses are remembered. Who has guessed least is forgotten first.
	maxGuessers = 1 << 14
)

// guesses are the wrong credentials that addresses have had.
type guesses struct {
	mu sync.Mutex
	of map[netip.Addr]guess
}

type guess struct {
	n     int
	last  time.Time
	until time.Time // no other one is looked at before
}

// isOver reports whether the guesses are forgotten.
func (g guess) isOver(now time.Time) bool {
	return now.Sub(g.last) > guessMemory && now.Sub(g.until) > guessMemory
}

// delay is how long an address has to wait until its credentials are looked at; 0: it has not.
func (g *guesses) delay(addr netip.Addr, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.of[sender(addr)].until.Sub(now))
}

// wrong counts wrong credentials. Right ones do not count against them: who has some would guess those of others.
func (g *guesses) wrong(addr netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	addr = sender(addr)
	before, known := g.of[addr]
	if !known {
		g.makeRoom(now)
	} else if before.isOver(now) {
		before = guess{}
	}
	next := guess{n: before.n + 1, last: now}
	if over := next.n - freeGuesses; over > 0 {
		next.until = now.Add(min(maxDelay, firstDelay<<min(over-1, 20)))
	}
	g.of[addr] = next
}

func (g *guesses) makeRoom(now time.Time) {
	n, least, found := 0, 0, netip.Addr{}
	for addr, guess := range g.of { // begins anywhere
		if n++; n > looked {
			break
		}
		if guess.isOver(now) {
			delete(g.of, addr)
		} else if least == 0 || guess.n < least {
			least, found = guess.n, addr
		}
	}
	if len(g.of) >= maxGuessers {
		delete(g.of, found)
	}
}
