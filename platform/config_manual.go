package platform

// KeyManual is what a manual page says of a key of jcloud.yml or fnctl.yml. Its texts are Markdown.
type KeyManual struct {
	// Path is the name of the key, with its section: autoscale.min.
	Path string
	// Value says what the value may be. A section, whose keys follow it, has none.
	Value string
	// Default is empty if there is none.
	Default string
	Meaning string
	// Example is a line of the file.
	Example string
}

// ConfigManual describes the keys of jcloud.yml.
func ConfigManual() []KeyManual { return configKeys.describe() }

// SettingsManual describes the keys of fnctl.yml.
func SettingsManual() []KeyManual { return settingKeys.describe() }

func (t keys[T]) describe() []KeyManual {
	var all []KeyManual
	for _, k := range t {
		described := KeyManual{Path: k.path, Default: k.initialWords, Meaning: k.doc}
		if k.initial != "" {
			described.Default = "`" + k.initial + "`"
		}
		if k.alias != "" {
			described.Meaning = "Another name of `" + k.alias + "`."
		}
		if k.kind != nil {
			described.Value = k.kind.words()
			described.Example = k.leaf() + ": " + k.example
		}
		all = append(all, described)
	}
	return all
}
