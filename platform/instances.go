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

// Instances lists the instances that may be used: those whose socket file exists.
func (s Store) Instances() ([]InstanceID, error) {
	entries, err := os.ReadDir(s.Paths.Instances())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []InstanceID
	for _, entry := range entries {
		if id, ok := ParseInstanceSocket(entry.Name()); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
