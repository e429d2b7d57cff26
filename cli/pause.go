package cli

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
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
		Action:       func(c *cli.Context) error { return changeFunction(c, (*deploy.Function).Pause) },
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
		Action:       func(c *cli.Context) error { return changeFunction(c, (*deploy.Function).Resume) },
	}
}

// changeFunction does something to the function that a command names, and shows what it has become.
func changeFunction(c *cli.Context, change func(*deploy.Function, context.Context) error) error {
	name, err := oneArg(c, "NAME")
	if err != nil {
		return err
	}
	return changeDeployed(c, name, func(function *deploy.Function) error {
		if err := change(function, c.Context); err != nil {
			return err
		}
		route, err := store().Route(name)
		if err != nil {
			return err
		}
		return printDeployed(c, describeDeployed(c.Context, deploy.Deployed{Revision: platform.Revision{ID: route.Newest()}}))
	})
}
