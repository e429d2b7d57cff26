package public

import (
	"errors"
	"io/fs"
	"os"

	"github.com/fnctl/fnctl/platform"
)

// oldSettings is the settings file as it was.
type oldSettings struct {
	path string
	data []byte
	mode os.FileMode
	none bool // there was none
}

func readSettings(paths platform.Paths) (oldSettings, error) {
	s := oldSettings{path: paths.Settings()}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.none = true
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.mode = info.Mode().Perm()
	s.data, err = os.ReadFile(s.path)
	return s, err
}

func (s oldSettings) restore() error {
	if s.none {
		if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return platform.WriteFile(s.path, s.data, s.mode)
}
