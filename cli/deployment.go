package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
	"github.com/fnctl/fnctl/units/systemd"
)

// cleanupTimeout bounds the way back from a deploy that failed or was interrupted.
const cleanupTimeout = 60 * time.Second

// deployment takes a request to a revision that serves. Until the route is switched, which is the last thing that can
// fail, the old revision serves; if anything fails before, nothing of the new one stays behind.
type deployment struct {
	request  request
	paths    platform.Paths
	store    platform.Store
	units    *systemd.Manager
	progress *progress
	verbose  bool

	revision platform.Revision
	status   deployedStatus
}

func (d *deployment) run(ctx context.Context) (err error) {
	unlock, err := d.store.Lock(ctx, d.request.name, func() {
		d.progress.note("waiting for another command that is changing %s", d.request.name)
	})
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.checkHosts(); err != nil {
		return err
	}
	number, err := d.nextNumber(ctx)
	if err != nil {
		return err
	}
	d.revision = d.request.revisionOf(number)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.undo(ctx))
		}
	}()
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"copying the app", d.copyApp},
		{"preparing Python", d.preparePython},
		{"writing units", d.writeUnits},
		{"starting " + d.revision.ID.String(), d.start},
		{"switching the route", d.switchRoute},
	} {
		if err := d.progress.run(step.name, func() (string, error) { return step.do(ctx) }); err != nil {
			return err
		}
	}
	// Still under the lock, so that no other command changes what is described.
	d.status = describeDeployed(ctx, d.revision)
	return nil
}

// checkHosts refuses a host name that another function has.
func (d *deployment) checkHosts() error {
	if len(d.request.config.Hosts) == 0 {
		return nil // the usual case costs nothing, however many functions there are
	}
	names, err := d.store.Functions()
	if err != nil {
		return err
	}
	settings, err := platform.LoadSettings(d.paths)
	if err != nil {
		return err
	}
	for _, host := range d.request.config.Hosts {
		if owner, is := settings.FunctionOf(host); is && owner != d.request.name {
			return withHint(fmt.Errorf("host %s is the address of the function %s", host, owner), "each function has the host of endpoint: in fnctl.yml anyway")
		}
	}
	for _, name := range names {
		if name == d.request.name {
			continue
		}
		route, err := d.store.Route(name)
		if err != nil {
			continue // a damaged route has no host
		}
		for _, taken := range route.Hosts {
			for _, host := range d.request.config.Hosts {
				if host == taken {
					return fmt.Errorf("host %s belongs to the function %s", host, name)
				}
			}
		}
	}
	return nil
}

func (d *deployment) nextNumber(ctx context.Context) (int, error) {
	loaded, err := d.units.List(ctx, "fn-"+d.request.name+"-*")
	if err != nil {
		return 0, err
	}
	return nextNumber(d.store, d.request.name, loaded)
}

// nextNumber is the number of the next revision. systemd keeps the text of a loaded unit, so the number of a unit that is
// still loaded is not taken again.
func nextNumber(store platform.Store, name string, loaded []platform.UnitStatus) (int, error) {
	revisions, err := store.Revisions(name)
	if err != nil {
		return 0, err
	}
	last := 0
	for _, id := range revisions {
		last = max(last, id.Number)
	}
	for _, unit := range loaded {
		if id, _, ok := platform.ParseUnit(unit.Name); ok && id.Revision.Function == name {
			last = max(last, id.Revision.Number)
		}
	}
	return last + 1, nil
}

func (r request) revisionOf(number int) platform.Revision {
	config := r.config
	config.Env = nil // anyone may read a revision; its variables are in a file of their own
	return platform.Revision{
		ID:      platform.RevisionID{Function: r.name, Number: number},
		Created: time.Now().UTC().Truncate(time.Second),
		App:     r.app.text,
		Runtime: r.app.runtime,
		Command: r.app.command(python),
		Config:  config,
	}
}

// copyApp makes the revision's directory, with everything in it but the virtual environment. It has a temporary name
// until it is whole.
func (d *deployment) copyApp(ctx context.Context) (string, error) {
	id := d.revision.ID
	final := d.paths.Revision(id)
	if err := os.MkdirAll(d.paths.Revisions(id.Function), 0o755); err != nil {
		return "", fmt.Errorf("make the revision's directory: %w", err)
	}
	temporary := d.temporary()
	if err := os.RemoveAll(temporary); err != nil {
		return "", err
	}
	if err := os.Mkdir(temporary, 0o755); err != nil {
		return "", fmt.Errorf("make the revision's directory: %w", err)
	}
	files, bytes, err := platform.Snapshot(ctx, d.request.dir, filepath.Join(temporary, "app"))
	if err != nil {
		return "", err
	}
	// Only PID 1 reads the snapshot: one function may not read another's.
	if err := os.Chmod(filepath.Join(temporary, "app"), 0o700); err != nil {
		return "", err
	}
	if err := d.writeEnv(temporary); err != nil {
		return "", err
	}
	if err := d.store.PutRevision(temporary, d.revision); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, final); err != nil {
		return "", err
	}
	if err := platform.SyncDir(filepath.Dir(final)); err != nil {
		return "", err
	}
	return fmt.Sprintf("copied the app: %s, %s", plural(files, "file"), byteSize(bytes)), nil
}

func (d *deployment) temporary() string {
	return filepath.Join(d.paths.Revisions(d.revision.ID.Function), fmt.Sprintf(".%05d", d.revision.ID.Number))
}

