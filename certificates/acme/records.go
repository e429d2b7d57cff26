package acme

import (
	"errors"
	"io/fs"
	"slices"
	"sync"
)

// recordsFormat is the number of the form of the file of records.
const recordsFormat = 1

// record is one of the DNS that shows whose a domain is.
type record struct {
	Domain string `json:"domain"`
	Name   string `json:"name"`
	Value  string `json:"value"`
}

// records are those that were made and not removed yet, in a file: those of a service that was killed are removed by the next one.
type records struct {
	file string
	mu   sync.Mutex
}

type recordsFile struct {
	Format  int      `json:"format"`
	Records []record `json:"records"`
}

// all lists them.
func (r *records) all() ([]record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.read()
	return f.Records, err
}

func (r *records) read() (f recordsFile, err error) {
	if err := readFormed(r.file, recordsFormat, &f); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return recordsFile{}, err
	}
	return f, nil
}

// add notes one that is about to be made.
func (r *records) add(one record) error {
	return r.change(func(all []record) []record { return append(all, one) })
}

// remove notes that one is gone.
func (r *records) remove(one record) error {
	return r.change(func(all []record) []record {
		return slices.DeleteFunc(all, func(other record) bool { return other == one })
	})
}

func (r *records) change(change func([]record) []record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.read()
	if err != nil {
		return err
	}
	f.Format, f.Records = recordsFormat, change(f.Records)
	return writeFormed(r.file, f)
}
