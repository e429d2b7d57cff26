package netio_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
)

var rate = netio.Rate{Least: 500, Over: 20 * time.Second}

// client moves bytes, and notes when it was found too slow.
type client struct {
	moved   atomic.Int64
	tooSlow atomic.Int64 // since when, in nanoseconds; 0: it is not
}

func (c *client) pace() *netio.Pace {
	return netio.NewPace(rate, c.moved.Load, func() { c.tooSlow.Store(time.Now().UnixNano()) })
}

// A client is too slow when it has moved less than the rate for long enough, and never if it keeps it up.
func TestPace(t *testing.T) {
	for name, test := range map[string]struct {
		each time.Duration // between two pieces
		n    int64         // bytes of a piece
		late time.Duration // when it is found out; 0: not within an hour
	}{
		"nothing":                 {each: time.Second, late: 20 * time.Second},
		"50 B/s":                  {each: time.Second, n: 50, late: 22 * time.Second},
		"half":                    {each: time.Second, n: 250, late: 40 * time.Second},
		"the rate":                {each: time.Second, n: 500},
		"the rate in large lumps": {each: 19 * time.Second, n: 9500},
		"much faster":             {each: time.Second / 10, n: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, began := new(client), time.Now()
				p := c.pace()
				defer p.Stop()
				for time.Since(began) < time.Hour && c.tooSlow.Load() == 0 {
					p.Wait()
					time.Sleep(test.each)
					c.moved.Add(test.n)
					p.Go()
				}
				switch late := time.Unix(0, c.tooSlow.Load()).Sub(began); {
				case test.late == 0 && c.tooSlow.Load() != 0:
					t.Errorf("too slow after %v", late)
				case test.late != 0 && (late < test.late-time.Second || late > test.late+time.Second):
					t.Errorf("too slow after %v, want %v", late, test.late)
				}
			})
		})
	}
}

// Much at once buys no more time than there is.
func TestPaceAfterMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(client)
		p := c.pace()
		defer p.Stop()
		p.Wait()
		c.moved.Add(1 << 30)
		p.Go()
		began := time.Now()
		p.Wait()
		time.Sleep(21 * time.Second)
		if late := time.Unix(0, c.tooSlow.Load()).Sub(began); late != rate.Over {
			t.Errorf("too slow after %v", late)
		}
	})
}

// Only the time counts in which the client is waited for.
func TestPaceWaitsForTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(client)
		p := c.pace()
		time.Sleep(time.Hour)
		for range 19 {
			p.Wait()
			p.Wait() // it is waited for already
			time.Sleep(time.Second)
			p.Go()
			p.Go()
			time.Sleep(time.Hour)
		}
		if c.tooSlow.Load() != 0 {
			t.Fatal("the app's time counts")
		}
		p.Wait()
		time.Sleep(time.Minute)
		if c.tooSlow.Load() == 0 {
			t.Error("it is not found out")
		}
	})
}

// After its end nothing is found out any more, whenever that is.
func TestPaceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(client)
		p := c.pace()
		p.Wait()
		time.Sleep(rate.Over - 1)
		p.Stop()
		p.Wait()
		time.Sleep(time.Hour)
		if c.tooSlow.Load() != 0 {
			t.Error("it is found out")
		}
	})
}

// Without a rate there is no pace, with which all can be done the same.
func TestNoPace(t *testing.T) {
	p := netio.NewPace(netio.Rate{Over: time.Second}, nil, nil)
	if p != nil {
		t.Fatal("there is one")
	}
	p.Wait()
	p.Go()
	p.Stop()
}
