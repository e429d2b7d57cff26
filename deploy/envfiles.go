package deploy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// writeEnv writes the files of variables.
func (d *deployment) writeEnv(dir string) error {
	files, err := d.envFiles()
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := platform.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// envFiles are the variables of jcloud.yml, and those that are set, which stay as they are if none are given.
func (d *deployment) envFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, part := range []struct {
		name  string
		given map[string]string
	}{
		{platform.ConfigEnvFile, d.request.Config.Env},
		{platform.EnvFile, d.request.Env},
	} {
		data, err := units.EnvFile(part.given)
		if err != nil {
			return nil, err
		}
		if part.given == nil && part.name != platform.ConfigEnvFile {
			if data, err = d.lastEnv(part.name); err != nil {
				return nil, err
			}
		}
		files[part.name] = data
	}
	return files, nil
}

func (d *deployment) lastEnv(name string) ([]byte, error) {
	last, err := serving(d.Store, d.Name)
	if err != nil || last.Number == 0 {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(d.Store.Paths.Revision(last), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
