package acme

import "time"

const (
	// maxBudget is how many orders may be made at once, and budgetRefill how long it takes until there may be one more. Let's Encrypt takes
	// 300 of an account, and one more every 36 seconds: https://letsencrypt.org/docs/rate-limits/.
	maxBudget    = 200
	budgetRefill = 40 * time.Second
)

// budget bounds how many orders are made of one authority. The zero value is full.
type budget struct {
	// Spent is how many orders the budget was short of at At.
	Spent float64   `json:"spent"`
	At    time.Time `json:"at"`
}

// spentBy is how many orders are missing at a time.
func (b budget) spentBy(now time.Time) float64 {
	if now.Before(b.At) { // the clock was ahead
		return b.Spent
	}
	return max(b.Spent-float64(now.Sub(b.At))/float64(budgetRefill), 0)
}

// take spends one order.
func (b *budget) take(now time.Time) { *b = budget{Spent: b.spentBy(now) + 1, At: now} }

// next is when there may be one more.
func (b budget) next(now time.Time) time.Time {
	missing := b.spentBy(now) + 1 - maxBudget
	if missing <= 0 {
		return now
	}
	return now.Add(time.Duration(missing * float64(budgetRefill)))
}
