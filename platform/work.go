package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// RemoveWork removes a stopped instance's copy of the app, with the link that systemd made to it.
func (p Paths) RemoveWork(id InstanceID) error {
	if err := os.RemoveAll(p.Work(id)); err != nil {
		return fmt.Errorf("remove the directory of %s: %w", id, err)
	}
	link := filepath.Join(p.Root, "var/cache", WorkName(id.String()))
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the directory of %s: %w", id, err)
	}
	return nil
}

// WorkDamaged tells whether something of the app is missing in an instance's copy, as far as one look shows: it may be the
// copy that keeps the app from starting.
func (p Paths) WorkDamaged(id InstanceID) bool {
	app, err := os.ReadDir(p.Snapshot(id.Revision))
	if err != nil {
		return false
	}
	work, err := os.ReadDir(p.Work(id))
	if err != nil {
		return true
	}
	there := make(map[string]bool, len(work))
	for _, entry := range work {
		there[entry.Name()] = true
	}
	return slices.ContainsFunc(app, func(entry fs.DirEntry) bool { return !there[entry.Name()] })
}

// RemoveWorks removes all copies of a function's app, of instances that nobody remembers, too.
func (p Paths) RemoveWorks(function string) error {
	ids, err := p.ListWorks()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id.Revision.Function != function {
			continue
		}
		if err := p.RemoveWork(id); err != nil {
			return err
		}
	}
	return nil
}

// ListWorks lists the instances that have a copy of their app.
func (p Paths) ListWorks() ([]InstanceID, error) {
	entries, err := os.ReadDir(p.join("var/cache/private", WorkName("")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []InstanceID
	for _, entry := range entries {
		if id, err := ParseInstanceID(entry.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
