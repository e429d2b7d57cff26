package platform

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

// ConfigTable is the table of keys in docs/jcloud.yml.md.
func ConfigTable() string { return markdown(ConfigManual()) }

// ConfigExamples are the examples of the table, each as a file of its own.
func ConfigExamples() []string { return examples(ConfigManual()) }

// SettingsTable is the table of keys in docs/fnctl.yml.md.
func SettingsTable() string { return markdown(SettingsManual()) }

// SettingsExamples are the examples of that table.
func SettingsExamples() []string { return examples(SettingsManual()) }

// SettingsPaths are the paths of the keys of fnctl.yml.
func SettingsPaths() []string {
	var paths []string
	for _, k := range SettingsManual() {
		if k.Value != "" {
			paths = append(paths, k.Path)
		}
	}
	return paths
}

func markdown(manual []keys.Manual) string {
	var b strings.Builder
	b.WriteString("| key | default | value | meaning | example |\n|---|---|---|---|---|\n")
	for _, k := range manual {
		if k.Value == "" {
			fmt.Fprintf(&b, "| `%s` | | a mapping of the keys below | %s | |\n", k.Path, k.Meaning)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | `%s` |\n",
			k.Path, cmp.Or(k.Default, "none"), strings.ReplaceAll(k.Value, "|", `\|`), k.Meaning, k.Example)
	}
	return b.String()
}

func examples(manual []keys.Manual) []string {
	var files []string
	for _, k := range manual {
		if k.Value == "" {
			continue
		}
		sections, text := strings.Split(k.Path, "."), k.Example
		for _, section := range slices.Backward(sections[:len(sections)-1]) {
			text = fmt.Sprintf("%s: {%s}", section, text)
		}
		files = append(files, text+"\n")
	}
	return files
}
