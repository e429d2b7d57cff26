package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
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
	leftOut  []snapshot.LeftOut // of the app's directory
	advice   []error            // of what will not work, and is no failure
	alone    bool               // nothing else of the function runs while the revision starts
	started  time.Time
	status   int // of the answer that proved the revision
	// failure is why the revision does not come to serve; what failed before it started has none.
	failure string
}

func (d *deployment) run(ctx context.Context) (Deployed, error) {
	if err := d.request.checkSource(d.Store); err != nil {
		return Deployed{}, err
	}
	if _, err := d.Store.Route(d.Name); errors.Is(err, platform.ErrNewer) {
		return Deployed{}, platform.WithRouteHint(err, d.Name)
	}
	if err := checkUser(d.Store.Paths, d.Name); err != nil {
		return Deployed{}, err
	}
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
	d.warnExposed()
	if d.request.Dir != "" {
		for _, problem := range build.CheckProject(d.request.Dir, d.request.App) {
			d.Progress.Warn(problem)
		}
	}
	number, err := d.nextNumber(ctx)
	if err != nil {
		return Deployed{}, err
	}
	d.revision = d.revisionOf(number, d.secrets.described)
	if d.alone, err = d.mustBeAlone(); err != nil {
		return Deployed{}, err
	}
	if err := d.CheckNetwork(ctx, d.revision.Config.Network, d.revision.Resolvers); err != nil {
		return Deployed{}, err
	}
	warnResolvers(d.Progress, d.revision.Resolvers)
	err = d.change(ctx, platform.Route{}, func(c *change) error {
		c.onFailure(reaches(d.revision.ID), d.giveUp)
		return d.steps(ctx, c)
	})
	// What is left of a new revision that failed has gone before others come back.
	err = errors.Join(err, d.Store.Release(d.Name))
	if err == nil {
		d.checkServed(ctx)
	}
	return Deployed{Revision: d.revision}, err
}

// mustBeAlone reports whether nothing else of the function may run while the new revision starts.
func (d *deployment) mustBeAlone() (bool, error) {
	route, err := d.nextRoute()
	if err != nil {
		return false, err
	}
	single, err := d.checkSingle(route, d.request.NoTraffic || d.request.Rollout > 0 || d.request.Tag != "", d.revision)
	return single || d.request.Recreate, err
}

func (d *deployment) steps(ctx context.Context, c *change) error {
	type step struct {
		name string
		do   func(context.Context) (string, error)
	}
	steps := []step{{"copying the app", d.copyApp}, {"preparing the runtime", d.prepareRuntime}, {"writing units", d.writeUnits}}
	if d.alone {
		steps = append(steps, step{"ending what runs", func(ctx context.Context) (string, error) { return d.makeRoom(ctx, d.revision.ID) }})
	}
	steps = append(steps, step{"starting " + d.revision.ID.String(), d.start})
	for _, step := range steps {
		if err := d.Progress.Step(step.name, func() (string, error) { return step.do(ctx) }); err != nil {
			return err
		}
	}
	d.warnError()
	for _, err := range d.advice {
		d.Progress.Warn(err)
	}
	return d.takeTraffic(ctx, c)
}

func (d *deployment) nextNumber(ctx context.Context) (int, error) {
	loaded, err := d.Units.List(ctx, "fn-"+d.Name+"-*")
	if err != nil {
		return 0, err
	}
	return nextNumber(ctx, d.Store, d.Name, loaded)
}

// revisionOf is the revision that comes of the request.
func (d *deployment) revisionOf(number int, secrets *platform.Secrets) platform.Revision {
	return d.request.revision(d.Store.Paths, platform.RevisionID{Function: d.Name, Number: number}, secrets)
}

func (d *deployment) writeUnits(context.Context) (string, error) {
	count, err := putUnits(d.Store, d.revision)
	return fmt.Sprintf("wrote %s", platform.Plural(count, "unit")), err
}

// start makes the revision ready to serve.
func (d *deployment) start(ctx context.Context) (string, error) {
	if err := d.limitDisk(d.revision, d.request.Verbose); err != nil {
		return "", err
	}
	d.started = time.Now()
	s := starter{d.Engine}
	launch := s.launch
	if d.request.NoTraffic {
		launch = s.launchOne
	}
	launched, err := launch(ctx, d.revision)
	if err != nil {
		var unhealthy startError
		if errors.As(err, &unhealthy) && ctx.Err() == nil {
			d.failure = unhealthy.reason.Error()
			err = d.blameLeftOut(err)
		}
		return "", err
	}
	d.status = launched.status
	return launched.answered(d.revision.ID, d.started), nil
}

// warnError says that the app answers, but with an error. That is no failure: it may be right for this question.
func (d *deployment) warnError() {
	if d.status < http.StatusInternalServerError {
		return
	}
	id := d.revision.ID
	first := platform.InstanceID{Revision: id, Index: 1}
	lines := journal.Lines(first.Service(), d.started, appLines)
	starter{d.Engine}.quote("the app's last lines:", lines)
	err := fmt.Errorf("%s answers GET / with %d %s", id, d.status, http.StatusText(d.status))
	d.Progress.Warn(d.blameLeftOut(platform.WithHint(err, "fnctl logs %s; healthcheck.path in jcloud.yml names what a healthy app answers", id.Function)))
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
	if err := switchRoute(d.Store, route); err != nil {
		return "", err
	}
	if route.Paused {
		// What proved the revision has nothing to do, and a resume would meet it.
		if err := (teardown{Engine: d.Engine}).halt(ctx, d.revision.ID); err != nil {
			d.Progress.Warn(err)
		}
	}
	// From here on the deploy has succeeded; what is left to do is the activator's, or harmless.
	d.prune(ctx)
	return d.switched(), nil
}
