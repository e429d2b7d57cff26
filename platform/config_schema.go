package platform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// schema is a JSON Schema.
type schema map[string]any

// ConfigSchema returns the JSON Schema (draft 2020-12) of jcloud.yml, for editors. What it accepts can still be refused
// by ParseConfig, where keys contradict each other; what it refuses is refused.
func ConfigSchema() []byte {
	root := sectionSchema("")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "jcloud.yml"
	root["description"] = "Configuration of a function of fnctl."
	root["allOf"] = exclusiveSchemas("")
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	// Patterns stay readable.
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		panic(fmt.Sprintf("platform: encode the schema: %v", err))
	}
	return b.Bytes()
}

func sectionSchema(section string) schema {
	properties := schema{}
	for _, k := range configKeys {
		if k.section() == section {
			properties[k.leaf()] = keySchema(k)
		}
	}
	return schema{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
}

func keySchema(k key[draft]) schema {
	if k.kind == nil {
		s := sectionSchema(k.path)
		s["description"] = k.doc
		if k.path == "autoscale" {
			s["allOf"] = append(metricSchemas(), exclusiveSchemas(k.path)...)
		}
		return s
	}
	s := nullable(k.kind.schema())
	s["description"] = k.doc
	if k.alias != "" {
		s["description"] = "Another name of " + k.alias + "."
	}
	if k.initial != "" {
		var initial any
		if err := yaml.Unmarshal([]byte(k.initial), &initial); err != nil {
			panic(fmt.Sprintf("platform: the default of %s is invalid: %v", k.path, err))
		}
		s["default"] = initial
	}
	return s
}

// nullable adds null, which means the default, to the values of a key.
func nullable(s schema) schema {
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

// given is the schema of a mapping that sets a key to something else than null.
func given(name string, with schema) schema {
	return schema{"type": "object", "required": []string{name}, "properties": schema{name: with}}
}

var notNull = schema{"not": schema{"type": "null"}}

// exclusiveSchemas are the pairs of keys of a section that exclude each other.
func exclusiveSchemas(section string) []schema {
	var all []schema
	for _, pair := range exclusive {
		first, _ := configKeys.find(pair.first)
		second, _ := configKeys.find(pair.second)
		if second.section() == section {
			all = append(all, schema{"not": schema{"allOf": []schema{given(first.leaf(), notNull), given(second.leaf(), notNull)}}})
		}
	}
	return all
}
