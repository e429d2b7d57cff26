package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
	"github.com/fnctl/fnctl/units/systemd"
)

// remover takes away what deploys have made. What is not there is no error, so that it can finish what was cut short.
type remover struct {
	paths platform.Paths
	store platform.Store
	units *systemd.Manager
	// kill tells that processes get no time to end, because nothing that they do is wanted.
	kill bool
}

// instances lists the instances of a function that systemd knows, each with whether its service runs.
func (r remover) instances(ctx context.Context, function string) (map[platform.InstanceID]bool, error) {
	list, err := r.units.List(ctx, "fn-"+function+"-*")
	if err != nil {
		return nil, err
	}
	found := map[platform.InstanceID]bool{}
	for _, unit := range list {
		id, kind, ok := platform.ParseUnit(unit.Name)
		if ok && id.Revision.Function == function {
			found[id] = found[id] || kind == "service" && !unit.Gone()
		}
	}
	return found, nil
}

// revision stops all instances of a revision and removes its units and files.
func (r remover) revision(ctx context.Context, id platform.RevisionID) error {
	if err := r.halt(ctx, id); err != nil {
		return err
	}
	for _, path := range units.RevisionFiles(r.paths, id) {
		if err := remove(path); err != nil {
			return err
		}
	}
	return os.RemoveAll(r.paths.Revision(id))
}

// halt stops all instances of a revision, after a reboot too.
func (r remover) halt(ctx context.Context, id platform.RevisionID) error {
	link, _ := units.BootLink(r.paths, id)
	if err := remove(link); err != nil {
		return err
	}
	instances, err := r.instances(ctx, id.Function)
	if err != nil {
		return err
	}
	var group errgroup.Group
	for instance := range instances {
		if instance.Revision == id {
			group.Go(func() error { return r.stop(ctx, instance) })
		}
	}
	return group.Wait()
}

// stop stops one instance for good.
func (r remover) stop(ctx context.Context, id platform.InstanceID) error {
	if r.kill {
		if err := r.units.Kill(ctx, id.Service()); err != nil {
			return err
		}
	}
	// The socket first: a stopped service would be started again by whoever waits there.
	for _, unit := range []string{id.Socket(), id.Service()} {
		if err := r.units.Stop(ctx, unit); err != nil {
			return err
		}
		if err := r.units.ResetFailed(ctx, unit); err != nil {
			return err
		}
	}
	return r.paths.RemoveWork(id)
}

// registry removes a function that has no revision any more from the registry.
func (r remover) registry(ctx context.Context, function string) error {
	if err := r.units.Stop(ctx, platform.SliceName(function)); err != nil {
		return err
	}
	if err := r.paths.RemoveWorks(function); err != nil {
		return err
	}
	if err := remove(units.SliceFile(r.paths, function)); err != nil {
		return err
	}
	return os.RemoveAll(r.paths.Function(function))
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// drainPoll is how often the gateway is asked whether a function still has requests.
const drainPoll = 100 * time.Millisecond

// drain takes all instances of a function out of use and waits until their requests are finished, at most for timeout.
func (r remover) drain(ctx context.Context, function string, timeout time.Duration) error {
	instances, err := r.instances(ctx, function)
	if err != nil {
		return err
	}
	for id := range instances {
		if err := r.units.Stop(ctx, id.Socket()); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("requests still ran after %s", timeout))
	defer cancel()
	source := activator.NewGatewaySource(r.paths.GatewaySocket())
	for {
		loads, err := source.Load(ctx)
		if err != nil || inFlight(loads, function) == 0 {
			return nil // a gateway that is not there has no requests
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(drainPoll):
		}
	}
}

func inFlight(loads map[platform.RevisionID]*activator.Load, function string) float64 {
	var total float64
	for id, load := range loads {
		if id.Function != function {
			continue
		}
		for _, instance := range load.Instances {
			total += instance.InFlight
		}
	}
	return total
}
