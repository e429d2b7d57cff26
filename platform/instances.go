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

// Mark is the name of a file beside the socket of an instance, which says something about the instance for as long as it is there.
type Mark string

const (
	// MarkStandby: the instance may be frozen, as soon as the gateway has taken note of the mark: whoever sends it a request wakes it before.
	MarkStandby Mark = "standby"
	// MarkPoised: the service of the instance waits, or is about to, before it becomes the app, which the first connection has it do. Nothing
	// but a need for that is to connect. The service reads the file as one of variables.
	MarkPoised Mark = "poised"
)

// Marks are all marks that there are.
var Marks = []Mark{MarkStandby, MarkPoised}

// suffix is how the name of its file ends.
func (m Mark) suffix() string { return "." + string(m) }

// content is what the file of a mark has in it.
func (m Mark) content() string {
	if m == MarkPoised {
		return PoiseVariable + "=1\n"
	}
	return ""
}

// ParseMark reads the name of an instance's mark, such as ping-00001@3.standby.
func ParseMark(file string) (InstanceID, Mark, bool) {
	for _, mark := range Marks {
		if name, found := strings.CutSuffix(file, mark.suffix()); found {
			id, err := ParseInstanceID(name)
			return id, mark, err == nil
		}
	}
	return InstanceID{}, "", false
}

// Mark gives an instance a mark. One that is there is made anew, so that those who follow the directory are told.
func (s Store) Mark(id InstanceID, mark Mark) error {
	if err := s.Unmark(id, mark); err != nil {
		return err
	}
	return WriteFile(s.Paths.Mark(id, mark), []byte(mark.content()), 0o644)
}

// Unmark takes a mark back, if it is there. An instance must not be frozen any more without MarkStandby.
func (s Store) Unmark(id InstanceID, mark Mark) error {
	if err := os.Remove(s.Paths.Mark(id, mark)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Marks lists the instances that have a mark.
func (s Store) Marks(mark Mark) ([]InstanceID, error) {
	return s.listInstances(func(file string) (InstanceID, bool) {
		id, found, ok := ParseMark(file)
		return id, ok && found == mark
	})
}

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
