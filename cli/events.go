package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

func eventsCommand() *cli.Command {
	return &cli.Command{
		Name:      "events",
		Usage:     "show what happened to a function: decisions, starts, stops and failures",
		UsageText: "events NAME [-f] [--since TIME] [-n N] [-o json]",
		Description: "Decisions are the activator's, starts, stops and failures of processes are what systemd says. With -o json each\n" +
			"event is an object on a line of its own.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on with what comes"},
			&cli.StringFlag{Name: "since", Usage: "only since `TIME`, as journalctl takes it: \"-10min\", \"today\", \"2026-01-31 12:00\""},
			&cli.IntFlag{Name: "lines", Aliases: []string{"n"}, Value: 100, Usage: "at most the last `N` events; 0 means all, as does --since alone"},
			outputFlag(),
		},
		BashComplete: completeFunctions,
		Action:       events,
	}
}

func events(c *cli.Context) error {
	name, err := oneArg(c, "NAME")
	if err != nil {
		return err
	}
	// The journal outlives the function, so a removed one has events, too.
	if err := platform.CheckName(name); err != nil {
		return err
	}
	limit := c.Int("lines")
	if limit < 0 {
		return platform.UsageError(fmt.Errorf("--lines is 0 or more, not %d", limit))
	}
	if c.IsSet("since") && !c.IsSet("lines") {
		limit = 0
	}
	j := journal.History{Function: name, Stderr: c.App.ErrWriter}
	past, cursor, err := j.Past(c.Context, c.String("since"), limit)
	if err != nil {
		return err
	}
	if len(past) == 0 && !c.Bool("follow") {
		return noEvents(c, name)
	}
	printer := newEventPrinter(c)
	if err := printer.past(past); err != nil || !c.Bool("follow") {
		return err
	}
	return j.Follow(c.Context, cursor, printer.next)
}

// noEvents tells a quiet function from one that does not exist.
func noEvents(c *cli.Context, name string) error {
	if !store().Has(name) {
		return platform.NoFunction(name)
	}
	printWarning(c.App.ErrWriter, platform.WithHint(fmt.Errorf("there are no events of %s", name), "root and the group systemd-journal see all of the journal"))
	return nil
}

func eventTime(e journal.Event) string { return e.Time.Local().Format("2006-01-02 15:04:05.000") }

// eventPrinter prints events as a table, or one by one.
type eventPrinter struct {
	w      io.Writer
	json   bool
	follow bool
}

func newEventPrinter(c *cli.Context) eventPrinter {
	return eventPrinter{w: c.App.Writer, json: wantsJSON(c), follow: c.Bool("follow")}
}

// past prints what has happened, oldest first.
func (p eventPrinter) past(list []journal.Event) error {
	if p.json || p.follow {
		for _, e := range list {
			if err := p.next(e); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(p.w)
	t.AppendHeader(table.Row{"Time", "Event", "Instance or revision", "Why"})
	for _, e := range list {
		t.AppendRow(table.Row{eventTime(e), e.Event, e.Subject(), e.Why})
	}
	t.Render()
	return nil
}

// next prints one more event, as a line: the width of a table is not known before its end.
func (p eventPrinter) next(e journal.Event) error {
	if p.json {
		return printJSONLine(p.w, e)
	}
	line := fmt.Sprintf("%s  %-7s %-20s %s", eventTime(e), e.Event, e.Subject(), e.Why)
	_, err := fmt.Fprintln(p.w, strings.TrimRight(line, " "))
	return err
}
