package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
	"github.com/fnctl/fnctl/units"
	"github.com/fnctl/fnctl/workspace"
)

// cleanupTimeout bounds the way back from a deploy that failed or was interrupted.
const cleanupTimeout = 60 * time.Second

// deployment takes a request to a revision that serves. Until the route is switched, which is the last thing that can
// fail, the old revision serves. If anything fails before, nothing of the new one stays behind; if it starts and fails, its
// files do.
type deployment struct {
	launcher
	request request
	// revise, if not nil, makes the request of the revision that serves, under the function's lock.
	revise func() (request, error)
	force  bool // a revision is made though nothing changed
	// tag, if not "", leads to the new revision; noTraffic leaves the traffic where it is.
	tag       string
	noTraffic bool
	rollout   time.Duration // over which traffic moves to the revision; 0 is at once
	verbose   bool

	revision platform.Revision
	// failure is why the revision does not come to serve; what failed before it started has none.
	failure string
	status  deployedStatus
}

func (d *deployment) run(ctx context.Context) (err error) {
	unlock, err := d.lock(ctx, d.request.name)
	if err != nil {
		return err
	}
	defer unlock()
	if d.revise != nil {
		if d.request, err = d.revise(); err != nil {
			return err
		}
	}
	if err := d.checkHosts(d.request.name, d.request.config.Hosts); err != nil {
		return err
	}
	if err := d.checkTag(); err != nil {
		return err
	}
	if err := d.planSecrets(ctx); err != nil {
		return err
	}
	if current, same := d.unchanged(ctx); same && !d.force {
		d.progress.note("nothing changed: %s is what is deployed already", current.ID)
		d.prune(ctx, current.ID.Function)
		d.status = describeDeployed(ctx, current)
		d.status.function.Unchanged = true
		return nil
	}
	number, err := d.nextNumber(ctx)
	if err != nil {
		return err
	}
	d.revision = d.request.revisionOf(number)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.giveUp(ctx))
		}
	}()
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"copying the app", d.copyApp},
		{"preparing the runtime", d.prepareRuntime},
		{"writing units", d.writeUnits},
		{"starting " + d.revision.ID.String(), d.start},
	} {
		if err := d.progress.run(step.name, func() (string, error) { return step.do(ctx) }); err != nil {
			return err
		}
	}
	if err := d.takeTraffic(ctx); err != nil {
		return err
	}
	// Still under the lock, so that no other command changes what is described.
	d.status = describeDeployed(ctx, d.revision)
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
		Command: r.app.command(r.venv().interpreter()),
		Config:  config,
		Secrets: r.secretPlan.described,

		DeviceGroups: platform.DeviceGroups(config.Devices),
	}
}

// copyApp makes the revision's directory, with everything in it. It has a temporary name
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
	copied, err := d.snapshot(ctx, filepath.Join(temporary, "app"))
	if err != nil {
		return "", err
	}
	// Only PID 1 reads the snapshot: one function may not read another's.
	if err := os.Chmod(filepath.Join(temporary, "app"), 0o700); err != nil {
		return "", err
	}
	if err := platform.SyncDir(filepath.Join(temporary, "app")); err != nil {
		return "", err
	}
	if err := d.writeEnv(temporary); err != nil {
		return "", err
	}
	if err := d.request.secretPlan.write(ctx, d.paths, temporary); err != nil {
		return "", fmt.Errorf("write the secrets: %w", err)
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
	return copiedText(copied), nil
}

// snapshot takes the app from its directory, or shares the files of an earlier revision.
func (d *deployment) snapshot(ctx context.Context, to string) (snapshot.Result, error) {
	if d.request.from.Number > 0 {
		return snapshot.Share(ctx, d.paths.Snapshot(d.request.from), to)
	}
	copied, err := snapshot.Take(ctx, d.request.dir, to, snapshot.Options{
		Before: d.lastSnapshot(), Report: d.progress.copying(),
	})
	if err != nil {
		return copied, explainSnapshot(err)
	}
	return copied, d.checkLeftOut(copied.LeftOut)
}

func (d *deployment) temporary() string {
	return filepath.Join(d.paths.Revisions(d.revision.ID.Function), fmt.Sprintf(".%05d", d.revision.ID.Number))
}

// writeEnv writes the files of variables.
func (d *deployment) writeEnv(dir string) error {
	files, err := d.envFiles()
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := platform.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// envFiles are the variables of jcloud.yml, and those that are set, which stay as they are if none are given.
func (d *deployment) envFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, part := range []struct {
		name  string
		given map[string]string
	}{
		{platform.ConfigEnvFile, d.request.config.Env},
		{platform.EnvFile, d.request.env},
	} {
		data, err := units.EnvFile(part.given)
		if err != nil {
			return nil, err
		}
		if part.given == nil && part.name != platform.ConfigEnvFile {
			if data, err = d.lastEnv(part.name); err != nil {
				return nil, err
			}
		}
		files[part.name] = data
	}
	return files, nil
}

