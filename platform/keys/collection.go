package keys

import (
	"errors"

	"gopkg.in/yaml.v3"
)

// List is a list of one kind of text, or a single one.
type List[V any] struct{ Of Text[V] }

// Decode implements Kind. An empty list is nil.
func (k List[V]) Decode(n Node) ([]V, bool) {
	items := []Node{n}
	switch n.yaml.Kind {
	case yaml.SequenceNode:
		items = n.Items()
	case yaml.MappingNode:
		n.MustBe(k.Describe())
		return nil, false
	}
	var values []V
	ok := true
	for _, item := range items {
		value, valid := k.Of.Decode(item)
		values, ok = append(values, value), ok && valid
	}
	return values, ok
}

// Schema implements Kind.
func (k List[V]) Schema() Schema {
	return Schema{"type": []string{"string", "array"}, "pattern": k.Of.Pattern, "items": k.Of.Schema()}
}

// Describe implements Kind.
func (k List[V]) Describe() string { return k.Of.What + ", or a list of them" }

// Dictionary maps names to texts. Numbers and booleans are taken as they are written.
type Dictionary struct {
	CheckName, CheckValue func(string) error
	// Names is the schema of a name.
	Names Schema
	// What describes the dictionary.
	What string
}

// errNoLiteral doesn't show the value, which may be a secret.
var errNoLiteral = errors.New(`must be a text, a number or a boolean; "" is an empty text`)

// Decode implements Kind.
func (k Dictionary) Decode(n Node) (map[string]string, bool) {
	texts, ok := map[string]string{}, true
	isMapping := n.entries(k.What, func(name string, entry Node) {
		text, err := k.entry(name, entry)
		if err != nil {
			entry.Report("%v", err)
			ok = false
		}
		texts[name] = text
	})
	return texts, ok && isMapping
}

func (k Dictionary) entry(name string, n Node) (string, error) {
	if err := k.CheckName(name); err != nil {
		return "", err
	}
	text, isLiteral := n.Literal()
	if !isLiteral {
		return "", errNoLiteral
	}
	return text, k.CheckValue(text)
}

// Schema implements Kind.
func (k Dictionary) Schema() Schema {
	return Schema{"type": []string{"object"}, "propertyNames": k.Names,
		"additionalProperties": Schema{"type": []string{"string", "number", "boolean"}}}
}

// Describe implements Kind.
func (k Dictionary) Describe() string { return k.What }
