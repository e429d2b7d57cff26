package cli

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

// readSecrets returns the secrets of a revision in plain text. Only root can.
func readSecrets(ctx context.Context, paths platform.Paths, rev platform.Revision) (map[string]string, error) {
	secrets, err := readSecretsOf(ctx, paths, rev)
	if err != nil {
		return nil, platform.WithHint(fmt.Errorf("read the secrets of %s: %w", rev.ID, err),
			"set all of them again: fnctl deploy --secret FILE, in the directory of the app")
	}
	return secrets, nil
}

func readSecretsOf(ctx context.Context, paths platform.Paths, rev platform.Revision) (map[string]string, error) {
	if rev.Secrets == nil {
		return readOldSecrets(paths, rev.ID)
	}
	path := paths.Credential(rev.ID, platform.SecretsScript)
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if rev.Secrets.Encrypted {
		read = func() ([]byte, error) { return decryptCredential(ctx, platform.SecretsScript, path) }
	}
	script, err := read()
	if err != nil {
		return nil, err
	}
	return units.ParseSecretScript(script)
}

// readOldSecrets reads the file of an earlier version of fnctl. Without it there are no secrets.
func readOldSecrets(paths platform.Paths, id platform.RevisionID) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(paths.Revision(id), platform.SecretsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	return units.ParseEnvFile(data)
}

// secretNames are the names of a revision's secrets, sorted. To know them nothing is decrypted.
func secretNames(paths platform.Paths, rev platform.Revision) ([]string, error) {
	if rev.Secrets != nil {
		return rev.Secrets.Names, nil
	}
	secrets, err := readOldSecrets(paths, rev.ID)
	return slices.Sorted(maps.Keys(secrets)), err
}

// secretsLimit is what the secrets of a revision may take. systemd has a file system of 1 MiB for them, in blocks of 4 KiB,
// and they are there twice: one by one, and all of them in the script.
const (
	secretsLimit = 960 << 10
	secretBlock  = 4 << 10
)

// checkSecrets says which secrets cannot be handed over. No error has a value.
func checkSecrets(secrets map[string]string) error {
	script, err := units.SecretScript(secrets)
	if err != nil {
		return err
	}
	total := blocks(len(script))
	for _, value := range secrets {
		total += blocks(len(value))
	}
	if total > secretsLimit {
		return fmt.Errorf("the secrets take %d KiB, twice and in blocks of %d KiB; systemd hands over %d at most",
			total>>10, secretBlock>>10, secretsLimit>>10)
	}
	return nil
}

func blocks(size int) int { return (size + secretBlock - 1) / secretBlock * secretBlock }

// writeSecrets writes the files of secrets into a directory that it makes, encrypted or not.
func writeSecrets(ctx context.Context, dir string, secrets map[string]string, encrypted bool) error {
	script, err := units.SecretScript(secrets)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{platform.SecretsScript: script}
	for name, value := range secrets {
		files[name] = []byte(value)
	}
	for name, data := range files {
		if encrypted {
			if data, err = encryptCredential(ctx, name, data); err != nil {
				return fmt.Errorf("encrypt the secret %s: %w", name, err)
			}
		}
		if err := platform.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// shareSecrets links the files of another revision's secrets into a directory that it makes.
func shareSecrets(from, dir string) error {
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
