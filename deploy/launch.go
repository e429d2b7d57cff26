package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

// starter starts instances and proves that they are healthy.
type starter struct{ *Engine }

// launched is what came of a launch.
type launched struct {
	instances []platform.InstanceID // that it has begun to start, also with an error
	status    int                   // of the worst of the answers that proved them
}

// launch arms and starts the instances that a revision without traffic must have before it gets some, and proves that each
// is healthy.
func (s starter) launch(ctx context.Context, rev platform.Revision) (launched, error) {
	scale, err := s.Store.Scale(rev.ID.Function)
	if err != nil {
		return launched{}, err
	}
	// Other revisions' instances go only after the switch, so that never fewer than minAvailable are ready.
	return s.launchSome(ctx, rev, max(1, scale.Apply(rev.Config.Autoscale).Min, rev.Config.MinAvailable))
}

// launchOne is launch for a revision that is to have no traffic: it is to answer, not to carry anything.
func (s starter) launchOne(ctx context.Context, rev platform.Revision) (launched, error) {
	return s.launchSome(ctx, rev, 1)
}

// launchSome starts the first instance alone: what an app makes once, such as its tables, it makes before there are others.
func (s starter) launchSome(ctx context.Context, rev platform.Revision, count int) (launched, error) {
	ids, err := s.unusedInstances(ctx, rev.ID, count)
	if err != nil {
		return launched{}, err
	}
	if err := s.checkMemory(ctx, rev, count); err != nil {
		return launched{}, err
	}
	statuses := make([]int, count)
	if statuses[0], err = s.startInstance(ctx, rev, ids[0]); err != nil {
		return launched{instances: ids[:1]}, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(platform.StartsPerCore * runtime.NumCPU())
	for i, id := range ids[1:] {
		group.Go(func() (err error) {
			statuses[i+1], err = s.startInstance(ctx, rev, id)
			return err
		})
	}
	err = group.Wait()
	return launched{ids, slices.Max(statuses)}, err
}

// checkMemory refuses to start more than one instance if the machine has no memory for them beside what runs: they are expected to
// use what the largest instance of their function does, and never more than their tier.
func (s starter) checkMemory(ctx context.Context, rev platform.Revision, count int) error {
	memory, err := platform.ReadHostMemory(s.Store.Paths)
	if err != nil || count < 2 {
		return nil // what is not known bounds nothing
	}
	running, err := teardown{Engine: s.Engine}.instances(ctx, rev.ID.Function)
	if err != nil {
		return err
	}
	var each int64
	for id, runs := range running {
		if used, err := platform.InstanceCgroup(s.Store.Paths, platform.SliceName(id.Revision.Function), id).Memory(); runs && err == nil {
			each = max(each, used)
		}
	}
	if each == 0 {
		each = platform.UnknownInstance
	}
	each = min(each, rev.Config.Instance.MemoryBytes())
	if needed := int64(count) * each; needed > memory.Free {
		return platform.WithHint(fmt.Errorf("the machine is short of memory: %d instances of some %s are to start beside what runs, and there is room for %s",
			count, platform.ByteSize(each), platform.ByteSize(max(0, memory.Free))), "fewer at once: autoscale.min, or fnctl scale %s --min", rev.ID.Function)
	}
	return nil
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

// answered says that a revision can serve, and with what it answered if that was an error of its own.
func (l launched) answered(id platform.RevisionID, started time.Time) string {
	with := ""
	if l.status >= http.StatusInternalServerError {
		with = fmt.Sprintf(" with %d %s", l.status, http.StatusText(l.status))
	}
	return fmt.Sprintf("started %s: it answered%s after %d ms", id, with, time.Since(started).Milliseconds())
}

// proveServing proves that a revision with traffic answers. Its instances are the activator's, who may drain one
// meanwhile: then another is asked.
func (s starter) proveServing(ctx context.Context, rev platform.Revision) error {
	for {
		id, err := s.anyInstance(rev.ID)
		if err != nil {
			return err
		}
		err = s.proveAwake(ctx, rev, id)
		if err == nil || ctx.Err() != nil || platform.Exists(s.Store.Paths.InstanceSocket(id)) {
			return err
		}
	}
}

// proveAwake proves an instance that may be asleep. The question starts one that is armed.
func (s starter) proveAwake(ctx context.Context, rev platform.Revision, id platform.InstanceID) error {
	var claim *standby.Claim
	defer func() { claim.Release() }()
	_, err := s.prove(ctx, rev, id, time.Now(), func(ctx context.Context) (err error) {
		claim, err = standby.Wake(ctx, platform.InstanceCgroup(s.Store.Paths, platform.SliceName(id.Revision.Function), id))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			return nil // it was never frozen, or has ended
		}
		return err
	})
	return err
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