// writeEnv writes the variables of jcloud.yml and of the two files. A file that is not given keeps its last content.
func (d *deployment) writeEnv(dir string) error {
	for _, part := range []struct {
		name  string
		given map[string]string
	}{
		{platform.ConfigEnvFile, d.request.config.Env},
		{platform.EnvFile, d.request.env},
		{platform.SecretsFile, d.request.secrets},
	} {
		data, err := units.EnvFile(part.given)
		if err != nil {
			return err
		}
		if part.given == nil && part.name != platform.ConfigEnvFile {
			if data, err = d.lastEnv(part.name); err != nil {
				return err
			}
		}
		if err := platform.WriteFile(filepath.Join(dir, part.name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) lastEnv(name string) ([]byte, error) {
	revisions, err := d.store.Revisions(d.request.name)
	if err != nil || len(revisions) == 0 {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(d.paths.Revision(revisions[len(revisions)-1]), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func (d *deployment) writeUnits(context.Context) (string, error) {
	files, err := units.Files(d.paths, d.revision)
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if err := platform.WriteFile(filepath.Join(d.paths.Units(), file.Name), []byte(file.Text), 0o644); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("wrote %s", plural(len(files), "unit")), nil
}

// start arms and starts the instances that the revision must have, and proves that each answers.
func (d *deployment) start(ctx context.Context) (string, error) {
	started := time.Now()
	scale, err := d.store.Scale(d.revision.ID.Function)
	if err != nil {
		return "", err
	}
	// The old revision's instances go only after the switch, so that never fewer than minAvailable are ready.
	count := max(1, scale.Apply(d.revision.Config.Autoscale).Min, d.revision.Config.MinAvailable)
	group, ctx := errgroup.WithContext(ctx)
	for index := 1; index <= count; index++ {
		id := platform.InstanceID{Revision: d.revision.ID, Index: index}
		group.Go(func() error { return d.startInstance(ctx, id) })
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	return fmt.Sprintf("started %s: it answered after %d ms", d.revision.ID, time.Since(started).Milliseconds()), nil
}

// switchRoute makes the new revision serve, after a reboot too.
func (d *deployment) switchRoute(ctx context.Context) (string, error) {
	link, target := units.BootLink(d.paths, d.revision.ID)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return "", err
	}
	if err := os.Symlink(target, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("arm the function at boot: %w", err)
	}
	if err := platform.SyncDir(filepath.Dir(link)); err != nil {
		return "", err
	}
	if err := d.store.PutRoute(platform.RouteTo(d.revision)); err != nil {
		return "", err
	}
	// From here on the deploy has succeeded; what is left to do is the activator's, or harmless.
	d.unlinkOthers()
	if err := d.prune(ctx); err != nil {
		d.progress.note("old revisions could not be removed: %v", err)
	}
	return fmt.Sprintf("switched the route of %s to %s", d.revision.ID.Function, d.revision.ID), nil
}

// unlinkOthers removes the boot links of the function's other revisions. One that stays arms a socket that no route
// reaches.
func (d *deployment) unlinkOthers() {
	revisions, _ := d.store.Revisions(d.revision.ID.Function)
	for _, id := range revisions {
		if id != d.revision.ID {
			link, _ := units.BootLink(d.paths, id)
			os.Remove(link)
		}
	}
}

// keptRevisions is how many revisions without traffic are kept, to look at or to go back to.
const keptRevisions = 10

// prune removes the oldest revisions that have neither traffic nor instances, and what deploys that were killed left.
func (d *deployment) prune(ctx context.Context) error {
	r := remover{paths: d.paths, store: d.store, units: d.units}
	ids, err := d.store.Revisions(d.request.name)
	if err != nil {
		return err
	}
	instances, err := r.instances(ctx, d.request.name)
	if err != nil {
		return err
	}
	used := map[platform.RevisionID]bool{d.revision.ID: true}
	for id := range instances {
		used[id.Revision] = true
	}
	for _, id := range ids[:max(0, len(ids)-1-keptRevisions)] {
		if used[id] {
			continue
		}
		if err := r.revision(ctx, id); err != nil {
			return err
		}
	}
	unfinished, err := filepath.Glob(filepath.Join(d.paths.Revisions(d.request.name), ".[0-9]*"))
	if err != nil {
		return err
	}
	for _, dir := range unfinished {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// undo removes everything of the new revision. It works also when the deploy was interrupted.
func (d *deployment) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if route, err := d.store.Route(d.request.name); err == nil && reaches(route, d.revision.ID) {
		return nil // the route was switched, though its durability could not be confirmed
	}
	r := remover{paths: d.paths, store: d.store, units: d.units, kill: true}
	if err := errors.Join(os.RemoveAll(d.temporary()), r.revision(ctx, d.revision.ID)); err != nil {
		return fmt.Errorf("remove what the failed deploy left: %w", err)
	}
	if _, err := d.store.Route(d.request.name); !errors.Is(err, platform.ErrNoFunction) {
		return nil
	}
	// systemd made the workspace. An app may have written there, or an earlier function of this name: then it stays.
	if os.Remove(d.paths.Workspace(d.request.name)) == nil {
		os.Remove(d.paths.WorkspaceLink(d.request.name))
	}
	// What a deploy or a removal that was killed has left goes, too: nobody would find it without the registry.
	return r.all(ctx, d.request.name)
}

func reaches(route platform.Route, id platform.RevisionID) bool {
	return slices.ContainsFunc(route.Traffic, func(share platform.TrafficShare) bool { return share.Revision == id })
}
