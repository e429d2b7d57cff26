package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

// keptRevisions is how many revisions without traffic are kept, to look at or to go back to.
const keptRevisions = 10

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
			&cli.IntFlag{Name: "keep", Value: keptRevisions, Usage: "`NUMBER` of revisions without traffic that each function keeps"},
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
	manager := &systemd.Manager{}
	defer manager.Close()
	collector := collector{remover: remover{paths: paths(), store: store(), units: manager}, keep: c.Int("keep")}
	done := collection{DryRun: c.Bool("dry-run"), Removed: []garbage{}, Skipped: []string{}}
	err := newProgress(c.App.ErrWriter).run("looking for what nobody needs", func() (string, error) {
		return "looked for what nobody needs", collectAll(c.Context, collector, &done)
	})
	if wantsJSON(c) {
		return errors.Join(printJSON(c.App.Writer, done), err)
	}
	done.print(c.App.Writer)
	return err
}

// collection is what "fnctl gc -o json" prints. Its fields are an interface that scripts use.
type collection struct {
	DryRun  bool      `json:"dry_run"`
	Removed []garbage `json:"removed"`
	Bytes   int64     `json:"bytes"`
	// Skipped are the functions that other commands were changing.
	Skipped []string `json:"skipped"`
}

// collectAll goes through all functions. One that cannot be looked at doesn't keep the others from it.
func collectAll(ctx context.Context, collector collector, done *collection) error {
	left, err := findRemains(collector.paths)
	if err != nil {
		return err
	}
	names, err := functionsWith(collector.paths, left)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if ctx.Err() != nil {
			return errors.Join(append(errs, errors.New("gc: interrupted"))...)
		}
		found, err := collectFunction(ctx, collector, name, left[name], done.DryRun)
		if errors.Is(err, platform.ErrLocked) {
			done.Skipped = append(done.Skipped, name)
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		for _, one := range found {
			done.Removed = append(done.Removed, one)
			done.Bytes += one.Bytes
		}
	}
	return errors.Join(errs...)
}

// collectFunction removes what it finds, and returns what is gone, or what would go.
func collectFunction(ctx context.Context, collector collector, name string, left remains, dryRun bool) ([]garbage, error) {
	unlock, err := collector.store.TryLock(name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := collector.find(ctx, name, left)
	if err != nil || dryRun {
		return found, err
	}
	return collector.collect(ctx, found)
}

func (done collection) print(w io.Writer) {
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
		t.AppendRow(table.Row{one.Function, one.What, byteSize(one.Bytes)})
	}
	t.Render()
	verb := "removed"
	if done.DryRun {
		verb = "would be removed"
	}
	fmt.Fprintf(w, "%s %s, %s\n", byteSize(done.Bytes), verb, plural(len(done.Removed), "item"))
}
