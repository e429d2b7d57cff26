package keys

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Integer is a whole number from Min to Max.
type Integer struct {
	Min, Max int
	// Quoted accepts "1" for 1.
	Quoted bool
}

// Unbounded is the Max of an Integer that has none.
const Unbounded = math.MaxInt32

var digits = regexp.MustCompile(`^[0-9]+$`)

// Contains reports whether a number is within the bounds.
func (k Integer) Contains(n int) bool { return n >= k.Min && n <= k.Max }

// Decode implements Kind.
func (k Integer) Decode(n Node) (int, bool) {
	f, ok := n.Number()
	if text, isText := n.Text(); isText && k.Quoted && digits.MatchString(text) {
		number, err := strconv.Atoi(text)
		f, ok = float64(number), err == nil
	}
	if !ok || f != math.Trunc(f) || f < float64(k.Min) || f > float64(k.Max) {
		n.MustBe(k.Describe())
		return 0, false
	}
	return int(f), true
}

// Schema implements Kind.
func (k Integer) Schema() Schema {
	s := Schema{"type": []string{"integer"}, "minimum": k.Min}
	if k.Max != Unbounded {
		s["maximum"] = k.Max
	}
	if k.Quoted {
		s["type"], s["pattern"] = []string{"integer", "string"}, digits.String()
	}
	return s
}

// Describe implements Kind.
func (k Integer) Describe() string {
	if k.Max == Unbounded {
		return fmt.Sprintf("an integer of at least %d", k.Min)
	}
	return fmt.Sprintf("an integer from %d to %d", k.Min, k.Max)
}

// Positive is a number above 0.
type Positive struct{}

// Decode implements Kind.
func (k Positive) Decode(n Node) (float64, bool) {
	f, ok := n.Number()
	if !ok || f <= 0 {
		n.MustBe(k.Describe())
		return 0, false
	}
	return f, true
}

// Schema implements Kind.
func (Positive) Schema() Schema { return Schema{"type": []string{"number"}, "exclusiveMinimum": 0} }

// Describe implements Kind.
func (Positive) Describe() string { return "a number above 0" }

// Boolean is true or false.
type Boolean struct{}

// Decode implements Kind.
func (k Boolean) Decode(n Node) (bool, bool) {
	b, ok := n.Bool()
	if !ok {
		n.MustBe(k.Describe())
	}
	return b, ok
}

// Schema implements Kind.
func (Boolean) Schema() Schema { return Schema{"type": []string{"boolean"}} }

// Describe implements Kind.
func (Boolean) Describe() string { return "true or false" }

// Percent is a part of something, from 0% to 100%: 0.5 for 50%. 0 needs no sign.
type Percent struct{}

var percentPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?%$`)

// Decode implements Kind.
func (k Percent) Decode(n Node) (float64, bool) {
	if f, ok := n.Number(); ok && f == 0 {
		return 0, true
	}
	text, _ := n.Text()
	f, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !percentPattern.MatchString(text) || f > 100 {
		n.MustBe(k.Describe())
		return 0, false
	}
	return f / 100, true
}

// Schema implements Kind.
func (Percent) Schema() Schema {
	return Schema{"type": []string{"string", "integer"}, "pattern": percentPattern.String(), "minimum": 0, "maximum": 0}
}

// Describe implements Kind.
func (Percent) Describe() string { return "a part such as 50%, at most 100%" }
