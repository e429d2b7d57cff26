package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func gcCommand() *cli.Command {
	return &cli.Command{
		Name:      "gc",
		Usage:     "remove old revisions, and what commands that were killed have left",
		UsageText: "gc [--dry-run] [--keep N] [-o json]",
		Description: "Removed are revisions without traffic but the newest of each function, failed ones but the last three, what killed\n" +
			"deploys have left, units without a revision, and copies of apps without an instance. Functions that another command is changing are left\n" +
			"alone, and persistent data always. Each deploy does the same for its function.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be removed, and change nothing"},
			&cli.IntFlag{Name: "keep", Value: deploy.KeptRevisions, Usage: "`NUMBER` of revisions without traffic that each function keeps"},
			outputFlag(),
		},
		Action: gc,
	}
}

func gc(c *cli.Context) error {
	if c.NArg() > 0 {
		return platform.UsageError(fmt.Errorf("gc takes no argument, got %q", c.Args().First()))
	}
	if c.Int("keep") < 1 {
		// The number of the newest revision must not be used again.
		return platform.UsageError(fmt.Errorf("--keep is 1 or more, not %d", c.Int("keep")))
	}
	if err := requireRoot("gc"); err != nil {
		return err
	}
	return withEngine(c, func(engine *deploy.Engine) error {
		var done deploy.Sweep
		err := engine.Progress.Step("looking for what nobody needs", func() (_ string, err error) {
			done, err = engine.Sweep(c.Context, c.Int("keep"), c.Bool("dry-run"))
			return "looked for what nobody needs", err
		})
		if wantsJSON(c) {
			return errors.Join(printJSON(c.App.Writer, done), err)
		}
		printSweep(c.App.Writer, done)
		return err
	})
}

func printSweep(w io.Writer, done deploy.Sweep) {
	for _, name := range done.Skipped {
		fmt.Fprintf(w, "%s is left alone: another command is changing it\n", name)
	}
	if len(done.Removed) == 0 {
		fmt.Fprintln(w, "Nothing to remove")
		return
	}
	t := newTable(w)
	t.AppendHeader(table.Row{"App ID", "What", "Size"})
	for _, one := range done.Removed {
		t.AppendRow(table.Row{one.Function, one.What, platform.ByteSize(one.Bytes)})
	}
	t.Render()
	verb := "removed"
	if done.DryRun {
		verb = "would be removed"
	}
	fmt.Fprintf(w, "%s %s, %s\n", platform.ByteSize(done.Bytes), verb, platform.Plural(len(done.Removed), "item"))
}
