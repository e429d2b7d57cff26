package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

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
		return changeTraffic(c, name, func(store platform.Store, before platform.Route) (trafficPlan, error) {
			id, err := earlier(store, before)
			return trafficPlan{percents: percents{id: 100}}, err
		})
	}
	id, err := parseRevision(name, c.Args().Get(1))
	if err != nil {
		return err
	}
	return changeTraffic(c, name, func(platform.Store, platform.Route) (trafficPlan, error) {
		return trafficPlan{percents: percents{id: 100}}, nil
	})
}

// earlier is the last revision before the newest with traffic that had traffic itself.
func earlier(store platform.Store, before platform.Route) (platform.RevisionID, error) {
	hint := fmt.Sprintf("\"fnctl revisions %s\" shows those that are kept", before.Function)
	if len(before.Traffic) == 0 {
		return platform.RevisionID{}, platform.WithHint(fmt.Errorf("which revision of %s has traffic is not known", before.Function),
			"name the one to go back to; %s", hint)
	}
	ids, err := store.Revisions(before.Function)
	if err != nil {
		return platform.RevisionID{}, err
	}
	var found platform.RevisionID
	for _, id := range ids {
		_, failed := store.FailedDeploy(id)
		if id.Number < before.Newest().Number && store.Served(id) && !failed {
			found = id
		}
	}
	if found.Number == 0 {
		return found, platform.WithHint(fmt.Errorf("%s has no revision before %05d to go back to", before.Function, before.Newest().Number), "%s", hint)
	}
	return found, nil
}
