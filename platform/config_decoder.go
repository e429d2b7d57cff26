package platform

import (
	"cmp"
	"slices"

	"gopkg.in/yaml.v3"
)

// decoder fills a draft with what a file says.
type decoder[T any] struct {
	*problems
	keys  keys[T]
	draft T
	// written has the keys that the file sets, and where.
	written map[string]*yaml.Node
	// broken has the keys that it sets to something invalid, without their aliases.
	broken map[string]bool
}

func newDecoder[T any](file string, keys keys[T]) *decoder[T] {
	d := &decoder[T]{problems: &problems{file: file}, keys: keys, written: map[string]*yaml.Node{}, broken: map[string]bool{}}
	d.putDefaults()
	return d
}

func (d *decoder[T]) putDefaults() {
	for _, k := range d.keys {
		if k.initial == "" {
			continue
		}
		node := yaml.Node{Kind: yaml.ScalarNode, Value: k.initial, Line: 1, Column: 1}
		if decoded, ok := k.kind.decode(configValue{d.problems, k.path, &node, &node}); ok {
			k.put(&d.draft, decoded)
		}
	}
}

func (d *decoder[T]) read(data []byte) {
	if root := d.parseYAML(data); root != nil {
		d.section("", configValue{d.problems, "", root, root})
	}
}

func (d *decoder[T]) section(section string, v configValue) {
	isMapping := v.entries("a mapping of keys to values", func(name string, entry configValue) {
		if k, known := d.keys.find(entry.path); known && k.section() == section {
			d.key(k, entry)
		} else if near := d.keys.nearest(section, name); near != "" {
			entry.problem("unknown key, did you mean %s?", near)
		} else {
			entry.problem("unknown key, known are %s", d.keys.names(section))
		}
	})
	if isMapping && section != "" {
		d.written[section] = v.at
	}
}

func (d *decoder[T]) key(k key[T], v configValue) {
	switch {
	case isNull(v.node):
		if k.null != nil {
			k.put(&d.draft, k.null)
		}
	case k.kind == nil:
		d.section(k.path, v)
	default:
		d.written[k.path] = v.at
		if decoded, ok := k.kind.decode(v); ok {
			k.put(&d.draft, decoded)
		} else {
			d.broken[cmp.Or(k.alias, k.path)] = true
		}
	}
}

func (d *decoder[T]) has(path string) bool { return d.written[path] != nil }

// sound says that none of the keys is broken: a rule about a broken one would only repeat what is wrong with it.
func (d *decoder[T]) sound(paths ...string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool { return d.broken[path] })
}

func (d *decoder[T]) report(path, format string, args ...any) {
	d.add(d.written[path].Line, d.written[path].Column, path, format, args...)
}
