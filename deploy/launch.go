package deploy

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/platform"
)

// starter starts instances and proves that they are healthy.
type starter struct{ *Engine }

// launch arms and starts the instances that a revision without traffic must have before it gets some, and proves that each
// is healthy. It returns those that it has begun to start, also with an error.
func (s starter) launch(ctx context.Context, rev platform.Revision) ([]platform.InstanceID, error) {
	scale, err := s.Store.Scale(rev.ID.Function)
	if err != nil {
		return nil, err
	}
	// Other revisions' instances go only after the switch, so that never fewer than minAvailable are ready.
	return s.launchSome(ctx, rev, max(1, scale.Apply(rev.Config.Autoscale).Min, rev.Config.MinAvailable))
}

// launchOne is launch for a revision that is to have no traffic: it is to answer, not to carry anything.
func (s starter) launchOne(ctx context.Context, rev platform.Revision) ([]platform.InstanceID, error) {
	return s.launchSome(ctx, rev, 1)
}

func (s starter) launchSome(ctx context.Context, rev platform.Revision, count int) ([]platform.InstanceID, error) {
	ids, err := s.unusedInstances(ctx, rev.ID, count)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range ids {
		group.Go(func() error { return s.startInstance(ctx, rev, id) })
	}
	return ids, group.Wait()
}

// unusedInstances names the first instances of a revision of which there is nothing. One of an earlier time may still
// drain, or be about to: the activator removes its copy of the app at last.
func (s starter) unusedInstances(ctx context.Context, id platform.RevisionID, count int) ([]platform.InstanceID, error) {
	used, err := teardown{Engine: s.Engine}.instances(ctx, id.Function)
	if err != nil {
		return nil, err
	}
	works, err := s.Store.Workdirs()
	if err != nil {
		return nil, err
	}
	for _, work := range works {
		used[work] = true
	}
	var unused []platform.InstanceID
	for index := 1; len(unused) < count; index++ {
		instance := platform.InstanceID{Revision: id, Index: index}
		if _, is := used[instance]; !is {
			unused = append(unused, instance)
		}
	}
	return unused, nil
}

// answered says that a revision can serve.
func answered(id platform.RevisionID, started time.Time) string {
	return fmt.Sprintf("started %s: it answered after %d ms", id, time.Since(started).Milliseconds())
}

// proveServing proves that a revision with traffic answers. Its instances are the activator's, who may drain one
// meanwhile: then another is asked.
func (s starter) proveServing(ctx context.Context, rev platform.Revision) error {
	for {
		id, err := s.anyInstance(rev.ID)
		if err != nil {
			return err
		}
		err = s.prove(ctx, rev, id, time.Now(), func(context.Context) error { return nil }) // the question wakes it
		if err == nil || ctx.Err() != nil || platform.Exists(s.Store.Paths.InstanceSocket(id)) {
			return err
		}
	}
}

func (s starter) anyInstance(id platform.RevisionID) (platform.InstanceID, error) {
	ids, err := s.Store.Instances()
	if err != nil {
		return platform.InstanceID{}, err
	}
	for _, instance := range ids {
		if instance.Revision == id {
			return instance, nil
		}
	}
	return platform.InstanceID{}, platform.WithHint(fmt.Errorf("%s has no instance", id), "systemctl status fnctl-activator")
}
