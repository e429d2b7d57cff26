package platform

import (
	"math"

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
