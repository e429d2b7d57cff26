package keys

// Manual is the entry of a key in a manual. Its texts are Markdown.
type Manual struct {
	// Path is the name of the key, with its section: autoscale.min.
	Path string
	// Value describes the values of the key. A section, whose keys follow it, has none.
	Value string
	// Default is empty if there is none.
	Default string
	Meaning string
	// Example is a line of the file.
	Example string
}

// Manual describes the keys of the table, in its order.
func (t *Table[T]) Manual() []Manual {
	var all []Manual
	for _, k := range t.Keys {
		m := Manual{Path: k.Path, Default: k.DefaultText, Meaning: k.Doc}
		if k.Default != "" {
			m.Default = "`" + k.Default + "`"
		}
		if k.Alias != "" {
			m.Meaning = "Another name of `" + k.Alias + "`."
		}
		if described := k.describe(); described != nil {
			m.Value = described.Describe()
			m.Example = k.name() + ": " + k.Example
		}
		all = append(all, m)
	}
	return all
}
