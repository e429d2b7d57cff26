package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// CopyTimeout bounds the copy of an app for an instance, which is made when its socket is started.
const CopyTimeout = time.Hour

// Workdirs lists the instances that have a working directory, which is a copy of their app.
func (s Store) Workdirs() ([]InstanceID, error) {
	entries, err := os.ReadDir(s.Paths.join("var/cache/private", WorkdirName("")))
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

// RemoveWorkdir removes the working directory of a stopped instance, with the link that systemd made to it, and its marks.
func (s Store) RemoveWorkdir(id InstanceID) error {
	for _, mark := range Marks {
		if err := s.Unmark(id, mark); err != nil {
			return fmt.Errorf("remove a mark of %s: %w", id, err)
		}
	}
	if err := RemoveTree(s.Paths.Workdir(id)); err != nil {
		return fmt.Errorf("remove the directory of %s: %w", id, err)
	}
	link := filepath.Join(s.Paths.Root, "var/cache", WorkdirName(id.String()))
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the directory of %s: %w", id, err)
	}
	return nil
}

// WorkdirDamaged reports whether something of the app is missing at the top of an instance's working directory, which may be
// what keeps the app from starting.
func (s Store) WorkdirDamaged(id InstanceID) bool {
	app, err := os.ReadDir(s.Paths.Snapshot(id.Revision))
	if err != nil {
		return false
	}
	workdir, err := os.ReadDir(s.Paths.Workdir(id))
	if err != nil {
		return true
	}
	there := make(map[string]bool, len(workdir))
	for _, entry := range workdir {
		there[entry.Name()] = true
	}
	return slices.ContainsFunc(app, func(entry fs.DirEntry) bool { return !there[entry.Name()] })
}

// RemoveWorkdirs removes the working directories of all instances of a function, known or not.
func (s Store) RemoveWorkdirs(function string) error {
	ids, err := s.Workdirs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id.Revision.Function != function {
			continue
		}
		if err := s.RemoveWorkdir(id); err != nil {
			return err
		}
	}
	return nil
}
