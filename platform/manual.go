package platform

import "github.com/fnctl/fnctl/platform/keys"

// ConfigSchema returns the JSON Schema (draft 2020-12) of jcloud.yml, for editors. What it accepts can still be refused
// by ParseConfig, where keys contradict each other; what it refuses is refused.
func ConfigSchema() []byte {
	return configTable.Schema("jcloud.yml", "Configuration of a function of fnctl.")
}

// ConfigManual describes the keys of jcloud.yml.
func ConfigManual() []keys.Manual { return configTable.Manual() }

// SettingsManual describes the keys of fnctl.yml.
func SettingsManual() []keys.Manual { return settingsTable.Manual() }
