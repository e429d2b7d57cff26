package deploy

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

// Deployed is what came of a deploy.
type Deployed struct {
	Revision platform.Revision
	// Unchanged reports that the revision is one that served already: there was nothing to change.
	Unchanged bool
}

// Deploy takes a request to a revision that serves. Until the route is written, which is the last thing that can fail, the
// old revision serves. If anything fails before, nothing of the new one stays behind; if it starts and fails, its files do.
func (f *Function) Deploy(ctx context.Context, r Request) (Deployed, error) {
	d := &deployment{Function: f, request: r}
	return d.run(ctx)
}

// deployment is a deploy under way.
type deployment struct {
	*Function
	request  Request
	secrets  secretPlan
	revision platform.Revision
	// failure is why the revision does not come to serve; what failed before it started has none.
	failure string
}

func (d *deployment) run(ctx context.Context) (Deployed, error) {
	if err := d.checkHosts(d.request.Config.Hosts); err != nil {
		return Deployed{}, err
	}
	if err := d.checkTag(); err != nil {
		return Deployed{}, err
	}
	if err := d.planSecrets(ctx); err != nil {
		return Deployed{}, err
	}
	if current, same := d.unchanged(ctx); same && !d.request.Force {
		d.Progress.Note("nothing changed: %s is what is deployed already", current.ID)
		d.prune(ctx)
		return Deployed{Revision: current, Unchanged: true}, nil
	}
	number, err := d.nextNumber(ctx)
	if err != nil {
		return Deployed{}, err
	}
	d.revision = d.revisionOf(number, d.secrets.described)
	err = d.change(ctx, platform.Route{}, func(c *change) error {
		c.onFailure(reaches(d.revision.ID), d.giveUp)
		return d.steps(ctx, c)
	})
	return Deployed{Revision: d.revision}, err
}

func (d *deployment) steps(ctx context.Context, c *change) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"copying the app", d.copyApp},
		{"preparing the runtime", d.prepareRuntime},
		{"writing units", d.writeUnits},
		{"starting " + d.revision.ID.String(), d.start},
	} {
		if err := d.Progress.Step(step.name, func() (string, error) { return step.do(ctx) }); err != nil {
			return err
		}
	}
	return d.takeTraffic(ctx, c)
}

