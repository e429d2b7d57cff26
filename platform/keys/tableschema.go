package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// Schema returns the JSON Schema (draft 2020-12) of the file, for editors. What it refuses is refused by Read; what it accepts
// can still be refused, where keys contradict each other.
func (t *Table[T]) Schema(title, description string) []byte {
	root := t.sectionSchema("")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	root["description"] = description
	root["allOf"] = t.exclusiveSchemas("")
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	// Patterns stay readable.
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		panic(fmt.Sprintf("keys: encode the schema of %s: %v", title, err))
	}
	return b.Bytes()
}

// ItemSchema returns the schema of a mapping in a list. A null means the same as a key that is not there.
func (t *Table[T]) ItemSchema() Schema {
	properties := Schema{}
	for _, k := range t.Keys {
		properties[k.Path] = nullable(k.describe().Schema())
	}
	return Schema{"type": "object", "properties": properties, "additionalProperties": false}
}

func (t *Table[T]) sectionSchema(section string) Schema {
	properties := Schema{}
	for _, k := range t.Keys {
		if k.section() == section {
			properties[k.name()] = t.keySchema(k)
		}
	}
	return Schema{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
}

func (t *Table[T]) keySchema(k Key[T]) Schema {
	described := k.describe()
	if described == nil {
		s := t.sectionSchema(k.Path)
		s["description"] = k.Doc
		if rules := append(slices.Clone(k.Rules), t.exclusiveSchemas(k.Path)...); len(rules) > 0 {
			s["allOf"] = rules
		}
		return s
	}
	s := nullable(described.Schema())
	s["description"] = k.Doc
	if k.Alias != "" {
		s["description"] = "Another name of " + k.Alias + "."
	}
	if k.Default != "" {
		var value any
		if err := yaml.Unmarshal([]byte(k.Default), &value); err != nil {
			panic(fmt.Sprintf("keys: the default of %s is invalid: %v", k.Path, err))
		}
		s["default"] = value
	}
	return s
}

// exclusiveSchemas are the pairs of keys of a section that exclude each other.
func (t *Table[T]) exclusiveSchemas(section string) []Schema {
	var all []Schema
	for _, pair := range t.Exclusive {
		first, _ := t.find(pair.First)
		second, _ := t.find(pair.Second)
		if second.section() == section {
			all = append(all, Schema{"not": Schema{"allOf": []Schema{Given(first.name()), Given(second.name())}}})
		}
	}
	return all
}
