package platform

import (
	"cmp"
	"fmt"
	"strings"
)

// ConfigTable is the table of keys in docs/jcloud.yml.md.
func ConfigTable() string { return configKeys.manual() }

// ConfigExamples are the examples of the table, each as a file of its own.
func ConfigExamples() []string { return configKeys.examples() }

// SettingsTable is the table of keys in docs/fnctl.yml.md.
func SettingsTable() string { return settingKeys.manual() }

// SettingsExamples are the examples of that table.
func SettingsExamples() []string { return settingKeys.examples() }

// SettingsDefaults are the keys of fnctl.yml with their defaults, "" for none.
func SettingsDefaults() map[string]string {
	defaults := map[string]string{}
	for _, k := range settingKeys {
		if k.kind != nil {
			defaults[k.path] = k.initial
		}
	}
	return defaults
}

func (t keys[T]) manual() string {
	var b strings.Builder
	b.WriteString("| key | default | value | meaning | example |\n|---|---|---|---|---|\n")
	for _, k := range t {
		if k.kind == nil {
			fmt.Fprintf(&b, "| `%s` | | a mapping of the keys below | %s | |\n", k.path, k.doc)
			continue
		}
		initial := k.initialWords
		if k.initial != "" {
			initial = "`" + k.initial + "`"
		}
		doc := k.doc
		if k.alias != "" {
			doc = "Another name of `" + k.alias + "`."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | `%s: %s` |\n",
			k.path, cmp.Or(initial, "none"), strings.ReplaceAll(k.kind.words(), "|", `\|`), doc, k.leaf(), k.example)
	}
	return b.String()
}

func (t keys[T]) examples() []string {
	var files []string
	for _, k := range t {
		switch {
		case k.kind == nil:
		case k.section() != "":
			files = append(files, fmt.Sprintf("%s: {%s: %s}\n", k.section(), k.leaf(), k.example))
		default:
			files = append(files, fmt.Sprintf("%s: %s\n", k.path, k.example))
		}
	}
	return files
}
