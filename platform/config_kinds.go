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

// A kind is what the value of a key may be.
type kind interface {
	// decode returns what the value means. It reports what is wrong with it, and then returns false.
	decode(v configValue) (any, bool)
	// schema describes the same values as JSON Schema, as far as that can.
	schema() schema
	// words describe them in an error message, after "must be", and in the manual.
	words() string
}

// configValue is a value in a file, and where to report what is wrong with it.
type configValue struct {
	*problems
	path string
	// at is the node to report: the key of an entry of a mapping, the item of a list.
	at   *yaml.Node
	node *yaml.Node
}

func (v configValue) problem(format string, args ...any) {
	v.add(v.at.Line, v.at.Column, v.path, format, args...)
}

// mustBe reports a value of the wrong kind.
func (v configValue) mustBe(words string) (any, bool) {
	v.problem("must be %s, got %s", words, shown(v.node))
	return nil, false
}

// text returns a string value.
func (v configValue) text() (string, bool) {
	return v.node.Value, v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!str"
}

// literal returns a scalar as it is written in the file: numbers keep their zeros.
func (v configValue) literal() (string, bool) {
	return v.node.Value, v.node.Kind == yaml.ScalarNode && !isNull(v.node)
}

func (v configValue) number() (float64, bool) {
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!int" && v.node.ShortTag() != "!!float" {
		return 0, false
	}
	var f float64
	err := v.node.Decode(&f)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// entries calls each for every entry of a mapping, or reports why the value isn't one.
func (v configValue) entries(words string, each func(name string, entry configValue)) bool {
	if v.node.Kind != yaml.MappingNode {
		v.mustBe(words)
		return false
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, node := v.node.Content[i], v.node.Content[i+1]
		entry := configValue{v.problems, v.path, key, node}
		if key.Kind != yaml.ScalarNode {
			entry.problem("the name of a key must be plain text, got %s", shown(key))
			continue
		}
		if v.path != "" {
			entry.path += "."
		}
		entry.path += shownKey(key.Value)
		switch line, duplicate := lines[key.Value]; {
		case key.ShortTag() == "!!merge":
			entry.problem("merge keys are not supported, write the values out")
		case duplicate:
			entry.problem("is already set in line %d", line)
		default:
			lines[key.Value] = key.Line
			each(key.Value, entry)
		}
	}
	return true
}

// items are the items of a list.
func (v configValue) items() []configValue {
	items := make([]configValue, len(v.node.Content))
	for i, item := range v.node.Content {
		items[i] = configValue{v.problems, v.path, item, item}
	}
	return items
}

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
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// byteSize is a number of bytes: a number with a unit, 0 for none.
type byteSize struct{}

var (
	sizePattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(M|MB|Mi|G|GB|Gi)$`)
	sizeUnits   = map[string]float64{"M": 1e6, "MB": 1e6, "Mi": 1 << 20, "G": gigabyte, "GB": gigabyte, "Gi": 1 << 30}
)

const maxSize = 1e15

func (k byteSize) decode(v configValue) (any, bool) {
	if f, ok := v.number(); ok && f == 0 {
		return int64(0), true
	}
	text, _ := v.text()
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return v.mustBe(k.words())
	}
	f, err := strconv.ParseFloat(m[1], 64)
	bytes := math.Round(f * sizeUnits[m[2]])
	if err != nil || bytes > maxSize {
		return v.mustBe("at most 1000000G")
	}
	return int64(bytes), true
}

func (byteSize) schema() schema {
	return schema{"type": []string{"number", "string"}, "minimum": 0, "maximum": 0, "pattern": sizePattern.String()}
}
func (byteSize) words() string {
	return "a size such as 1G, in M, MB, Mi, G, GB or Gi, or 0 for no disk"
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

// textList is a list of one kind of text, or a single one.
type textList struct{ of checkedText }

func (k textList) decode(v configValue) (any, bool) {
	items := []configValue{v}
	switch v.node.Kind {
	case yaml.SequenceNode:
		items = v.items()
	case yaml.MappingNode:
		return v.mustBe(k.words())
	}
	texts, ok := []string{}, true
	for _, item := range items {
		decoded, valid := k.of.decode(item)
		text, _ := decoded.(string)
		texts, ok = append(texts, text), ok && valid
	}
	return texts, ok
}

func (k textList) schema() schema {
	return schema{"type": []string{"string", "array"}, "pattern": k.of.pattern, "items": k.of.schema()}
}
func (k textList) words() string { return k.of.what + ", or a list of them" }

// argv is a command line: its words in a list, or one string that is split at blanks. No shell reads it.
type argv struct{}

// shellCharacters mean something to a shell, so whoever writes them into a string expects what won't happen.
const shellCharacters = "\"'\\`$|&;<>()[]{}*?!~#"

func (k argv) decode(v configValue) (any, bool) {
	words, ok := k.split(v)
	switch {
	case !ok:
		return nil, false
	case len(words) == 0 || words[0] == "":
		v.problem("must name a program")
		return nil, false
	case slices.ContainsFunc(words, func(word string) bool { return strings.ContainsRune(word, 0) }):
		v.problem("must not contain a NUL character")
		return nil, false
	}
	return words, true
}

func (k argv) split(v configValue) ([]string, bool) {
	if v.node.Kind == yaml.SequenceNode {
		return k.literals(v)
	}
	line, ok := v.text()
	if !ok {
		v.mustBe(k.words())
		return nil, false
	}
	if i := strings.IndexAny(line, shellCharacters); i >= 0 {
		v.problem("no shell reads the command, %q would be taken literally: write a list of words to mean that", line[i])
		return nil, false
	}
	return strings.Fields(line), true
}

func (argv) literals(v configValue) (words []string, ok bool) {
	ok = true
	for _, item := range v.items() {
		word, isLiteral := item.literal()
		if !isLiteral {
			item.mustBe("a word of the command")
		}
		words, ok = append(words, word), ok && isLiteral
	}
	return words, ok
}

func (argv) schema() schema {
	word := "[^" + regexp.QuoteMeta(shellCharacters)
	return schema{"type": []string{"array", "string"}, "pattern": "^" + word + "]*" + word + `\s]` + word + "]*$",
		"items": schema{"type": []string{"string", "number", "boolean"}}, "minItems": 1}
}
func (argv) words() string {
	return "a list of words, or one string without quotes and other characters of a shell"
}

// dictionary maps names to texts. Numbers and booleans are taken as they are written.
type dictionary struct {
	checkName  func(string) error
	checkValue func(string) error
	// names is the schema of a name.
	names schema
	what  string
}

func (k dictionary) decode(v configValue) (any, bool) {
	decoded, ok := map[string]string{}, true
	isMapping := v.entries(k.words(), func(name string, entry configValue) {
		text, isLiteral := entry.literal()
		if err := k.checkName(name); err != nil {
			entry.problem("%v", err)
			ok = false
		} else if !isLiteral {
			ok = false
			entry.problem(`must be a text, a number or a boolean; "" is an empty text`)
		} else if err := k.checkValue(text); err != nil {
			entry.problem("%v", err)
			ok = false
		}
		decoded[name] = text
	})
	return decoded, ok && isMapping
}

func (k dictionary) schema() schema {
	return schema{"type": []string{"object"}, "propertyNames": k.names,
		"additionalProperties": schema{"type": []string{"string", "number", "boolean"}}}
}
func (k dictionary) words() string { return k.what }
