package gateway

import "sync/atomic"

// budget bounds an amount that is shared.
type budget struct {
	most int64
	used atomic.Int64
}

// take reports whether there was enough left; if not, it takes nothing.
func (b *budget) take(n int64) bool { return b.takeUpTo(n, b.most) }

// takeOfHalf is take, and leaves half to others.
func (b *budget) takeOfHalf(n int64) bool { return b.takeUpTo(n, b.most/2) }

func (b *budget) takeUpTo(n, most int64) bool {
	if b.used.Add(n) <= most {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) give(n int64) { b.used.Add(-n) }
