package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

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
		return usageError{fmt.Errorf("--lines is 0 or more, not %d", limit)}
	}
	if c.IsSet("since") && !c.IsSet("lines") {
		limit = 0
	}
	j := eventJournal{function: name, stderr: c.App.ErrWriter}
	past, cursor, err := j.past(c.Context, c.String("since"), limit)
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
	return j.follow(c.Context, cursor, printer.next)
}

// noEvents tells a quiet function from one that does not exist.
func noEvents(c *cli.Context, name string) error {
	if !store().Has(name) {
		return noFunction(name)
	}
	printWarning(c.App.ErrWriter, withHint(fmt.Errorf("there are no events of %s", name), "root and the group systemd-journal see all of the journal"))
	return nil
}

// event is something that happened to a function. "fnctl events NAME -o json" prints it; its fields are an interface that
// scripts use.
type event struct {
	Time time.Time `json:"time"`
	// Event is what happened, in one word, such as scale, start or fail.
	Event    string `json:"event"`
	Function string `json:"function"`
	Revision string `json:"revision,omitempty"`
	Instance string `json:"instance,omitempty"`
	Why      string `json:"why,omitempty"`
}

// subject is what it happened to, as exactly as it is known.
func (e event) subject() string {
	if e.Instance != "" {
		return e.Instance
	}
	return e.Revision
}

func (e event) when() string { return e.Time.Local().Format("2006-01-02 15:04:05.000") }

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
func (p eventPrinter) past(list []event) error {
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
		t.AppendRow(table.Row{e.when(), e.Event, e.subject(), e.Why})
	}
	t.Render()
	return nil
}

// next prints one more event: nobody knows how wide a table would become.
func (p eventPrinter) next(e event) error {
	if p.json {
		encoder := json.NewEncoder(p.w)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(e)
	}
	line := fmt.Sprintf("%s  %-7s %-20s %s", e.when(), e.Event, e.subject(), e.Why)
	_, err := fmt.Fprintln(p.w, strings.TrimRight(line, " "))
	return err
}

// eventJournal finds the events of a function in the journal.
type eventJournal struct {
	function string
	stderr   io.Writer
}

// past returns the last events since some time, oldest first; a limit of 0 means all. cursor is where the journal goes on.
func (j eventJournal) past(ctx context.Context, since string, limit int) (list []event, cursor string, err error) {
	args := []string{"--reverse"}
	if since != "" {
		args = append(args, "--since="+since)
	}
	// Only of this function, so that those of a thousand others need not be read.
	units, err := journalUnits(ctx, j.function)
	if err != nil {
		return nil, "", err
	}
	args = append(args, activatorMatches(j.function)...)
	if len(units) > 0 {
		args = append(append(args, "+"), systemdMatches(units)...)
	}
	err = readJournal(ctx, j.stderr, args, func(entry journalEntry) error {
		if cursor == "" {
			cursor = entry.Cursor
		}
		if e, ok := entry.event(j.function); ok {
			list = append(list, e)
		}
		if limit > 0 && len(list) == limit {
			return errEnough
		}
		return nil
	})
	slices.Reverse(list)
	return list, cursor, err
}

// follow hands on what comes after the cursor, until it is interrupted.
func (j eventJournal) follow(ctx context.Context, cursor string, each func(event) error) error {
	args := []string{"--follow", "--lines=0"}
	if cursor != "" {
		args = []string{"--follow", "--no-tail", "--after-cursor=" + cursor}
	}
	args = append(append(args, activatorMatches(j.function)...), "+")
	args = append(args, systemdMatches(nil)...) // of all units: there may be new ones soon
	err := readJournal(ctx, j.stderr, args, func(entry journalEntry) error {
		if e, ok := entry.event(j.function); ok {
			return each(e)
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil // following ends with an interrupt
	}
	return err
}
