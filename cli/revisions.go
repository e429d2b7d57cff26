package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/inspect"
	"github.com/fnctl/fnctl/platform"
)

func revisionsCommand() *cli.Command {
	return &cli.Command{
		Name:         "revisions",
		Usage:        "list the revisions of a function, the newest first",
		UsageText:    "revisions NAME [-o json]",
		Description:  "The size is that of all files of the revision, which only root can see.",
		Flags:        []cli.Flag{outputFlag()},
		BashComplete: completeFunctions,
		Action: showFunction(func(_ context.Context, in *inspect.Inspector, name string) ([]inspect.KeptRevision, error) {
			return in.KeptRevisions(name)
		}, printRevisionTable),
	}
}

func printRevisionTable(c *cli.Context, list []inspect.KeptRevision) {
	t := newTable(c.App.Writer)
	t.AppendHeader(table.Row{"", "Revision", "Created", "App", "Traffic", "Tags", "Instances", "Size"})
	for _, rev := range list {
		mark, size := "", ""
		switch {
		case rev.Traffic > 0:
			mark = "→"
		case rev.Failed != nil:
			mark = "✗"
		}
		if rev.Bytes != nil {
			size = platform.ByteSize(*rev.Bytes)
		}
		t.AppendRow(table.Row{
			mark, rev.Name, rev.Created.Local().Format(time.DateTime), cmp.Or(rev.App, strings.Join(rev.Command, " ")),
			percentText(rev.Traffic), strings.Join(rev.Tags, ", "), instancesText(rev), size,
		})
	}
	t.Render()
	for _, rev := range list {
		if rev.Failed != nil {
			fmt.Fprintf(c.App.Writer, "%s failed at %s: %s\n", rev.Name, rev.Failed.Time.Local().Format(time.DateTime), rev.Failed.Explanation)
		}
	}
}

// instancesText counts the instances by their state.
func instancesText(r inspect.KeptRevision) string {
	var parts []string
	for _, state := range platform.InstanceStates {
		if n := inspect.Count(r.Instances, state); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 && r.Failed != nil {
		return "none: it failed"
	}
	if len(parts) == 0 && !r.Served {
		return "none: it never had traffic"
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}
