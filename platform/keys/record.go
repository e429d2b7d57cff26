package keys

import (
	"cmp"
	"slices"

	"gopkg.in/yaml.v3"
)

// Record is a mapping that was read by a table: a whole file, or an item of a list.
type Record[T any] struct {
	// Values has the values of the keys that are written, and the defaults of the others.
	Values T
	table  *Table[T]
	node   Node
	// written has the keys that the file sets, also to something invalid, and where.
	written map[string]Node
	// broken has the keys that it sets to something invalid, without their aliases.
	broken map[string]bool
	// unknown reports whether it has keys that are not in the table.
	unknown bool
}

// Read reads a file, whose name is only for messages. Err returns its errors; if there are any, Values has only the keys that
// are valid.
func (t *Table[T]) Read(file string, data []byte) *Record[T] {
	start := &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
	r := t.newRecord(Node{&Errors{File: file}, "", start, start})
	r.setDefaults()
	if root := r.node.errors.parseYAML(data); root != nil {
		r.node.at, r.node.yaml = root, root
		r.readSection("", r.node, "a mapping of keys to values")
	}
	for _, pair := range t.Exclusive {
		if r.Has(pair.First) && r.Has(pair.Second) {
			r.Report(pair.Second, "cannot be used together with %s", pair.First)
		}
	}
	return r
}

// ReadItem reads a mapping in a list. Its errors are those of the node's file; ok reports whether its keys are known and valid.
func (t *Table[T]) ReadItem(n Node) (item *Record[T], ok bool) {
	r := t.newRecord(n)
	ok = r.readSection("", n, "a mapping with "+t.Names())
	return r, ok && !r.unknown && len(r.broken) == 0
}

func (t *Table[T]) newRecord(n Node) *Record[T] {
	return &Record[T]{table: t, node: n, written: map[string]Node{}, broken: map[string]bool{}}
}

func (r *Record[T]) setDefaults() {
	for _, k := range r.table.Keys {
		if k.Default != "" {
			node := &yaml.Node{Kind: yaml.ScalarNode, Value: k.Default, Line: 1, Column: 1}
			k.Bind(&r.Values).Set(Node{r.node.errors, k.Path, node, node})
		}
	}
}

// readSection reads the keys of a section, and reports whether it is a mapping.
func (r *Record[T]) readSection(section string, n Node, description string) bool {
	return n.entries(description, func(name string, entry Node) {
		if k, known := r.table.find(join(section, name)); known && k.section() == section {
			r.readKey(k, entry)
			return
		}
		r.unknown = true
		if near := r.table.nearest(section, name); near != "" {
			entry.Report("unknown key, did you mean %s?", near)
		} else {
			entry.Report("unknown key, known are %s", r.table.names(section))
		}
	})
}

func (r *Record[T]) readKey(k Key[T], n Node) {
	switch {
	case n.IsNull():
		if k.Null != nil {
			k.Null(&r.Values)
		}
	case k.Bind == nil:
		if r.readSection(k.Path, n, "a mapping of keys to values") {
			r.written[k.Path] = n
		}
	default:
		r.written[k.Path] = n
		if !k.Bind(&r.Values).Set(n) {
			r.broken[cmp.Or(k.Alias, k.Path)] = true
		}
	}
}

// Has reports whether a key is written, be it with something invalid. A null is not written.
func (r *Record[T]) Has(path string) bool {
	_, has := r.written[path]
	return has
}

// Valid reports whether none of the keys is written with something invalid: a rule about an invalid one would only repeat
// what is wrong with it.
func (r *Record[T]) Valid(paths ...string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool { return r.broken[path] })
}

// Report adds an error about a key. It stands where the key is written, or at the record if it is not.
func (r *Record[T]) Report(path, format string, args ...any) { r.ReportAt(path, path, format, args...) }

// ReportAt adds an error about a key at the place of another one.
func (r *Record[T]) ReportAt(at, path, format string, args ...any) {
	n, has := r.written[at]
	if !has {
		n = r.node
	}
	n.reportAs(join(r.node.path, path), format, args...)
}

// Err joins all errors of the file, each an *Error, in their order; it is nil if there are none.
func (r *Record[T]) Err() error { return r.node.errors.Err() }
