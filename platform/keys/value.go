package keys

// Kind is a set of values that a key may have. V is the type of what they mean.
type Kind[V any] interface {
	// Decode returns the meaning of a node. If the node is invalid, Decode reports an error to it and returns false.
	Decode(Node) (V, bool)
	Described
}

// Described is the part of a kind that the schema and the manual need.
type Described interface {
	// Schema describes the values of the kind as JSON Schema, as far as that can.
	Schema() Schema
	// Describe describes them in an error message, after "must be", and in the manual.
	Describe() string
}

// Value is a kind that is bound to a variable, as a flag.Value is.
type Value interface {
	// Set stores the meaning of a node. If the node is invalid, Set reports an error to it, stores nothing and returns false.
	Set(Node) bool
	Described
}

// Bind returns a Value that stores the meaning of a node in a variable.
func Bind[V any](variable *V, kind Kind[V]) Value { return bound[V]{kind, variable} }

type bound[V any] struct {
	Kind[V]
	variable *V
}

func (b bound[V]) Set(n Node) bool {
	value, ok := b.Decode(n)
	if ok {
		*b.variable = value
	}
	return ok
}
