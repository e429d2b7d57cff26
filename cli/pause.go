package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

func pauseCommand() *cli.Command {
	return &cli.Command{
		Name:      "pause",
		Usage:     "stop a function, until it is resumed",
		UsageText: "pause NAME [-o json]",
		Description: "New requests are answered with 503 and a text that says so, at once; those that run are finished. No process is\n" +
			"left, and no instance is started for a request, after a reboot neither. What is deployed, rolled back or split\n" +
			"meanwhile is proved and stays paused, too.",
		Flags:        []cli.Flag{noWaitFlag(), outputFlag()},
		BashComplete: completeFunctions,
		Action:       func(c *cli.Context) error { return changeFunction(c, pause) },
	}
}

func resumeCommand() *cli.Command {
	return &cli.Command{
		Name:      "resume",
		Usage:     "let a paused function serve again",
		UsageText: "resume NAME [-o json]",
		Description: "It is reached where it was before. As after a deploy, the least number of instances is started, at least one, and\n" +
			"each must answer before the first request is taken.",
		Flags:        []cli.Flag{noWaitFlag(), outputFlag()},
		BashComplete: completeFunctions,
		Action:       func(c *cli.Context) error { return changeFunction(c, resume) },
	}
}

// changeFunction does something to the function that a command names, under its lock, and shows what it has become.
func changeFunction(c *cli.Context, change func(context.Context, launcher, platform.Route) error) error {
	name, err := oneArg(c, "NAME")
	if err != nil {
		return err
	}
	if err := checkDeployed(name); err != nil {
		return err
	}
	if err := requireRoot(c.Command.Name); err != nil {
		return err
	}
	manager := &systemd.Manager{}
	defer manager.Close()
	l := newLauncher(c, manager)
	unlock, err := l.lock(c.Context, name)
	if err != nil {
		return err
	}
	defer unlock()
	route, err := l.store.Route(name)
	if errors.Is(err, platform.ErrNoFunction) {
		return noFunction(name)
	}
	if err != nil {
		return platform.WithHint(err, "deploy %s again to write a new one", name)
	}
	if err := change(c.Context, l, route); err != nil {
		return err
	}
	l.prune(c.Context, name)
	return printDeployed(c, describeDeployed(c.Context, platform.Revision{ID: route.Newest()}))
}

// pause switches the route; the activator drains what has no request to expect any more.
func pause(_ context.Context, l launcher, route platform.Route) error {
	if route.Paused {
		l.progress.note("nothing to change: %s is paused", route.Function)
		l.unlinkOthers(route) // a command that was killed may have left some
		return nil
	}
	route.Paused = true
	return l.progress.run("switching the route", func() (string, error) {
		return fmt.Sprintf("paused %s: new requests are refused, those that run are finished", route.Function), l.switchRoute(route)
	})
}

// resume makes the revisions ready to serve before the route is switched.
func resume(ctx context.Context, l launcher, route platform.Route) error {
	if !route.Paused {
		l.progress.note("nothing to change: %s is not paused", route.Function)
		return nil
	}
	return openRoute(ctx, l, route, "resumed "+route.Function)
}

// openRoute makes the revisions of a paused route ready to serve, then lets it take requests.
func openRoute(ctx context.Context, l launcher, route platform.Route, done string) error {
	t := trafficChange{launcher: l, function: route.Function, before: route}
	splits, err := t.splits(percentsOf(route))
	if err != nil {
		return err
	}
	var needed []platform.Revision
	for _, split := range splits {
		needed = append(needed, split.Revision)
	}
	route.Paused = false
	return t.apply(ctx, needed, route, done)
}

// percentsOf is how the traffic is split.
func percentsOf(route platform.Route) percents {
	wanted := percents{}
	for _, share := range route.Traffic {
		if share.Percent > 0 {
			wanted[share.Revision] = share.Percent
		}
	}
	return wanted
}

func pausedError(function string) error {
	return platform.WithHint(fmt.Errorf("%s is paused", function), "fnctl resume %s", function)
}
