package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func rollbackCommand() *cli.Command {
	return &cli.Command{
		Name:      "rollback",
		Usage:     "give all traffic back to an earlier revision",
		UsageText: "rollback NAME [REVISION] [-o json]",
		Description: "Without REVISION it is the last one before the newest with traffic that had traffic itself. Nothing is built, so the\n" +
			"app's directory need not be there any more; the variables are those of the revision. It is started and must answer\n" +
			"before anything changes. What was rolled back is kept: fnctl rollback NAME REVISION goes forward, too. Tags stay\n" +
			"where they are.",
		Flags: []cli.Flag{noWaitFlag(), outputFlag()},
		BashComplete: func(c *cli.Context) {
			completeFunctions(c)
			if c.NArg() == 1 {
				printRevisions(c, "")
			}
		},
		Action: rollback,
	}
}

func rollback(c *cli.Context) error {
	switch {
	case c.NArg() == 0:
		return platform.WithHint(platform.UsageError(fmt.Errorf("rollback: NAME is missing")), "usage: %s", c.Command.UsageText)
	case c.NArg() > 2:
		return platform.UsageError(fmt.Errorf("rollback takes NAME and at most one REVISION, got %q after them", c.Args().Get(2)))
	}
	name := c.Args().First()
	if c.NArg() == 1 {
		return changeTraffic(c, name, func(function *deploy.Function) error { return function.Rollback(c.Context) })
	}
	id, err := parseRevision(name, c.Args().Get(1))
	if err != nil {
		return err
	}
	plan := deploy.TrafficPlan{Percents: deploy.Percents{id: 100}}
	return changeTraffic(c, name, func(function *deploy.Function) error { return function.ChangeTraffic(c.Context, plan) })
}
