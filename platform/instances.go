package platform

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// ParseInstanceSocket reads the name of an instance's socket file, such as ping-00001@3.sock.
func ParseInstanceSocket(file string) (InstanceID, bool) {
	name, found := strings.CutSuffix(file, ".sock")
	if !found {
		return InstanceID{}, false
	}
	id, err := ParseInstanceID(name)
	return id, err == nil
}

// ParseMark reads the name of an instance's mark, such as ping-00001@3.standby.
func ParseMark(file string) (InstanceID, bool) {
	name, found := strings.CutSuffix(file, markSuffix)
	if !found {
		return InstanceID{}, false
	}
	id, err := ParseInstanceID(name)
	return id, err == nil
}

// Mark says that an instance may be frozen from now on, as soon as the gateway has taken note of it: whoever sends it a request wakes it
// before. A mark that is there is made anew, so that those who follow the directory are told.
func (s Store) Mark(id InstanceID) error {
	if err := s.Unmark(id); err != nil {
		return err
	}
	f, err := os.OpenFile(s.Paths.Mark(id), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// Unmark takes the mark back, if there is one. The instance must not be frozen any more.
func (s Store) Unmark(id InstanceID) error {
	if err := os.Remove(s.Paths.Mark(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Marks lists the instances that have a mark.
func (s Store) Marks() ([]InstanceID, error) { return s.listInstances(ParseMark) }

// Instances lists the instances that may be used: those whose socket file exists.
func (s Store) Instances() ([]InstanceID, error) { return s.listInstances(ParseInstanceSocket) }

func (s Store) listInstances(parse func(file string) (InstanceID, bool)) ([]InstanceID, error) {
	entries, err := os.ReadDir(s.Paths.Instances())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []InstanceID
	for _, entry := range entries {
		if id, ok := parse(entry.Name()); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
