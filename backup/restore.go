package backup

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
	"github.com/fnctl/fnctl/units"
)

// Restoration takes functions out of a backup. Its files are unpacked beside the registry first, and moved there function by
// function; the route, which lets requests in, comes last, as with a deploy.
type Restoration struct {
	*deploy.Engine
	manifest Manifest
	settings []byte
	secrets  map[string][]byte // by their names in the backup; never on the disk as they are
	staged   platform.Store    // the registry as it is in the backup
	lock     *os.File
}

// NewRestoration takes the directory in which backups are unpacked, and clears what one that was killed has left there. Close
// gives it back.
func NewRestoration(e *deploy.Engine) (*Restoration, error) {
	dir := e.Store.Paths.Restoring()
	if err := errors.Join(platform.MakeDir(filepath.Dir(dir), 0o755), platform.MakeDir(dir, 0o700)); err != nil {
		return nil, fmt.Errorf("unpack the backup: %w", err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("unpack the backup: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, errors.New("another fnctl restore is at work")
	}
	r := &Restoration{
		Engine: e, secrets: map[string][]byte{}, lock: lock,
		staged: platform.Store{Paths: platform.Paths{Root: filepath.Join(dir, "machine")}},
	}
	return r, platform.RemoveTree(r.staged.Paths.Root)
}

// Close removes what was unpacked.
func (r *Restoration) Close() {
	_ = platform.RemoveTree(r.Store.Paths.Restoring())
	r.lock.Close()
}

// Unpack decrypts and extracts the whole of a backup. age's format is authenticated, so what comes is what was written.
func (r *Restoration) Unpack(ctx context.Context, file io.Reader, passphrase string) error {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return err
	}
	decrypted, err := age.Decrypt(file, identity)
	if err != nil {
		return decryptError(err)
	}
	tar, err := gzip.NewReader(decrypted)
	if err != nil {
		return fmt.Errorf("%w: %w", snapshot.ErrArchive, err)
	}
	dir := filepath.Dir(r.staged.Paths.Functions())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := snapshot.Extract(ctx, tar, root, r.take); err != nil {
		return err
	}
	return r.checkManifest()
}

// take keeps in memory what need not, or must not, be on the disk.
func (r *Restoration) take(name string, content io.Reader) (taken bool, err error) {
	const limit = 2 * deploy.EnvLimit
	switch {
	case name == manifestMember:
		return true, json.NewDecoder(io.LimitReader(content, limit)).Decode(&r.manifest)
	case name == settingsMember:
		r.settings, err = io.ReadAll(io.LimitReader(content, limit))
		return true, err
	case isSecret(name):
		r.secrets[name], err = io.ReadAll(io.LimitReader(content, limit))
		return true, err
	}
	return false, nil
}

func (r *Restoration) checkManifest() error {
	if r.manifest.Format != format {
		return platform.WithHint(fmt.Errorf("the backup has format %d, and this version of fnctl reads %d", r.manifest.Format, format),
			"it was written by fnctl %q", r.manifest.Version)
	}
	for _, name := range r.manifest.Functions {
		if err := platform.CheckName(name); err != nil {
			return fmt.Errorf("%w: %w", snapshot.ErrArchive, err)
		}
	}
	if now, _ := os.ReadFile(r.Store.Paths.Settings()); string(now) != string(r.settings) {
		r.Progress.Note("%s of the backup is another one than that of this machine, which stays as it is", settingsMember)
	}
	return nil
}

// Run restores functions one after the other, and returns those that answer.
func (r *Restoration) Run(ctx context.Context, names []string) (restored []string, err error) {
	var errs []error
	for _, name := range names {
		if ctx.Err() != nil {
			return restored, errors.Join(append(errs, errors.New("restore: interrupted"))...)
		}
		if err := r.restore(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("restore %s: %w", name, err))
			continue
		}
		restored = append(restored, name)
	}
	return restored, errors.Join(errs...)
}

func (r *Restoration) restore(ctx context.Context, name string) error {
	function, err := r.Open(ctx, name)
	if err != nil {
		return err
	}
	defer function.Close()
	return function.Adopt(ctx, deploy.Staged{
		Store: r.staged, Secrets: r.secretsOf, Data: filepath.Join(filepath.Dir(r.staged.Paths.Functions()), dataMember, name),
	})
}

// secretsOf returns the secrets of a revision.
func (r *Restoration) secretsOf(id platform.RevisionID) (map[string]string, error) {
	data, there := r.secrets[secretsMember(id)]
	if !there {
		return nil, fmt.Errorf("%w: the secrets of %s are missing", snapshot.ErrArchive, id)
	}
	values, err := units.ParseSecretScript(data)
	if err != nil {
		return nil, fmt.Errorf("%w: the secrets of %s: %w", snapshot.ErrArchive, id, err)
	}
	return values, nil
}

// Choose returns the functions of the backup that are asked for.
func (r *Restoration) Choose(asked []string) ([]string, error) {
	if len(asked) == 0 {
		return r.manifest.Functions, nil
	}
	for _, name := range asked {
		if !slices.Contains(r.manifest.Functions, name) {
			return nil, platform.WithHint(fmt.Errorf("the backup has no function %q", name), "it has %s", strings.Join(r.manifest.Functions, ", "))
		}
	}
	return asked, nil
}

// decryptError explains what age says of a passphrase that is wrong and of a file that is not its.
func decryptError(err error) error {
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return errors.New("decrypt the backup: the passphrase is wrong")
	}
	return platform.WithHint(fmt.Errorf("decrypt the backup: %w", err), "it is not a file that fnctl backup has written, or it is damaged")
}
