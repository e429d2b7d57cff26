// Package secrets keeps the secrets of revisions: each in a file of its own that systemd hands over to the app, encrypted with a
// key of the machine where systemd-creds can.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// Read returns the secrets of a revision in plain text. Only root can.
func Read(ctx context.Context, paths platform.Paths, rev platform.Revision) (map[string]string, error) {
	values, err := read(ctx, paths, rev)
	if err != nil {
		return nil, platform.WithHint(fmt.Errorf("read the secrets of %s: %w", rev.ID, err),
			"set all of them again: fnctl deploy --secret FILE, in the directory of the app")
	}
	return values, nil
}

func read(ctx context.Context, paths platform.Paths, rev platform.Revision) (map[string]string, error) {
	if rev.Secrets == nil {
		return readOld(paths, rev.ID)
	}
	path := paths.Credential(rev.ID, platform.SecretsScript)
	load := func() ([]byte, error) { return os.ReadFile(path) }
	if rev.Secrets.Encrypted {
		load = func() ([]byte, error) { return decrypt(ctx, platform.SecretsScript, path) }
	}
	script, err := load()
	if err != nil {
		return nil, err
	}
	return units.ParseSecretScript(script)
}

// readOld reads the file of an earlier version of fnctl. Without it there are no secrets.
func readOld(paths platform.Paths, id platform.RevisionID) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(paths.Revision(id), platform.SecretsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	return units.ParseEnvFile(data)
}

// Names are the names of a revision's secrets, sorted. To know them nothing is decrypted.
func Names(paths platform.Paths, rev platform.Revision) ([]string, error) {
	if rev.Secrets != nil {
		return rev.Secrets.Names, nil
	}
	values, err := readOld(paths, rev.ID)
	return slices.Sorted(maps.Keys(values)), err
}

// limit is what the secrets of a revision may take. systemd has a file system of 1 MiB for them, in blocks of 4 KiB,
// and they are there twice: one by one, and all of them in the script.
const (
	limit     = 960 << 10
	blockSize = 4 << 10
)

// Check says which secrets cannot be handed over. No error has a value.
func Check(values map[string]string) error {
	script, err := units.SecretScript(values)
	if err != nil {
		return err
	}
	total := blocks(len(script))
	for _, value := range values {
		total += blocks(len(value))
	}
	if total > limit {
		return fmt.Errorf("the secrets take %d KiB, twice and in blocks of %d KiB; systemd hands over %d at most",
			total>>10, blockSize>>10, limit>>10)
	}
	return nil
}

func blocks(size int) int { return (size + blockSize - 1) / blockSize * blockSize }

// Write writes the files of secrets into a directory that it makes, encrypted or not.
func Write(ctx context.Context, dir string, values map[string]string, encrypted bool) error {
	script, err := units.SecretScript(values)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{platform.SecretsScript: script}
	for name, value := range values {
		files[name] = []byte(value)
	}
	for name, data := range files {
		if encrypted {
			if data, err = encrypt(ctx, name, data); err != nil {
				return fmt.Errorf("encrypt the secret %s: %w", name, err)
			}
		}
		if err := platform.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Share links the files of another revision's secrets into a directory that it makes.
func Share(from, dir string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Link(filepath.Join(from, entry.Name()), filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return platform.SyncDir(dir)
}
