package keys

import (
	"math"

	"gopkg.in/yaml.v3"
)

// Node is a value in a file, and the place at which its errors are reported.
type Node struct {
	errors *Errors
	path   string
	// at is the place in errors: the key of an entry of a mapping, the item of a list.
	at   *yaml.Node
	yaml *yaml.Node
}

// Report adds an error about the node.
func (n Node) Report(format string, args ...any) { n.reportAs(n.path, format, args...) }

// reportAs adds an error about a key at the place of the node.
func (n Node) reportAs(path, format string, args ...any) {
	n.errors.Add(n.at.Line, n.at.Column, path, format, args...)
}

// MustBe reports that the node is of the wrong kind.
func (n Node) MustBe(description string) {
	n.Report("must be %s, got %s", description, shown(n.yaml))
}

// IsNull reports whether the node is a null, as is a key without a value.
func (n Node) IsNull() bool { return isNull(n.yaml) }

// IsList reports whether the node is a list.
func (n Node) IsList() bool { return n.yaml.Kind == yaml.SequenceNode }

// Text returns a string.
func (n Node) Text() (string, bool) {
	return n.yaml.Value, n.yaml.Kind == yaml.ScalarNode && n.yaml.ShortTag() == "!!str"
}

// Literal returns a scalar as it is written in the file: numbers keep their zeros.
func (n Node) Literal() (string, bool) {
	return n.yaml.Value, n.yaml.Kind == yaml.ScalarNode && !n.IsNull()
}

// Number returns a finite number.
func (n Node) Number() (float64, bool) {
	if n.yaml.Kind != yaml.ScalarNode || n.yaml.ShortTag() != "!!int" && n.yaml.ShortTag() != "!!float" {
		return 0, false
	}
	var f float64
	err := n.yaml.Decode(&f)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// Bool returns a boolean.
func (n Node) Bool() (value, ok bool) {
	if n.yaml.Kind != yaml.ScalarNode || n.yaml.ShortTag() != "!!bool" {
		return false, false
	}
	err := n.yaml.Decode(&value)
	return value, err == nil
}

// Items are the items of a list, with the path of the list.
func (n Node) Items() []Node {
	items := make([]Node, len(n.yaml.Content))
	for i, item := range n.yaml.Content {
		items[i] = Node{n.errors, n.path, item, item}
	}
	return items
}

// entries calls each for every entry of a mapping. It reports merge keys and keys that are set twice. If the node is no
// mapping it reports that, with the description, and returns false.
func (n Node) entries(description string, each func(name string, entry Node)) bool {
	if n.yaml.Kind != yaml.MappingNode {
		n.MustBe(description)
		return false
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		key, value := n.yaml.Content[i], n.yaml.Content[i+1]
		entry := Node{n.errors, n.path, key, value}
		if key.Kind != yaml.ScalarNode {
			entry.Report("the name of a key must be plain text, got %s", shown(key))
			continue
		}
		entry.path = join(n.path, shownKey(key.Value))
		switch line, duplicate := lines[key.Value]; {
		case key.ShortTag() == "!!merge":
			entry.Report("merge keys are not supported, write the values out")
		case duplicate:
			entry.Report("is already set in line %d", line)
		default:
			lines[key.Value] = key.Line
			each(key.Value, entry)
		}
	}
	return true
}

// join is the path of a key in a section, which is "" at the top level.
func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}
