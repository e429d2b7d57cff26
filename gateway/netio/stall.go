package netio

import (
	"sync/atomic"
	"time"
)

// Stall notices a write that waits for long, and counts what is written. Its zero value only counts. One goroutine at a time writes.
type Stall struct {
	after   time.Duration
	notice  func()
	timer   *time.Timer
	waits   bool
	noticed bool
	sent    atomic.Int64
}

// Watch has notice called, in a goroutine of its own and once, if a write waits for longer than a time. What has been noticed before is
// forgotten.
func (s *Stall) Watch(after time.Duration, notice func()) {
	s.after, s.notice, s.timer, s.noticed = after, notice, nil, false
}

// Ignore ends that.
func (s *Stall) Ignore() { s.notice, s.timer, s.noticed = nil, nil, false }

// Reset begins to count anew.
func (s *Stall) Reset() { s.sent.Store(0) }

// Begin is called before a write that may wait. Of a nil Stall nobody is told.
func (s *Stall) Begin() {
	if s == nil || s.notice == nil || s.noticed || s.waits {
		return
	}
	s.waits = true
	if s.timer == nil {
		s.timer = time.AfterFunc(s.after, s.notice)
		return
	}
	s.timer.Reset(s.after)
}

// End is called after a write of n bytes, whether it may have waited or not. Who is not the first to see that the time was over leaves
// what follows to notice.
func (s *Stall) End(n int64) {
	if s == nil {
		return
	}
	s.sent.Add(n)
	if s.waits {
		s.waits = false
		s.noticed = !s.timer.Stop()
	}
}

// Noticed reports whether notice was called, or is about to be.
func (s *Stall) Noticed() bool { return s.noticed }

// Sent is how much was written. Any goroutine may ask.
func (s *Stall) Sent() int64 { return s.sent.Load() }
