package keys

import (
	"slices"
	"strings"
)

// Table has the keys of a file, which is read into a T. The parser, the JSON Schema and the manual are made of it.
type Table[T any] struct {
	Keys []Key[T]
	// Exclusive are pairs of keys that say the same thing in two ways. The second one is reported.
	Exclusive []Pair
}

// Pair is two paths of keys.
type Pair struct{ First, Second string }

// Key is one key of a file.
type Key[T any] struct {
	// Path is the name of the key, with its sections: autoscale.min. A key whose path is a section is that section.
	Path string
	// Bind returns the field of a T that the key sets; a section has none.
	Bind func(*T) Value
	// Default is the default, written as in a file, "" if there is none or it depends on other keys.
	Default string
	// DefaultText is the default in words, where it depends on other keys.
	DefaultText string
	// Alias is the key that this one is another name of.
	Alias string
	// Null stores what a null means, where that is not the default.
	Null func(*T)
	// Example is a value as in a file.
	Example string
	// Doc is the meaning of the key, as Markdown.
	Doc string
	// Rules are conditions of the JSON Schema between the keys of a section.
	Rules []Schema
}

// section is the part of a path before the last dot, "" at the top level.
func (k Key[T]) section() string { return k.Path[:max(strings.LastIndexByte(k.Path, '.'), 0)] }

// name is the name of the key in its section.
func (k Key[T]) name() string { return strings.TrimPrefix(k.Path, k.section()+".") }

// describe returns the schema and the manual of a value of the key, nil for a section.
func (k Key[T]) describe() Described {
	if k.Bind == nil {
		return nil
	}
	return k.Bind(new(T))
}

func (t *Table[T]) find(path string) (Key[T], bool) {
	i := slices.IndexFunc(t.Keys, func(k Key[T]) bool { return k.Path == path })
	if i < 0 {
		return Key[T]{}, false
	}
	return t.Keys[i], true
}

// nearest returns the path of the key that an unknown key in a section most likely means, "" if none is near. It may be a
// key of another section.
func (t *Table[T]) nearest(section, name string) string {
	var paths, names []string
	add := func(here bool) {
		for _, k := range t.Keys {
			if (k.section() == section) == here {
				paths, names = append(paths, k.Path), append(names, k.name())
			}
		}
	}
	// Of two that are equally near, the one in the same section is meant.
	add(true)
	add(false)
	if i := nearest(name, names); i >= 0 {
		return paths[i]
	}
	return ""
}

// Names lists the names of the keys at the top level: "metric, target, query".
func (t *Table[T]) Names() string { return t.names("") }

// names lists the names of a section's keys, without other names of keys.
func (t *Table[T]) names(section string) string {
	var names []string
	for _, k := range t.Keys {
		if k.section() == section && k.Alias == "" {
			names = append(names, k.name())
		}
	}
	return strings.Join(names, ", ")
}
