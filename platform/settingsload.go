package platform

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/fnctl/fnctl/platform/keys"
)

// DefaultSettings are those of a machine without a settings file. The caller may change them.
func DefaultSettings() Settings {
	settings, err := ParseSettings("", nil)
	if err != nil {
		panic(fmt.Sprintf("platform: the default settings are invalid: %v", err))
	}
	return settings
}

// LoadSettings reads the settings file; one that doesn't exist means the defaults. The error joins all errors of the file
// in their order, each a *keys.Error.
func LoadSettings(paths Paths) (Settings, error) {
	data, err := keys.ReadFile(paths.Settings())
	if errors.Is(err, fs.ErrNotExist) {
		return DefaultSettings(), nil
	}
	if err != nil {
		return Settings{}, fmt.Errorf("read the settings: %w", err)
	}
	return ParseSettings(paths.Settings(), data)
}

// ParseSettings reads the text of a settings file, whose name is for the errors.
func ParseSettings(file string, data []byte) (Settings, error) {
	record := settingsTable.Read(file, data)
	if err := record.Err(); err != nil {
		return Settings{}, err
	}
	return record.Values, nil
}
