package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
)

func restartCommand() *cli.Command {
	return &cli.Command{
		Name:      "restart",
		Usage:     "replace all running instances of a function, without a failed request",
		UsageText: "restart NAME [-o json]",
		Description: "One after the other: a new instance of the same revision is started and must answer, then the old one takes no\n" +
			"new request, finishes those that it has, and ends. Where none runs, there is nothing to do: the next request\n" +
			"starts a new one anyway.",
		Flags:        []cli.Flag{noWaitFlag(), outputFlag()},
		BashComplete: completeFunctions,
		Action:       func(c *cli.Context) error { return changeFunction(c, restart) },
	}
}

func restart(ctx context.Context, l launcher, route platform.Route) error {
	if route.Paused {
		return pausedError(route.Function)
	}
	running, err := l.runningInstances(ctx, route)
	if err != nil {
		return err
	}
	if len(running) == 0 {
		l.progress.note("nothing to restart: no instance of %s runs", route.Function)
	}
	for _, id := range running {
		err := l.progress.run("replacing "+id.String(), func() (string, error) { return l.replaceInstance(ctx, id) })
		if err != nil {
			return err
		}
	}
	return nil
}

// runningInstances lists the instances that run and take requests.
func (l launcher) runningInstances(ctx context.Context, route platform.Route) ([]platform.InstanceID, error) {
	list, err := l.units.List(ctx, "fn-"+route.Function+"-*@*")
	if err != nil {
		return nil, err
	}
	listens := map[platform.InstanceID]bool{}
	var runs, both []platform.InstanceID
	for _, unit := range list {
		id, kind, ok := platform.ParseUnit(unit.Name)
		switch {
		case !ok || unit.Gone() || !route.Serves(id.Revision):
		case kind == "socket":
			listens[id] = true
		default:
			runs = append(runs, id)
		}
	}
	for _, id := range runs {
		if listens[id] {
			both = append(both, id)
		}
	}
	slices.SortFunc(both, func(a, b platform.InstanceID) int { return compareNatural(a.String(), b.String()) })
	return both, nil
}

// replaceInstance starts an instance in the place of another, which is drained once the new one answers. The activator
// stops it when it has nothing left to do.
func (l launcher) replaceInstance(ctx context.Context, old platform.InstanceID) (string, error) {
	started := time.Now()
	rev, err := l.store.Revision(old.Revision)
	if err != nil {
		return "", err
	}
	unused, err := l.unusedInstances(ctx, rev.ID, 1)
	if err != nil {
		return "", err
	}
	if err := l.startInstance(ctx, rev, unused[0]); err != nil {
		return "", errors.Join(err, l.discard(ctx, unused[0]))
	}
	if err := l.units.Stop(ctx, old.Socket()); err != nil {
		return "", err
	}
	if err := l.units.ResetFailed(ctx, old.Socket()); err != nil {
		return "", err
	}
	return fmt.Sprintf("replaced %s by %s, which answered after %d ms", old, unused[0], time.Since(started).Milliseconds()), nil
}

// discard stops an instance that did not come to anything, also when the command was interrupted.
func (l launcher) discard(ctx context.Context, id platform.InstanceID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return remover{paths: l.paths, store: l.store, units: l.units, kill: true}.stop(ctx, id)
}
