package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// findVenvs lists the virtual environments of a function that no revision uses, and what builds that were killed have left.
func (c collector) findVenvs(function string) ([]garbage, error) {
	entries, err := os.ReadDir(c.paths.Venvs(function))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	used, err := c.usedVenvs(function)
	if err != nil {
		return nil, nil // a revision that cannot be read may use any
	}
	var found []garbage
	for _, entry := range entries {
		if dir := filepath.Join(c.paths.Venvs(function), entry.Name()); !used[dir] {
			found = append(found, c.garbage(function, "virtual environment "+entry.Name()+", which no revision uses", dir, func(ctx context.Context) error {
				return c.removeVenv(ctx, function, dir)
			}))
		}
	}
	return found, nil
}

// usedVenvs are those that the commands of revisions name.
func (c collector) usedVenvs(function string) (map[string]bool, error) {
	revisions, err := c.store.ReadRevisions(function)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, rev := range revisions {
		if len(rev.Command) > 0 && isVenvPython(rev.Command[0]) {
			used[strings.TrimSuffix(rev.Command[0], "/bin/python3")] = true
		}
	}
	return used, nil
}

func (c collector) removeVenv(ctx context.Context, function, dir string) error {
	if strings.HasPrefix(filepath.Base(dir), ".") {
		if err := stopBuilds(ctx, c.units, function); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
