package netio_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
)

// A write that waits for long is noticed once, while it waits; short ones are not, however many.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s netio.Stall
		s.Begin()
		time.Sleep(time.Hour) // nobody wants to know
		s.End(1)
		var noticed atomic.Int32
		s.Watch(10*time.Millisecond, func() { noticed.Add(1) })
		for range 100 {
			s.Begin()
			time.Sleep(9 * time.Millisecond)
			s.End(1)
			s.End(1) // one that did not wait
			time.Sleep(time.Second)
		}
		if s.Noticed() || noticed.Load() > 0 {
			t.Fatal("a short wait is noticed")
		}
		for range 3 {
			s.Begin()
			time.Sleep(11 * time.Millisecond)
			synctest.Wait()
			if noticed.Load() != 1 {
				t.Errorf("noticed %d times", noticed.Load())
			}
			s.End(1)
			if !s.Noticed() {
				t.Error("who writes does not know")
			}
		}
		if s.Sent() != 204 {
			t.Errorf("%d bytes", s.Sent())
		}
		s.Ignore()
		s.Begin()
		time.Sleep(time.Hour)
		s.End(0)
		s.Watch(10*time.Millisecond, func() { noticed.Add(1) })
		if s.Noticed() || noticed.Load() != 1 {
			t.Error("the end of it is not")
		}
	})
}
