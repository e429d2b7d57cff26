package keys

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Size is a number of bytes from Min to Max: a number with a unit, or 0.
type Size struct {
	Min, Max int64
	// Zero is the meaning of 0 in words; 0 is refused if there are none.
	Zero string
}

// MaxSize is the Max of a Size that has none: what every reader of JSON keeps exactly.
const MaxSize = 1e15

var (
	sizePattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(K|KB|Ki|M|MB|Mi|G|GB|Gi)$`)
	sizeUnits   = map[string]float64{
		"K": 1e3, "KB": 1e3, "Ki": 1 << 10, "M": 1e6, "MB": 1e6, "Mi": 1 << 20, "G": 1e9, "GB": 1e9, "Gi": 1 << 30,
	}
)

// Decode implements Kind.
func (k Size) Decode(n Node) (int64, bool) {
	if f, ok := n.Number(); ok && f == 0 && k.Zero != "" {
		return 0, true
	}
	text, _ := n.Text()
	bytes, mustBe := k.parse(text)
	if mustBe != "" {
		n.MustBe(mustBe)
		return 0, false
	}
	return bytes, true
}

// Parse reads a size that stands elsewhere than in a file.
func (k Size) Parse(text string) (int64, error) {
	if text == "0" && k.Zero != "" {
		return 0, nil
	}
	bytes, mustBe := k.parse(text)
	if mustBe != "" {
		return 0, fmt.Errorf("must be %s, got %.40q", mustBe, text)
	}
	return bytes, nil
}

// parse returns the number of bytes, or what the text must be.
func (k Size) parse(text string) (bytes int64, mustBe string) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, k.Describe()
	}
	f, err := strconv.ParseFloat(m[1], 64)
	f = math.Round(f * sizeUnits[m[2]])
	switch {
	case err != nil || f > float64(k.Max):
		return 0, "at most " + formatSize(k.Max)
	case f < float64(k.Min):
		return 0, "at least " + formatSize(k.Min)
	}
	return int64(f), ""
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

// Schema implements Kind.
func (k Size) Schema() Schema {
	s := Schema{"type": []string{"string"}, "pattern": sizePattern.String()}
	if k.Zero != "" {
		s["type"], s["minimum"], s["maximum"] = []string{"number", "string"}, 0, 0
	}
	return s
}

// Describe implements Kind.
func (k Size) Describe() string {
	description := "a size such as 1G, in K, KB, Ki, M, MB, Mi, G, GB or Gi"
	if k.Min > 0 {
		description += fmt.Sprintf(", from %s to %s", formatSize(k.Min), formatSize(k.Max))
	}
	if k.Zero != "" {
		description += ", or 0 for " + k.Zero
	}
	return description
}
