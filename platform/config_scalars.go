package platform

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// integer is a whole number.
type integer struct {
	min, max int
	// quoted accepts "1" for 1, as fastapi-serve did.
	quoted bool
}

const unbounded = math.MaxInt32

func (k integer) decode(v configValue) (any, bool) {
	f, ok := v.number()
	if text, isText := v.text(); isText && k.quoted && digits.MatchString(text) {
		n, err := strconv.Atoi(text)
		f, ok = float64(n), err == nil
	}
	if !ok || f != math.Trunc(f) || f < float64(k.min) || f > float64(k.max) {
		return v.mustBe(k.words())
	}
	return int(f), true
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func (k integer) schema() schema {
	s := schema{"type": []string{"integer"}, "minimum": k.min}
	if k.max != unbounded {
		s["maximum"] = k.max
	}
	if k.quoted {
		s["type"], s["pattern"] = []string{"integer", "string"}, digits.String()
	}
	return s
}

func (k integer) words() string {
	if k.max == unbounded {
		return fmt.Sprintf("an integer of at least %d", k.min)
	}
	return fmt.Sprintf("an integer from %d to %d", k.min, k.max)
}

// positive is a number above 0.
type positive struct{}

func (k positive) decode(v configValue) (any, bool) {
	f, ok := v.number()
	if !ok || f <= 0 {
		return v.mustBe(k.words())
	}
	return f, true
}

func (positive) schema() schema { return schema{"type": []string{"number"}, "exclusiveMinimum": 0} }
func (positive) words() string  { return "a number above 0" }

// boolean is true or false.
type boolean struct{}

func (k boolean) decode(v configValue) (any, bool) {
	var b bool
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!bool" || v.node.Decode(&b) != nil {
		return v.mustBe(k.words())
	}
	return b, true
}

func (boolean) schema() schema { return schema{"type": []string{"boolean"}} }
func (boolean) words() string  { return "true or false" }

// seconds is a duration: a number of seconds, or a text such as 90s or 1m30s.
type seconds struct{ min, max time.Duration }

var durationPattern = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)

func (k seconds) decode(v configValue) (any, bool) {
	d, ok := k.duration(v)
	if !ok || d < k.min || d > k.max {
		return v.mustBe(k.words())
	}
	return d, true
}

func (k seconds) duration(v configValue) (time.Duration, bool) {
	if f, ok := v.number(); ok {
		// Compared as seconds first: what is out of range may not fit into a Duration.
		return time.Duration(math.Round(f * float64(time.Second))), f >= 0 && f <= k.max.Seconds()
	}
	text, ok := v.text()
	if !ok || !durationPattern.MatchString(text) {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

func (k seconds) schema() schema {
	return schema{"type": []string{"number", "string"}, "minimum": k.min.Seconds(), "maximum": k.max.Seconds(),
		"pattern": durationPattern.String()}
}

func (k seconds) words() string {
	return fmt.Sprintf("seconds, or a duration such as 90s or 2m, from %s to %s", formatDuration(k.min), longDuration(k.max))
}

// longDuration is a limit of hours or days in words.
func longDuration(d time.Duration) string {
	if d%day == 0 && d > day {
		return fmt.Sprintf("%d days", d/day)
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// byteSize is a number of bytes: a number with a unit, or 0.
type byteSize struct {
	min, max int64
	// zero says what 0 means; it is refused if that is nothing.
	zero string
}

var (
	sizePattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(K|KB|Ki|M|MB|Mi|G|GB|Gi)$`)
	sizeUnits   = map[string]float64{
		"K": 1e3, "KB": 1e3, "Ki": 1 << 10, "M": 1e6, "MB": 1e6, "Mi": 1 << 20, "G": gigabyte, "GB": gigabyte, "Gi": 1 << 30,
	}
)

const maxSize = 1e15

func (k byteSize) decode(v configValue) (any, bool) {
	if f, ok := v.number(); ok && f == 0 && k.zero != "" {
		return int64(0), true
	}
	text, _ := v.text()
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return v.mustBe(k.words())
	}
	f, err := strconv.ParseFloat(m[1], 64)
	switch bytes := math.Round(f * sizeUnits[m[2]]); {
	case err != nil || bytes > float64(k.max):
		return v.mustBe("at most " + formatSize(k.max))
	case bytes < float64(k.min):
		return v.mustBe("at least " + formatSize(k.min))
	default:
		return int64(bytes), true
	}
}

// formatSize writes a limit in the largest unit that leaves a whole number.
func formatSize(bytes int64) string {
	for _, unit := range []string{"Gi", "G", "Mi", "M", "Ki", "K"} {
		if size := int64(sizeUnits[unit]); bytes%size == 0 {
			return fmt.Sprintf("%d%s", bytes/size, unit)
		}
	}
	return fmt.Sprintf("%d bytes", bytes)
}

func (k byteSize) schema() schema {
	s := schema{"type": []string{"string"}, "pattern": sizePattern.String()}
	if k.zero != "" {
		s["type"], s["minimum"], s["maximum"] = []string{"number", "string"}, 0, 0
	}
	return s
}

func (k byteSize) words() string {
	words := "a size such as 1G, in K, KB, Ki, M, MB, Mi, G, GB or Gi"
	if k.min > 0 {
		words += fmt.Sprintf(", from %s to %s", formatSize(k.min), formatSize(k.max))
	}
	if k.zero != "" {
		words += ", or 0 for " + k.zero
	}
	return words
}

// oneOf is one of a few words, of which each stands for something.
type oneOf struct {
	values []string
	mean   func(string) any
}

func (k oneOf) decode(v configValue) (any, bool) {
	text, ok := v.text()
	if ok && slices.Contains(k.values, text) {
		return k.mean(text), true
	}
	hint := ""
	if near := nearest(text, k.values); ok && near >= 0 {
		hint = ", did you mean " + k.values[near] + "?"
	}
	v.problem("must be %s, got %s%s", k.words(), shown(v.node), hint)
	return nil, false
}

func (k oneOf) schema() schema { return schema{"enum": slices.Clone(k.values)} }
func (k oneOf) words() string  { return "one of " + strings.Join(k.values, ", ") }

// checkedText is a string that a function checks.
type checkedText struct {
	check   func(string) error
	pattern string
	what    string
}

func (k checkedText) decode(v configValue) (any, bool) {
	s, ok := v.text()
	if !ok {
		return v.mustBe(k.words())
	}
	if err := k.check(s); err != nil {
		v.problem("%v", err)
		return nil, false
	}
	return s, true
}

func (k checkedText) schema() schema { return schema{"type": []string{"string"}, "pattern": k.pattern} }
func (k checkedText) words() string  { return k.what }
