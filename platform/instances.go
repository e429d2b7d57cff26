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

// Mark is what is said of an instance by a file beside its socket.
type Mark string

const (
	// MarkStandby says that the instance may be frozen from now on, as soon as the gateway has taken note of it: whoever sends it a
	// request wakes it before.
	MarkStandby Mark = "standby"
	// MarkPoised says that the instance is started up to its sandbox alone, where it waits for a connection. Its service reads the file
	// as variables.
	MarkPoised Mark = "poised"
)

// marks are all of them, with the content of their files.
var marks = map[Mark]string{MarkStandby: "", MarkPoised: PoiseVariable + "=1\n"}

// ParseMark reads the name of an instance's mark, such as ping-00001@3.standby.
func ParseMark(file string) (InstanceID, Mark, bool) {
	dot := strings.LastIndexByte(file, '.')
	if dot < 0 {
		return InstanceID{}, "", false
	}
	mark := Mark(file[dot+1:])
	if _, is := marks[mark]; !is {
		return InstanceID{}, "", false
	}
	id, err := ParseInstanceID(file[:dot])
	return id, mark, err == nil
}

// Mark makes the mark of an instance. One that is there is made anew, so that those who follow the directory are told.
func (s Store) Mark(id InstanceID, mark Mark) error {
	if err := s.Unmark(id, mark); err != nil {
		return err
	}
	f, err := os.OpenFile(s.Paths.Mark(id, mark), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(marks[mark])
	return errors.Join(err, f.Close())
}

// Unmark takes a mark back, if there is one.
func (s Store) Unmark(id InstanceID, mark Mark) error {
	if err := os.Remove(s.Paths.Mark(id, mark)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Marks lists the instances that have a mark.
func (s Store) Marks(mark Mark) ([]InstanceID, error) {
	return s.listInstances(func(file string) (InstanceID, bool) {
		id, is, ok := ParseMark(file)
		return id, ok && is == mark
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
