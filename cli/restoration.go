package cli

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
	"github.com/fnctl/fnctl/units"
)

// restoration takes functions out of a backup. Its files are unpacked beside the registry first, and moved there function
// by function; the route, which lets requests in, comes last, as with a deploy.
type restoration struct {
	launcher
	manifest manifest
	settings []byte
	secrets  map[string][]byte // by their names in the backup; never on the disk as they are
	staged   platform.Store    // the registry as it is in the backup
	lock     *os.File
}

// newRestoration takes the directory in which backups are unpacked, and clears what one that was killed has left there.
func newRestoration(l launcher) (*restoration, error) {
	dir := l.paths.Restoring()
	if err := os.MkdirAll(dir, 0o700); err != nil {
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
	r := &restoration{
		launcher: l, secrets: map[string][]byte{}, lock: lock,
		staged: platform.Store{Paths: platform.Paths{Root: filepath.Join(dir, "machine")}},
	}
	return r, os.RemoveAll(r.staged.Paths.Root)
}

func (r *restoration) close() {
	os.RemoveAll(r.paths.Restoring())
	r.lock.Close()
}

// unpack decrypts and extracts the whole of a backup. age's format is authenticated, so what comes is what was written.
func (r *restoration) unpack(ctx context.Context, file io.Reader, passphrase string) error {
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
func (r *restoration) take(name string, content io.Reader) (taken bool, err error) {
	const limit = 2 * envLimit
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

func (r *restoration) checkManifest() error {
	if r.manifest.Format != backupFormat {
		return platform.WithHint(fmt.Errorf("the backup has format %d, and this version of fnctl reads %d", r.manifest.Format, backupFormat),
			"it was written by fnctl %q", r.manifest.Version)
	}
	for _, name := range r.manifest.Functions {
		if err := platform.CheckName(name); err != nil {
			return fmt.Errorf("%w: %w", snapshot.ErrArchive, err)
		}
	}
	if now, _ := os.ReadFile(r.paths.Settings()); string(now) != string(r.settings) {
		r.progress.note("%s of the backup is another one than that of this machine, which stays as it is", settingsMember)
	}
	return nil
}

// run restores functions one after the other, and returns those that answer.
func (r *restoration) run(ctx context.Context, names []string) (restored []string, err error) {
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

func (r *restoration) restore(ctx context.Context, name string) (err error) {
	unlock, err := r.launcher.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if exists(r.paths.Function(name)) {
		return platform.WithHint(errors.New("this machine has a function of that name"), "fnctl remove %s; if fnctl list doesn't show it: fnctl gc", name)
	}
	route, err := r.staged.Route(name)
	if err != nil {
		return err
	}
	if err := r.checkHosts(name, route.Hosts); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.undo(ctx, name))
		}
	}()
	if err := r.move(ctx, name); err != nil {
		return err
	}
	if err := r.writeUnits(name); err != nil {
		return err
	}
	if err := r.moveData(name); err != nil {
		return err
	}
	if err := r.limitDisk(route.Newest()); err != nil {
		return err
	}
	if route.Paused {
		return r.switchRoute(route)
	}
	route.Paused = true
	return openRoute(ctx, r.launcher, route, "restored "+name)
}

// move brings the directory of a function into the registry, without its route.
func (r *restoration) move(ctx context.Context, name string) error {
	revisions, err := r.staged.ReadRevisions(name)
	if err != nil {
		return err
	}
	for _, rev := range revisions {
		if err := r.writeSecrets(ctx, rev); err != nil {
			return err
		}
	}
	if err := r.staged.RemoveRoute(name); err != nil {
		return err
	}
	if err := os.MkdirAll(r.paths.Functions(), 0o755); err != nil {
		return err
	}
	if err := os.Rename(r.staged.Paths.Function(name), r.paths.Function(name)); err != nil {
		return err
	}
	return platform.SyncDir(r.paths.Functions())
}

// writeSecrets encrypts the secrets of a revision with the key of this machine, if it can.
func (r *restoration) writeSecrets(ctx context.Context, rev platform.Revision) error {
	data, there := r.secrets[secretsMember(rev.ID)]
	if !there {
		return fmt.Errorf("%w: the secrets of %s are missing", snapshot.ErrArchive, rev.ID)
	}
	secrets, err := units.ParseSecretScript(data)
	if err != nil {
		return fmt.Errorf("%w: the secrets of %s: %w", snapshot.ErrArchive, rev.ID, err)
	}
	rev.Secrets = nil
	if len(secrets) > 0 {
		rev.Secrets = &platform.Secrets{Names: slices.Sorted(maps.Keys(secrets)), Encrypted: canEncrypt(ctx) == nil}
		if err := writeSecrets(ctx, r.staged.Paths.Credentials(rev.ID), secrets, rev.Secrets.Encrypted); err != nil {
			return err
		}
	}
	return r.staged.PutRevision(r.staged.Paths.Revision(rev.ID), rev)
}

// writeUnits makes the units of all revisions anew: they follow from their descriptions, and from this version of fnctl.
func (r *restoration) writeUnits(name string) error {
	revisions, err := r.store.ReadRevisions(name)
	if err != nil {
		return err
	}
	for _, rev := range revisions {
		if _, err := r.launcher.putUnits(rev); err != nil {
			return err
		}
	}
	return nil
}

// moveData brings the persistent data of a function where systemd makes it. Its owner is set when an instance starts.
func (r *restoration) moveData(name string) error {
	from, to := filepath.Join(filepath.Dir(r.staged.Paths.Functions()), dataMember, name), r.paths.Workspace(name)
	if !exists(from) {
		return nil
	}
	if left, err := os.ReadDir(to); err == nil && len(left) > 0 {
		r.progress.note("%s keeps the data that is there already: %s", name, to)
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := remove(to); err != nil { // it is empty, or not there
		return err
	}
	return os.Rename(from, to)
}

func (r *restoration) limitDisk(newest platform.RevisionID) error {
	rev, err := r.store.Revision(newest)
	if err != nil {
		return fmt.Errorf("revision %s: %w", newest, err)
	}
	return r.launcher.limitDisk(rev, false)
}

// undo removes what was restored of a function that did not come to answer, but its data.
func (r *restoration) undo(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if r.store.Has(name) {
		return nil // the route was switched, though its durability could not be confirmed
	}
	return remover{paths: r.paths, store: r.store, units: r.units, kill: true}.all(ctx, name)
}
