package keys

import (
	"fmt"
	"math"
	"regexp"
	"time"
)

// Seconds is a duration from Min to Max: a number of seconds, or a text such as 90s or 1m30s. D counts nanoseconds, as
// time.Duration does.
type Seconds[D ~int64] struct{ Min, Max D }

// Day is the longest unit of durations in messages.
const Day = 24 * time.Hour

var durationPattern = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)

// Decode implements Kind.
func (k Seconds[D]) Decode(n Node) (D, bool) {
	d, ok := k.duration(n)
	if !ok || d < k.Min || d > k.Max {
		n.MustBe(k.Describe())
		return 0, false
	}
	return d, true
}

func (k Seconds[D]) duration(n Node) (D, bool) {
	if f, ok := n.Number(); ok {
		// Compared as seconds first: what is out of range may not fit into a D.
		return D(math.Round(f * float64(time.Second))), f >= 0 && f <= time.Duration(k.Max).Seconds()
	}
	text, ok := n.Text()
	if !ok || !durationPattern.MatchString(text) {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return D(d), err == nil
}

// Schema implements Kind.
func (k Seconds[D]) Schema() Schema {
	return Schema{"type": []string{"number", "string"}, "minimum": time.Duration(k.Min).Seconds(), "maximum": time.Duration(k.Max).Seconds(),
		"pattern": durationPattern.String()}
}

// Describe implements Kind.
func (k Seconds[D]) Describe() string {
	return fmt.Sprintf("seconds, or a duration such as 90s or 2m, from %s to %s",
		FormatDuration(time.Duration(k.Min)), longDuration(time.Duration(k.Max)))
}

// longDuration is a limit of hours or days in words.
func longDuration(d time.Duration) string {
	if d%Day == 0 && d > Day {
		return fmt.Sprintf("%d days", d/Day)
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// FormatDuration writes a duration so that Seconds reads it: in whole seconds where it has no smaller part, as in 120s,
// else as time.Duration does, as in 1.5s.
func FormatDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}
