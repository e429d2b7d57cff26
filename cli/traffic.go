package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
)

func trafficCommand() *cli.Command {
	return &cli.Command{
		Name:      "traffic",
		Usage:     "split the traffic of a function over its revisions, or show how it is split",
		UsageText: "traffic NAME [REVISION=PERCENT …] [-o json]",
		Description: "The percents add up to 100. A revision is named as 00001, 1 or NAME-00001. Those that get traffic are started\n" +
			"and must answer before anything changes; those that get none finish what they have. Each revision with traffic is\n" +
			"scaled by itself, within its own bounds or those of fnctl scale. The newest one says what the function's hosts\n" +
			"are. The next deploy takes all traffic.",
		Flags:        []cli.Flag{noWaitFlag(), outputFlag()},
		BashComplete: completeTraffic,
		Action:       traffic,
	}
}

func traffic(c *cli.Context) error {
	if c.NArg() == 0 {
		return withHint(usageError{fmt.Errorf("traffic: NAME is missing")}, "usage: %s", c.Command.UsageText)
	}
	name := c.Args().First()
	if c.NArg() == 1 {
		if err := checkDeployed(name); err != nil {
			return err
		}
		return showTraffic(c, name)
	}
	wanted, err := parsePercents(name, c.Args().Tail())
	if err != nil {
		return err
	}
	return changeTraffic(c, name, func(platform.Store, platform.Route) (percents, error) { return wanted, nil })
}

// parsePercents reads a split such as 00001=90 00002=10.
func parsePercents(function string, args []string) (percents, error) {
	wanted, total := percents{}, 0
	for _, arg := range args {
		text, percent, found := strings.Cut(arg, "=")
		n, err := strconv.Atoi(percent)
		if !found || err != nil || n < 0 || n > 100 {
			return nil, withHint(usageError{fmt.Errorf("traffic: %q is not REVISION=PERCENT", arg)}, "such as 00001=90 00002=10")
		}
		id, err := parseRevision(function, text)
		if err != nil {
			return nil, err
		}
		if _, given := wanted[id]; given {
			return nil, usageError{fmt.Errorf("traffic: %s is given twice", id)}
		}
		wanted[id] = n
		total += n
	}
	if total != 100 {
		return nil, usageError{fmt.Errorf("traffic: the percents add up to %d instead of 100", total)}
	}
	return wanted, nil
}

// parseRevision reads a revision of a function: 1, 00001 or ping-00001.
func parseRevision(function, text string) (platform.RevisionID, error) {
	if err := platform.CheckName(function); err != nil {
		return platform.RevisionID{}, err
	}
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return platform.RevisionID{Function: function, Number: n}, nil
	}
	id, err := platform.ParseRevisionID(text)
	switch {
	case err != nil:
		return id, usageError{fmt.Errorf("%q is not a revision, such as 00001 or %s-00001", text, function)}
	case id.Function != function:
		return id, usageError{fmt.Errorf("%s is a revision of another function than %s", id, function)}
	}
	return id, nil
}

// trafficStatus is what "fnctl traffic NAME -o json" prints. Its fields are an interface that scripts use.
type trafficStatus struct {
	Name    string         `json:"name"`
	Traffic []trafficEntry `json:"traffic"`
}

type trafficEntry struct {
	Revision platform.RevisionID `json:"revision"`
	Percent  int                 `json:"percent"`
}

func showTraffic(c *cli.Context, function string) error {
	route, err := store().Route(function)
	if err != nil {
		return err
	}
	status := trafficStatus{Name: function}
	for _, share := range route.Traffic {
		status.Traffic = append(status.Traffic, trafficEntry{share.Revision, share.Percent})
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, status)
	}
	t := newTable(c.App.Writer)
	t.AppendHeader(table.Row{"Revision", "Traffic"})
	for _, entry := range status.Traffic {
		t.AppendRow(table.Row{entry.Revision, percentText(entry.Percent)})
	}
	t.Render()
	return nil
}

func percentText(percent int) string { return fmt.Sprintf("%d%%", percent) }

// completeTraffic completes the name of a function, then its revisions.
func completeTraffic(c *cli.Context) {
	completeFunctions(c)
	if c.NArg() > 0 {
		printRevisions(c, "=")
	}
}

// printRevisions prints the numbers of a function's revisions for a shell.
func printRevisions(c *cli.Context, suffix string) {
	ids, _ := store().Revisions(c.Args().First())
	for _, id := range ids {
		fmt.Fprintf(c.App.Writer, "%05d%s\n", id.Number, suffix)
	}
}
