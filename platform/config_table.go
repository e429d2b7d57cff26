package platform

import (
	"slices"
	"strings"
)

// key is one key of a file that a T is read from.
type key[T any] struct {
	// path is the name of the key, with its section: autoscale.min.
	path string
	// kind is what its value may be; a section has none.
	kind kind
	// initial is the default, written as in a file, "" if there is none or it depends on other keys.
	initial string
	// initialWords is the default where it depends on other keys.
	initialWords string
	// alias is the key that this one is another name of.
	alias string
	// null is what a null means; nil is the default.
	null any
	// example is a value as in a file.
	example string
	doc     string
	put     func(*T, any)
}

// keys is the table of a file's keys. It is what the parser, the JSON Schema and the manual are made of.
type keys[T any] []key[T]

// into stores a decoded value in a field.
func into[T, V any](field func(*T) *V) func(*T, any) {
	return func(t *T, decoded any) { *field(t) = decoded.(V) }
}

// section is the part of a path before the last dot, "" at the top level.
func (k key[T]) section() string {
	section, _, nested := strings.Cut(k.path, ".")
	if !nested {
		return ""
	}
	return section
}

// leaf is the name of the key in its section.
func (k key[T]) leaf() string { return strings.TrimPrefix(k.path, k.section()+".") }

func (t keys[T]) find(path string) (key[T], bool) {
	i := slices.IndexFunc(t, func(k key[T]) bool { return k.path == path })
	if i < 0 {
		return key[T]{}, false
	}
	return t[i], true
}

// nearest returns the path of the key that an unknown key in a section most likely means, "" if none is near. It may be a
// key of another section.
func (t keys[T]) nearest(section, name string) string {
	var paths, leaves []string
	add := func(here bool) {
		for _, k := range t {
			if (k.section() == section) == here {
				paths, leaves = append(paths, k.path), append(leaves, k.leaf())
			}
		}
	}
	// Of two that are equally near, the one in the same section is meant.
	add(true)
	add(false)
	if i := nearest(name, leaves); i >= 0 {
		return paths[i]
	}
	return ""
}

// names are the names of a section's keys.
func (t keys[T]) names(section string) string {
	var names []string
	for _, k := range t {
		if k.section() == section && k.alias == "" {
			names = append(names, k.leaf())
		}
	}
	return strings.Join(names, ", ")
}