func (d *deployment) nextNumber(ctx context.Context) (int, error) {
	loaded, err := d.Units.List(ctx, "fn-"+d.Name+"-*")
	if err != nil {
		return 0, err
	}
	return nextNumber(d.Store, d.Name, loaded)
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

// revisionOf is the revision that comes of the request.
func (d *deployment) revisionOf(number int, secrets *platform.Secrets) platform.Revision {
	return d.request.revision(d.Store.Paths, platform.RevisionID{Function: d.Name, Number: number}, secrets)
}

// copyApp makes the revision's directory, with everything in it. It has a temporary name
// until it is whole.
func (d *deployment) copyApp(ctx context.Context) (string, error) {
	id := d.revision.ID
	final := d.Store.Paths.Revision(id)
	if err := os.MkdirAll(d.Store.Paths.Revisions(id.Function), 0o755); err != nil {
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
	if err := d.secrets.write(ctx, d.Store.Paths, temporary); err != nil {
		return "", fmt.Errorf("write the secrets: %w", err)
	}
	if err := d.Store.PutRevision(temporary, d.revision); err != nil {
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
		return snapshot.Share(ctx, d.Store.Paths.Snapshot(d.request.from), to)
	}
	copied, err := snapshot.Take(ctx, d.request.Dir, to, snapshot.Options{
		Before: d.lastSnapshot(), Report: d.Progress.Copying(),
	})
	if err != nil {
		return copied, explainSnapshot(err)
	}
	return copied, d.checkLeftOut(copied.LeftOut)
}

func (d *deployment) temporary() string {
	return filepath.Join(d.Store.Paths.Revisions(d.revision.ID.Function), fmt.Sprintf(".%05d", d.revision.ID.Number))
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
		{platform.ConfigEnvFile, d.request.Config.Env},
		{platform.EnvFile, d.request.Env},
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
	last, err := serving(d.Store, d.Name)
	if err != nil || last.Number == 0 {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(d.Store.Paths.Revision(last), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func (d *deployment) writeUnits(context.Context) (string, error) {
	count, err := d.putUnits(d.revision)
	return fmt.Sprintf("wrote %s", platform.Plural(count, "unit")), err
}

// start makes the revision ready to serve.
func (d *deployment) start(ctx context.Context) (string, error) {
	if err := d.limitDisk(d.revision, d.request.Verbose); err != nil {
		return "", err
	}
	started := time.Now()
	s := starter{d.Engine}
	launch := s.launch
	if d.request.NoTraffic {
		launch = s.launchOne
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
func (d *deployment) takeTraffic(ctx context.Context, c *change) error {
	switchRoute := func() error {
		return d.Progress.Step("switching the route", func() (string, error) { return d.switchRoute(ctx) })
	}
	if d.request.Rollout == 0 {
		return switchRoute()
	}
	r, err := d.newRollout(ctx)
	if err != nil {
		return err
	}
	if r == nil {
		return switchRoute()
	}
	return r.run(ctx, c, switchRoute)
}

// switchRoute makes the new revision serve, after a reboot too.
func (d *deployment) switchRoute(ctx context.Context) (string, error) {
	route, err := d.nextRoute()
	if err != nil {
		return "", err
	}
	if d.request.NoTraffic {
		// From here on it is a revision like others, though nothing may lead to it.
		if err := d.Store.MarkProved(d.revision.ID); err != nil {
			return "", err
		}
	}
	if route.Paused {
		d.Progress.Note("%s stays paused: fnctl resume %s", route.Function, route.Function)
	}
	if err := d.Function.switchRoute(route); err != nil {
		return "", err
	}
	// From here on the deploy has succeeded; what is left to do is the activator's, or harmless.
	d.prune(ctx)
	return d.switched(), nil
}

// giveUp leaves everything as it was. A revision that was tried and failed is kept; of anything else nothing is.
func (d *deployment) giveUp(ctx context.Context) error {
	_, err := d.Store.Route(d.Name)
	logs := fmt.Sprintf("fnctl logs %s --revision %d", d.Name, d.revision.ID.Number)
	switch {
	case d.failure == "":
		return d.discard(ctx)
	case errors.Is(err, platform.ErrNoFunction):
		// A function that never served is none. What it printed stays in the journal.
		d.Progress.Note("%s has what it printed", logs)
		return d.discard(ctx)
	}
	if err := d.keepFailed(ctx); err != nil {
		return errors.Join(fmt.Errorf("keep %s: %w", d.revision.ID, err), d.discard(ctx))
	}
	d.Progress.Note("%s is kept for inspection, without traffic: %s", d.revision.ID, logs)
	return nil
}

// keepFailed takes down why the revision failed, and stops it unless it had traffic: then the activator drains it.
func (d *deployment) keepFailed(ctx context.Context) error {
	if !d.Store.Served(d.revision.ID) {
		r := remover{Engine: d.Engine, kill: true}
		if err := r.halt(ctx, d.revision.ID); err != nil {
			return err
		}
	}
	failure := platform.FailedDeploy{Time: time.Now().UTC().Truncate(time.Second), Explanation: d.failure}
	if err := d.Store.PutFailedDeploy(d.revision.ID, failure); err != nil {
		return err
	}
	d.prune(ctx)
	return nil
}

// discard removes everything of the new revision.
func (d *deployment) discard(ctx context.Context) error {
	r := remover{Engine: d.Engine, kill: true}
	if err := errors.Join(os.RemoveAll(d.temporary()), r.revision(ctx, d.revision.ID)); err != nil {
		return fmt.Errorf("remove what the failed deploy left: %w", err)
	}
	if _, err := d.Store.Route(d.Name); !errors.Is(err, platform.ErrNoFunction) {
		return nil
	}
	// An app may have written to the workspace, or an earlier function of this name: then it stays.
	_ = workspace.Remove(d.Store.Paths, d.Name, os.Remove)
	// What a deploy or a removal that was killed has left goes, too: it could not be found without the registry.
	return r.all(ctx, d.Name)
}
