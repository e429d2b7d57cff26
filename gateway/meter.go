package gateway

import "time"

// meter is a number that changes over time, and its integral. Its owner locks it.
type meter struct {
	n     int
	since time.Time
	sum   float64
}

func (m *meter) add(now time.Time, delta int) {
	m.sum = m.integral(now)
	m.since = now
	m.n += delta
}

// integral is ∫ n dt up to now, in seconds.
func (m *meter) integral(now time.Time) float64 {
	if m.n == 0 {
		return m.sum
	}
	return m.sum + float64(m.n)*now.Sub(m.since).Seconds()
}
