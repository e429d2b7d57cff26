package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/workspace"
)

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
		r := teardown{Engine: d.Engine, kill: true}
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
	r := teardown{Engine: d.Engine, kill: true}
	if err := errors.Join(platform.RemoveTree(d.temporary()), r.revision(ctx, d.revision.ID)); err != nil {
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
