package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
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
		Action:       func(c *cli.Context) error { return changeFunction(c, (*deploy.Function).Restart) },
	}
}
