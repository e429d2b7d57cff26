package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/platform"
)

// prepareRuntime makes what the app needs besides its own files: its packages, and compiled modules, so that no cold start
// has to compile them. It says what the runtime is, and why.
func (d *deployment) prepareRuntime(ctx context.Context) (string, error) {
	if !d.request.App.IsPython() && d.request.App.Requirements.IsEmpty() {
		return d.describeRuntime(""), nil
	}
	if !platform.Exists(build.Python) {
		return "", platform.WithHint(fmt.Errorf("%s not found", build.Python), "install Python: apt-get install python3")
	}
	if err := d.takeRequirements(); err != nil {
		return "", err
	}
	v := d.venv()
	packages := ""
	switch {
	case v.IsEmpty():
	case v.IsBuilt():
		if err := v.RemoveSources(); err != nil {
			return "", err
		}
		packages = build.RequirementsFile + " is installed already"
	default:
		b := build.Builder{Venv: v, Paths: d.Store.Paths, Units: d.Units, Report: d.Progress.Detail, Verbose: d.request.Verbose}
		if err := b.Build(ctx); err != nil {
			return "", err
		}
		packages = "installed " + build.RequirementsFile
	}
	if err := d.request.App.CheckProgram(v); err != nil {
		return "", err
	}
	if err := d.takeCommand(); err != nil {
		return "", err
	}
	if err := d.askApp(ctx); err != nil {
		return "", err
	}
	if err := build.CheckServer(ctx, d.revision.Runtime, v); err != nil {
		return "", err
	}
	if err := build.CheckWebSockets(ctx, d.revision.Runtime, v, d.Store.Paths.Snapshot(d.revision.ID)); err != nil {
		d.advice = append(d.advice, err)
	}
	// A module that does not compile is no error here: the app may never import it.
	if err := build.Compile(ctx, d.Units, d.Store.Paths, d.revision.ID); err != nil && d.request.Verbose {
		d.Progress.Note("%v", err)
	}
	// What the tools have written is not on the disk yet.
	return d.describeRuntime(packages), platform.SyncFileSystem(d.Store.Paths.Revision(d.revision.ID))
}

// askApp asks an app whose runtime is a guess. One that does not tell, or must not run beside the revision that serves, is what it was there;
// otherwise it is left to its proof, which has its error.
func (d *deployment) askApp(ctx context.Context) error {
	if !d.request.App.IsGuess() {
		return nil
	}
	before, isKnown := d.appBefore()
	if isKnown && d.alone {
		d.request.App = before
		return d.takeCommand()
	}
	d.Progress.Detail("asking " + d.request.App.Text + " what it is")
	asked, err := d.request.App.Ask(ctx, d.Units, d.Store, d.revision)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && d.request.Verbose:
		d.Progress.Note("%v", err)
	}
	if err != nil && isKnown {
		asked = before
	}
	d.request.App = asked
	return d.takeCommand()
}

// appBefore is the app with the runtime that it has in the revision that serves, if it is the same one.
func (d *deployment) appBefore() (build.App, bool) {
	route, err := d.Store.Route(d.Name)
	if err != nil {
		return build.App{}, false
	}
	rev, err := d.Store.Revision(route.Newest())
	if err != nil {
		return build.App{}, false
	}
	return d.request.App.AsIn(rev)
}

// describeRuntime says what the runtime is and where its packages come from.
func (d *deployment) describeRuntime(packages string) string {
	said := d.request.App.Found
	if said == "" {
		said = "the runtime is " + string(d.revision.Runtime)
	}
	if packages != "" {
		said += "; " + packages
	}
	return said
}

// takeRequirements reads the requirements that were copied: they may have changed since they were first read.
func (d *deployment) takeRequirements() error {
	required, err := build.ReadRequirements(d.Store.Paths.Snapshot(d.revision.ID))
	if err != nil {
		return err
	}
	d.request.App.Requirements = required
	return d.takeCommand()
}

// takeCommand makes the command of the revision what the app and its environment are by now.
func (d *deployment) takeCommand() error {
	now := d.request.revision(d.Store.Paths, d.revision.ID, d.revision.Secrets)
	if slices.Equal(now.Command, d.revision.Command) && now.Venv == d.revision.Venv {
		return nil
	}
	d.revision.Runtime, d.revision.Command, d.revision.Venv = now.Runtime, now.Command, now.Venv
	return d.Store.PutRevision(d.Store.Paths.Revision(d.revision.ID), d.revision)
}

// venv is the environment in which the app runs.
func (d *deployment) venv() build.Venv {
	return d.request.App.Venv(d.Store.Paths, d.Name, d.request.Config.SystemPackages)
}
