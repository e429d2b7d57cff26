package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
	"github.com/fnctl/fnctl/units/systemd"
)

// launcher makes revisions ready to serve and lets routes take effect. Whoever uses it holds the function's lock.
type launcher struct {
	paths    platform.Paths
	store    platform.Store
	units    *systemd.Manager
	progress *progress
	noWait   bool // for the lock of a function
}

func newLauncher(c *cli.Context, manager *systemd.Manager) launcher {
	return launcher{paths: paths(), store: store(), units: manager, progress: newProgress(c.App.ErrWriter), noWait: c.Bool("no-wait")}
}

// lock takes the lock of a function.
func (l launcher) lock(ctx context.Context, name string) (unlock func(), err error) {
	return lockFunction(ctx, l.store, name, l.progress, l.noWait)
}

// checkHosts refuses a host name that another function has.
func (l launcher) checkHosts(function string, hosts []string) error {
	if len(hosts) == 0 {
		return nil // the usual case costs nothing, however many functions there are
	}
	names, err := l.store.Functions()
	if err != nil {
		return err
	}
	settings, err := platform.LoadSettings(l.paths)
	if err != nil {
		return err
	}
	for _, host := range hosts {
		if owner, is := settings.FunctionOf(host); is && owner != function {
			return platform.WithHint(fmt.Errorf("host %s is the address of the function %s", host, owner), "each function has the host of endpoint: in fnctl.yml anyway")
		}
	}
	for _, name := range names {
		if name == function {
			continue
		}
		route, err := l.store.Route(name)
		if err != nil {
			continue // a damaged route has no host
		}
		for _, taken := range slices.Concat(route.Hosts, hostsOfTags(settings, name, slices.Collect(maps.Keys(route.Tags)))) {
			for _, host := range hosts {
				if host == taken {
					return fmt.Errorf("host %s belongs to the function %s", host, name)
				}
			}
		}
	}
	return nil
}

// putUnits writes the units of a revision, and returns how many there are.
func (l launcher) putUnits(rev platform.Revision) (int, error) {
	files, err := units.Files(l.paths, rev)
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if err := platform.WriteFile(filepath.Join(l.paths.Units(), file.Name), []byte(file.Text), 0o644); err != nil {
			return 0, err
		}
	}
	return len(files), nil
}

// tagHosts are the hosts of tags of a function.
func (l launcher) tagHosts(function string, tags []string) ([]string, error) {
	settings, err := platform.LoadSettings(l.paths)
	return hostsOfTags(settings, function, tags), err
}

func hostsOfTags(settings platform.Settings, function string, tags []string) []string {
	var hosts []string
	for _, tag := range tags {
		hosts = append(hosts, tag+"."+settings.HostOf(function))
	}
	return hosts
}

// launch arms and starts the instances that a revision without traffic must have before it gets some, and proves that each
// is healthy. It returns those that it has begun to start, also with an error.
func (l launcher) launch(ctx context.Context, rev platform.Revision) ([]platform.InstanceID, error) {
	scale, err := l.store.Scale(rev.ID.Function)
	if err != nil {
		return nil, err
	}
	// Other revisions' instances go only after the switch, so that never fewer than minAvailable are ready.
	return l.launchSome(ctx, rev, max(1, scale.Apply(rev.Config.Autoscale).Min, rev.Config.MinAvailable))
}

// launchOne is launch for a revision that is to have no traffic: it is to answer, not to carry anything.
func (l launcher) launchOne(ctx context.Context, rev platform.Revision) ([]platform.InstanceID, error) {
	return l.launchSome(ctx, rev, 1)
}

func (l launcher) launchSome(ctx context.Context, rev platform.Revision, count int) ([]platform.InstanceID, error) {
	ids, err := l.unusedInstances(ctx, rev.ID, count)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range ids {
		group.Go(func() error { return l.startInstance(ctx, rev, id) })
	}
	return ids, group.Wait()
}

// unusedInstances names the first instances of a revision of which there is nothing. One of an earlier time may still
// drain, or be about to: the activator removes its copy of the app at last.
func (l launcher) unusedInstances(ctx context.Context, id platform.RevisionID, count int) ([]platform.InstanceID, error) {
	used, err := remover{paths: l.paths, units: l.units}.instances(ctx, id.Function)
	if err != nil {
		return nil, err
	}
	works, err := l.paths.ListWorks()
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

// switchRoute lets a route take effect, after a reboot too. Its revisions must be ready to serve.
func (l launcher) switchRoute(route platform.Route) error {
	for _, share := range route.Traffic {
		if route.Paused {
			continue
		}
		if err := l.link(share.Revision); err != nil {
			return fmt.Errorf("arm %s at boot: %w", share.Revision, err)
		}
	}
	if err := l.store.PutRoute(route); err != nil {
		return err
	}
	for _, share := range route.Traffic {
		_ = l.store.RemoveFailedDeploy(share.Revision) // it serves, whatever the file says
	}
	l.unlinkOthers(route)
	return nil
}

// link arms a revision at boot.
func (l launcher) link(id platform.RevisionID) error {
	link, target := units.BootLink(l.paths, id)
	if !exists(l.paths.Wants()) {
		if err := os.MkdirAll(l.paths.Wants(), 0o755); err != nil {
			return err
		}
		if err := platform.SyncDir(filepath.Dir(l.paths.Wants())); err != nil {
			return err
		}
	}
	if err := os.Symlink(target, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return platform.SyncDir(filepath.Dir(link))
}

// unlinkOthers removes the boot links of the revisions to which a route sends no request. One that stays arms a socket
// for nothing.
func (l launcher) unlinkOthers(route platform.Route) {
	revisions, _ := l.store.Revisions(route.Function)
	for _, id := range revisions {
		if !route.Serves(id) {
			link, _ := units.BootLink(l.paths, id)
			os.Remove(link)
		}
	}
}

// proveServing proves that a revision with traffic answers. Its instances are the activator's, who may drain one
// meanwhile: then another is asked.
func (l launcher) proveServing(ctx context.Context, rev platform.Revision) error {
	for {
		id, err := l.anyInstance(rev.ID)
		if err != nil {
			return err
		}
		err = l.prove(ctx, rev, id, time.Now(), func(context.Context) error { return nil }) // the question wakes it
		if err == nil || ctx.Err() != nil || exists(l.paths.InstanceSocket(id)) {
			return err
		}
	}
}

func (l launcher) anyInstance(id platform.RevisionID) (platform.InstanceID, error) {
	ids, err := l.paths.ListInstances()
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
