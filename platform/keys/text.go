package keys

import (
	"slices"
	"strings"
)

// Text is a string that Parse understands.
type Text[V any] struct {
	// Parse returns what a string means, or what is wrong with it.
	Parse func(string) (V, error)
	// Pattern is the regular expression of the strings in the JSON Schema.
	Pattern string
	// What describes the strings.
	What string
}

// Checked is the Parse of a string that means itself.
func Checked(check func(string) error) func(string) (string, error) {
	return func(s string) (string, error) { return s, check(s) }
}

// Decode implements Kind.
func (k Text[V]) Decode(n Node) (V, bool) {
	var none V
	s, ok := n.Text()
	if !ok {
		n.MustBe(k.What)
		return none, false
	}
	value, err := k.Parse(s)
	if err != nil {
		n.Report("%v", err)
		return none, false
	}
	return value, true
}

// Schema implements Kind.
func (k Text[V]) Schema() Schema { return Schema{"type": []string{"string"}, "pattern": k.Pattern} }

// Describe implements Kind.
func (k Text[V]) Describe() string { return k.What }

// Enum is one of a few words, each of which stands for a value.
type Enum[V any] struct {
	Words []string
	// Parse returns what one of the words means.
	Parse func(string) V
}

// EnumOf is an Enum of words that mean themselves.
func EnumOf[V ~string](values ...V) Enum[V] {
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = string(value)
	}
	return Enum[V]{words, func(word string) V { return V(word) }}
}

// Decode implements Kind.
func (k Enum[V]) Decode(n Node) (V, bool) {
	text, ok := n.Text()
	if ok && slices.Contains(k.Words, text) {
		return k.Parse(text), true
	}
	hint := ""
	if near := nearest(text, k.Words); ok && near >= 0 {
		hint = ", did you mean " + k.Words[near] + "?"
	}
	n.Report("must be %s, got %s%s", k.Describe(), shown(n.yaml), hint)
	var none V
	return none, false
}

// Schema implements Kind.
func (k Enum[V]) Schema() Schema { return Schema{"enum": slices.Clone(k.Words)} }

// Describe implements Kind.
func (k Enum[V]) Describe() string { return "one of " + strings.Join(k.Words, ", ") }
