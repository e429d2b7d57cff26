package cli

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func removeCommand() *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Aliases:   []string{"rm"},
		Usage:     "remove a function; its persistent data stays unless --purge is given",
		UsageText: "remove NAME [--purge] [--yes] [--timeout TIME]",
		Description: "New requests are refused, those that run are finished; then its revisions and units go, and its logs stay. On a\n" +
			"terminal it asks first.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "purge", Usage: "remove the function's persistent data, too"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "don't ask"},
			&cli.DurationFlag{Name: "timeout", Value: deploy.RemovePatience, Usage: "after `TIME` requests that still run are cut; those of a function never take longer than its timeout"},
			noWaitFlag(),
		},
		BashComplete: completeFunctions,
		Action: func(c *cli.Context) error {
			name, err := oneArg(c, "NAME")
			if err != nil {
				return err
			}
			if err := platform.CheckName(name); err != nil {
				return err
			}
			if err := requireRoot("remove"); err != nil {
				return err
			}
			return removeFunction(c, name)
		},
	}
}

func removeFunction(c *cli.Context, name string) error {
	purge := c.Bool("purge")
	return withEngine(c, func(engine *deploy.Engine) error {
		if !engine.Removable(name, purge) {
			return platform.NoFunction(name)
		}
		if err := confirmRemoval(c, name); err != nil {
			return err
		}
		function, err := engine.Open(c.Context, name)
		if err != nil {
			return err
		}
		defer function.Close()
		if err := function.Remove(c.Context, purge, c.Duration("timeout")); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.App.Writer, "%s removed successfully!\n", name)
		return err
	})
}

// confirmRemoval asks the user, if there is a terminal.
func confirmRemoval(c *cli.Context, name string) error {
	if c.Bool("yes") || !isTerminal(c.App.ErrWriter) || !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	question := fmt.Sprintf("remove %s, with all its revisions?", name)
	switch data := paths().Workspace(name); {
	case !platform.Exists(data):
	case c.Bool("purge"):
		question = fmt.Sprintf("remove %s, with all its revisions and its data in %s?", name, data)
	default:
		question += fmt.Sprintf(" Its data stays in %s.", data)
	}
	yes, err := confirm(c.Context, os.Stdin, c.App.ErrWriter, question)
	if err == nil && !yes {
		err = fmt.Errorf("%s is not removed", name)
	}
	return err
}
