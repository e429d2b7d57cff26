package netio

import "sync/atomic"

// Budget bounds an amount that is shared.
type Budget struct {
	Most int64
	used atomic.Int64
}

// Take reports whether there was enough left; if not, it takes nothing.
func (b *Budget) Take(n int64) bool { return b.takeUpTo(n, b.Most) }

// TakeOfHalf is Take, and leaves half to others.
func (b *Budget) TakeOfHalf(n int64) bool { return b.takeUpTo(n, b.Most/2) }

func (b *Budget) takeUpTo(n, most int64) bool {
	if b.used.Add(n) <= most {
		return true
	}
	b.used.Add(-n)
	return false
}

// Give gives back what was taken.
func (b *Budget) Give(n int64) { b.used.Add(-n) }
