package keys

import "slices"

// Schema is a JSON Schema.
type Schema map[string]any

// Given is the schema of a mapping that sets a key to something else than null.
func Given(name string) Schema { return GivenAs(name, Schema{"not": Schema{"type": "null"}}) }

// GivenAs is the schema of a mapping that sets a key to a value of some schema.
func GivenAs(name string, value Schema) Schema {
	return Schema{"type": "object", "required": []string{name}, "properties": Schema{name: value}}
}

// nullable adds null, which means the default, to the values of a key.
func nullable(s Schema) Schema {
	if types, ok := s["type"].([]string); ok {
		s["type"] = append(slices.Clone(types), "null")
	}
	if values, ok := s["enum"].([]string); ok {
		all := make([]any, len(values), len(values)+1)
		for i, value := range values {
			all[i] = value
		}
		s["enum"] = append(all, nil)
	}
	return s
}
