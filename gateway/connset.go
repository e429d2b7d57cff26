package gateway

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// minSleepAfter is how long a connection waits for a request before it falls asleep: so short that those that come one after the other
	// are not awake all at once. To be woken costs about as much as a request, so each time it waits sleepFactor times as long, and
	// maxSleepAfter at most: one that is used regularly stays awake.
	minSleepAfter = 200 * time.Millisecond
	maxSleepAfter = 10 * time.Second
	sleepFactor   = 4
	// sweepPause is the time between two looks at the connections that are awake.
	sweepPause = 100 * time.Millisecond
)

// connSet has the open connections of clients. Those that bring nothing fall asleep: a goroutine that waits for each costs more memory than
// all the rest of them. An end or a request wakes them, and so does their time, which is over in the order in which they fell asleep.
type connSet struct {
	stirred chan struct{} // has something if a connection is awake now that nobody watches those

	mu      sync.Mutex
	awake   map[*clientConn]struct{}
	asleep  list.List // of *clientConn
	watched bool      // sweep is to be called soon
}

func newConnSet() *connSet {
	return &connSet{stirred: make(chan struct{}, 1), awake: make(map[*clientConn]struct{})}
}

func (s *connSet) add(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addAwake(c)
}

// addIf adds a connection if that may be, which nothing changes that waits for the mutex.
func (s *connSet) addIf(c *clientConn, may func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !may() {
		return false
	}
	s.addAwake(c)
	return true
}

func (s *connSet) addAwake(c *clientConn) {
	s.awake[c] = struct{}{}
	if !s.watched {
		s.watched = true
		select {
		case s.stirred <- struct{}{}:
		default: // it is told already
		}
	}
}

// remove forgets a connection that is awake.
func (s *connSet) remove(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.awake, c)
}

// moveAsleep is called before a connection falls asleep, and moveAwake when it is awake, in the place of it.
func (s *connSet) moveAsleep(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.awake, c)
	c.bed = s.asleep.PushBack(c)
}

func (s *connSet) moveAwake(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asleep.Remove(c.bed)
	c.bed = nil
	s.addAwake(c)
}

func (s *connSet) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.awake) + s.asleep.Len()
}

// each calls do with every connection. The mutex is held.
func (s *connSet) each(do func(*clientConn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.awake {
		do(c)
	}
	for e := s.asleep.Front(); e != nil; e = e.Next() {
		do(e.Value.(*clientConn))
	}
}

// run sends connections to sleep, and wakes those whose time is over, until the context ends.
func (s *connSet) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.stirred:
			timer.Reset(sweepPause)
		case <-timer.C:
			timer.Reset(s.sweep(time.Now()))
		}
	}
}

// sweep returns the time until it is to be called again, unless a connection stirs before.
func (s *connSet) sweep(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.awake {
		c.tire(now)
	}
	pause := time.Hour
	for e := s.asleep.Front(); e != nil; e = e.Next() {
		if left := e.Value.(*clientConn).wakeAtEnd(now); left > 0 { // and more of those after it
			pause = left
			break
		}
	}
	if s.watched = len(s.awake) > 0; s.watched {
		return sweepPause
	}
	return pause
}

// errAsleep is a connection that has fallen asleep.
var errAsleep = errors.New("the connection is asleep")

// tire ends the wait for a request of a connection that may fall asleep.
func (c *clientConn) tire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.maySleep(now) {
		c.reads.Cut()
	}
}

// maySleep reports whether the connection has waited for a request for so long that there may be none for a while. The mutex is held.
func (c *clientConn) maySleep(now time.Time) bool {
	return c.phase == phaseWaiting && c.used.Load() && c.token != 0 && c.idleEnd.Sub(now) <= c.env.cfg.IdleTimeout-c.sleepAfter
}

// fallAsleep reports whether the connection needs no goroutine until it is woken. It may be awake again by then.
func (c *clientConn) fallAsleep() (asleep bool) {
	if !c.isTired() {
		return false
	}
	c.env.conns.moveAsleep(c)
	defer func() {
		if !asleep {
			c.env.conns.moveAwake(c)
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.maySleep(time.Now()) || c.reads.IsInterrupted() {
		return false
	}
	c.slept = true
	c.asleep = c.env.hangups.Await(c.token, c.idle.Raw(), c.rouse)
	return c.asleep
}

func (c *clientConn) isTired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.maySleep(time.Now())
}

// rouse wakes the connection if it is asleep.
func (c *clientConn) rouse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake()
}

// wakeAtEnd wakes the connection if its time is over, and returns how much is left of that.
func (c *clientConn) wakeAtEnd(now time.Time) (left time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left = c.idleEnd.Sub(now); left <= 0 {
		c.wake()
	}
	return left
}

// wake has the connection served again if it is asleep. The mutex is held.
func (c *clientConn) wake() {
	if c.asleep {
		c.asleep, c.sleepAfter = false, min(sleepFactor*c.sleepAfter, maxSleepAfter)
		c.env.hangups.StopAwaiting(c.token, c.idle.Raw())
		go c.env.resume(c)
	}
}
