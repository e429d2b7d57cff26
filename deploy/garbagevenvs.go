package deploy

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/platform"
)

// findVenvs lists the virtual environments of a function that no revision uses, and what builds that were killed have left.
func (c sweeper) findVenvs(function string) ([]Garbage, error) {
	entries, err := os.ReadDir(c.Store.Paths.Venvs(function))
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
	var found []Garbage
	for _, entry := range entries {
		if dir := filepath.Join(c.Store.Paths.Venvs(function), entry.Name()); !used[dir] {
			found = append(found, c.garbage(function, "virtual environment "+entry.Name()+", which no revision uses", dir, func(ctx context.Context) error {
				return c.removeVenv(ctx, function, dir)
			}))
		}
	}
	return found, nil
}

// usedVenvs are those in which revisions run.
func (c sweeper) usedVenvs(function string) (map[string]bool, error) {
	revisions, err := c.Store.ReadRevisions(function)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, rev := range revisions {
		if dir := rev.VenvDir(c.Store.Paths); dir != "" {
			used[dir] = true
		}
	}
	return used, nil
}

func (c sweeper) removeVenv(ctx context.Context, function, dir string) error {
	if strings.HasPrefix(filepath.Base(dir), ".") {
		if err := build.Stop(ctx, c.Units, function); err != nil {
			return err
		}
	}
	return platform.RemoveTree(dir)
}
