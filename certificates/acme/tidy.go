package acme

import (
	"crypto"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

// tidy removes what a service that was killed has left: what authorities were shown, files that it was about to write, and orders whose
// certificate is there.
func (m *Manager) tidy() error {
	dirs := []string{m.dir(), filepath.Join(m.dir(), "accounts"), filepath.Join(m.dir(), "orders"), m.store.Dir, filepath.Dir(certificates.RootFile(m.paths))}
	errs := []error{certificates.ChallengesOf(m.paths).Clear()}
	for _, dir := range dirs {
		errs = append(errs, removeUnfinished(dir))
	}
	return errors.Join(append(errs, m.removeFulfilled())...)
}

// removeUnfinished removes the files of a directory that were on their way to their names.
func removeUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") && entry.Type().IsRegular() {
			if err := platform.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeFulfilled removes orders whose certificate was written.
func (m *Manager) removeFulfilled() error {
	dir := filepath.Join(m.dir(), "orders")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		file := filepath.Join(dir, entry.Name())
		var p pending
		err := readFormed(file, pendingFormat, &p)
		if err == nil && m.fulfilled(p) {
			err = platform.Remove(file)
		}
		if err != nil {
			m.log.Error("an order that was under way cannot be read", "err", err)
		}
	}
	return nil
}

// fulfilled reports whether the certificate of an order was written: it has its key.
func (m *Manager) fulfilled(p pending) bool {
	signer, err := decodeKey(p.Key)
	if err != nil {
		return false
	}
	pair, err := m.store.Read(p.Host)
	if err != nil {
		return false
	}
	key, is := pair.Leaf().PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return is && key.Equal(signer.Public())
}