func (d *deployment) lastEnv(name string) ([]byte, error) {
	last, err := serving(d.store, d.request.name)
	if err != nil || last.Number == 0 {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(d.paths.Revision(last), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func (d *deployment) writeUnits(context.Context) (string, error) {
	count, err := d.putUnits(d.revision)
	return fmt.Sprintf("wrote %s", plural(count, "unit")), err
}

// start makes the revision ready to serve.
func (d *deployment) start(ctx context.Context) (string, error) {
	if err := d.limitDisk(d.revision, d.verbose); err != nil {
		return "", err
	}
	started := time.Now()
	launch := d.launch
	if d.noTraffic {
		launch = d.launchOne
	}
	if _, err := launch(ctx, d.revision); err != nil {
		var unhealthy startError
		if errors.As(err, &unhealthy) && ctx.Err() == nil {
			d.failure = unhealthy.reason.Error()
		}
		return "", err
	}
	return answered(d.revision.ID, started), nil
}

// takeTraffic moves the function's traffic to the revision: at once, or step by step.
func (d *deployment) takeTraffic(ctx context.Context) error {
	switchRoute := func() error {
		return d.progress.run("switching the route", func() (string, error) { return d.switchRoute(ctx) })
	}
	if d.rollout == 0 {
		return switchRoute()
	}
	r, err := d.newRollout(ctx)
	if err != nil {
		return err
	}
	if r == nil {
		return switchRoute()
	}
	err = r.run(ctx, switchRoute)
	d.failure = r.failure
	return err
}

// switchRoute makes the new revision serve, after a reboot too.
func (d *deployment) switchRoute(ctx context.Context) (string, error) {
	route, err := d.nextRoute()
	if err != nil {
		return "", err
	}
	if d.noTraffic {
		// From here on it is a revision like others, though nothing may lead to it.
		if err := d.store.MarkProved(d.revision.ID); err != nil {
			return "", err
		}
	}
	if route.Paused {
		d.progress.note("%s stays paused: fnctl resume %s", route.Function, route.Function)
	}
	if err := d.launcher.switchRoute(route); err != nil {
		return "", err
	}
	// From here on the deploy has succeeded; what is left to do is the activator's, or harmless.
	d.prune(ctx, route.Function)
	return d.switched(), nil
}

// giveUp leaves everything as it was. A revision that was tried and failed is kept; of anything else nothing is. It works
// also when the deploy was interrupted.
func (d *deployment) giveUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	route, err := d.store.Route(d.request.name)
	if err == nil && route.Reaches(d.revision.ID) {
		return nil // the route was switched, though its durability could not be confirmed
	}
	logs := fmt.Sprintf("fnctl logs %s --revision %d", d.request.name, d.revision.ID.Number)
	switch {
	case d.failure == "":
		return d.undo(ctx)
	case errors.Is(err, platform.ErrNoFunction):
		// A function that never served is none. What it printed stays in the journal.
		d.progress.note("%s has what it printed", logs)
		return d.undo(ctx)
	}
	if err := d.keepFailed(ctx); err != nil {
		return errors.Join(fmt.Errorf("keep %s: %w", d.revision.ID, err), d.undo(ctx))
	}
	d.progress.note("%s is kept for inspection, without traffic: %s", d.revision.ID, logs)
	return nil
}

// keepFailed takes down why the revision failed, and stops it unless it had traffic: then the activator drains it.
func (d *deployment) keepFailed(ctx context.Context) error {
	if !d.store.Served(d.revision.ID) {
		r := remover{paths: d.paths, store: d.store, units: d.units, kill: true}
		if err := r.halt(ctx, d.revision.ID); err != nil {
			return err
		}
	}
	failure := platform.FailedDeploy{Time: time.Now().UTC().Truncate(time.Second), Reason: d.failure}
	if err := d.store.PutFailedDeploy(d.revision.ID, failure); err != nil {
		return err
	}
	d.prune(ctx, d.request.name)
	return nil
}

// undo removes everything of the new revision.
func (d *deployment) undo(ctx context.Context) error {
	r := remover{paths: d.paths, store: d.store, units: d.units, kill: true}
	if err := errors.Join(os.RemoveAll(d.temporary()), r.revision(ctx, d.revision.ID)); err != nil {
		return fmt.Errorf("remove what the failed deploy left: %w", err)
	}
	if _, err := d.store.Route(d.request.name); !errors.Is(err, platform.ErrNoFunction) {
		return nil
	}
	// An app may have written to the workspace, or an earlier function of this name: then it stays.
	_ = workspace.Remove(d.paths, d.request.name, os.Remove)
	// What a deploy or a removal that was killed has left goes, too: nobody would find it without the registry.
	return r.all(ctx, d.request.name)
}
