package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func trafficCommand() *cli.Command {
	return &cli.Command{
		Name:      "traffic",
		Usage:     "split the traffic of a function over its revisions, or show how it is split",
		UsageText: "traffic NAME [REVISION=PERCENT …] [--tag TAG=REVISION] [--untag TAG] [--sticky HOW] [-o json]",
		Description: "The percents add up to 100; without any they stay as they are. A revision is named as 00001, 1 or NAME-00001. Those\n" +
			"that get traffic are started and must answer before anything changes; those that get none finish what they have.\n" +
			"Each revision with traffic is scaled by itself, within its own bounds or those of fnctl scale. The newest one says\n" +
			"what the function's hosts are. The next deploy takes all traffic.\n\n" +
			"A tag leads to one revision, whatever traffic it gets, at the host TAG in front of the function's: canary.ping.localhost.\n" +
			"Without traffic the revision runs only while somebody asks for it. A tag stays with its revision until it is given to\n" +
			"another or taken away. The number of a revision with traffic or a tag leads to it, too: 00001.ping.localhost.\n\n" +
			"With --sticky the requests that have a header or a cookie of the same value reach the same revision, as long as the\n" +
			"split is the same. HOW is header:NAME, cookie:NAME, cookie for one that the gateway gives to each client, or off.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "tag", Usage: "`TAG=REVISION`: the tag leads to the revision; may be repeated"},
			&cli.StringSliceFlag{Name: "untag", Usage: "`TAG` that leads nowhere any more; may be repeated"},
			&cli.StringFlag{Name: "sticky", Usage: "`HOW` requests that belong together are known: header:NAME, cookie:NAME, cookie or off"},
			noWaitFlag(),
			outputFlag(),
		},
		BashComplete: completeTraffic,
		Action:       traffic,
	}
}

func traffic(c *cli.Context) error {
	if c.NArg() == 0 {
		return platform.WithHint(platform.UsageError(fmt.Errorf("traffic: NAME is missing")), "usage: %s", c.Command.UsageText)
	}
	name := c.Args().First()
	if c.NArg() == 1 && !c.IsSet("tag") && !c.IsSet("untag") && !c.IsSet("sticky") {
		if err := checkDeployed(name); err != nil {
			return err
		}
		return showTraffic(c, name)
	}
	plan, err := parsePlan(c, name)
	if err != nil {
		return err
	}
	return changeTraffic(c, name, func(function *deploy.Function) error { return function.ChangeTraffic(c.Context, plan) })
}

// changeTraffic changes the traffic of a function and shows what it has become.
func changeTraffic(c *cli.Context, name string, change func(*deploy.Function) error) error {
	return changeDeployed(c, name, func(function *deploy.Function) error {
		if err := change(function); err != nil {
			return err
		}
		return showTraffic(c, name)
	})
}

func parsePlan(c *cli.Context, function string) (plan deploy.TrafficPlan, err error) {
	if c.NArg() > 1 {
		if plan.Percents, err = parsePercents(function, c.Args().Tail()); err != nil {
			return plan, err
		}
	}
	if plan.Tags, err = parseTags(function, c.StringSlice("tag")); err != nil {
		return plan, err
	}
	plan.Untag = c.StringSlice("untag")
	for _, tag := range plan.Untag {
		if _, both := plan.Tags[tag]; both {
			return plan, platform.UsageError(fmt.Errorf("traffic: tag %s is both given and taken away", tag))
		}
	}
	if plan.Stick = c.IsSet("sticky"); plan.Stick {
		if plan.Sticky, err = platform.ParseSticky(c.String("sticky")); err != nil {
			return plan, platform.UsageError(fmt.Errorf("traffic: --sticky: %w", err))
		}
	}
	return plan, nil
}

// parseTags reads tags such as canary=00002.
func parseTags(function string, args []string) (map[string]platform.RevisionID, error) {
	tags := map[string]platform.RevisionID{}
	for _, arg := range args {
		tag, text, found := strings.Cut(arg, "=")
		if !found {
			return nil, platform.WithHint(platform.UsageError(fmt.Errorf("traffic: --tag %q is not TAG=REVISION", arg)), "such as canary=00002")
		}
		if err := platform.CheckTag(tag); err != nil {
			return nil, platform.UsageError(err)
		}
		if _, given := tags[tag]; given {
			return nil, platform.UsageError(fmt.Errorf("traffic: tag %s is given twice", tag))
		}
		id, err := parseRevision(function, text)
		if err != nil {
			return nil, err
		}
		tags[tag] = id
	}
	return tags, nil
}

// parsePercents reads a split such as 00001=90 00002=10.
func parsePercents(function string, args []string) (deploy.Percents, error) {
	split, total := deploy.Percents{}, 0
	for _, arg := range args {
		text, percent, found := strings.Cut(arg, "=")
		n, err := strconv.Atoi(percent)
		if !found || err != nil || n < 0 || n > 100 {
			return nil, platform.WithHint(platform.UsageError(fmt.Errorf("traffic: %q is not REVISION=PERCENT", arg)), "such as 00001=90 00002=10")
		}
		id, err := parseRevision(function, text)
		if err != nil {
			return nil, err
		}
		if _, given := split[id]; given {
			return nil, platform.UsageError(fmt.Errorf("traffic: %s is given twice", id))
		}
		split[id] = n
		total += n
	}
	if total != 100 {
		return nil, platform.UsageError(fmt.Errorf("traffic: the percents add up to %d instead of 100", total))
	}
	return split, nil
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
		return id, platform.UsageError(fmt.Errorf("%q is not a revision, such as 00001 or %s-00001", text, function))
	case id.Function != function:
		return id, platform.UsageError(fmt.Errorf("%s is a revision of another function than %s", id, function))
	}
	return id, nil
}

// trafficStatus is what "fnctl traffic NAME -o json" prints. Its fields are an interface that scripts use.
type trafficStatus struct {
	Name    string         `json:"name"`
	Traffic []trafficEntry `json:"traffic"`
	// Sticky is how requests that belong together are known, as --sticky takes it.
	Sticky string `json:"sticky"`
}

type trafficEntry struct {
	Revision platform.RevisionID `json:"revision"`
	Percent  int                 `json:"percent"`
	Tags     []string            `json:"tags,omitempty"`
}

func showTraffic(c *cli.Context, function string) error {
	route, err := store().Route(function)
	if err != nil {
		return err
	}
	status := trafficStatus{Name: function, Sticky: route.Sticky.String()}
	for _, share := range route.Traffic {
		status.Traffic = append(status.Traffic, trafficEntry{share.Revision, share.Percent, route.TagsOf(share.Revision)})
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, status)
	}
	t := newTable(c.App.Writer)
	t.AppendHeader(table.Row{"Revision", "Traffic", "Tags"})
	for _, entry := range status.Traffic {
		t.AppendRow(table.Row{entry.Revision, percentText(entry.Percent), strings.Join(entry.Tags, ", ")})
	}
	t.Render()
	if route.Sticky != nil {
		fmt.Fprintf(c.App.Writer, "sticky: %s\n", route.Sticky)
	}
	return nil
}

func percentText(percent int) string { return fmt.Sprintf("%d%%", percent) }

// completeTraffic completes the name of a function, then its revisions, or what a flag after them takes.
func completeTraffic(c *cli.Context) {
	completeFunctions(c)
	if c.NArg() == 0 {
		return
	}
	switch c.Args().Get(c.NArg() - 1) {
	case "--tag", "--untag":
		printTags(c)
	case "--sticky":
		fmt.Fprintln(c.App.Writer, "cookie\noff")
	default:
		printRevisions(c, "=")
	}
}

// printTags prints the tags of a function for a shell.
func printTags(c *cli.Context) {
	route, _ := store().Route(c.Args().First())
	for _, tag := range slices.Sorted(maps.Keys(route.Tags)) {
		fmt.Fprintln(c.App.Writer, tag)
	}
}

// printRevisions prints the numbers of a function's revisions for a shell.
func printRevisions(c *cli.Context, suffix string) {
	ids, _ := store().Revisions(c.Args().First())
	for _, id := range ids {
		fmt.Fprintf(c.App.Writer, "%05d%s\n", id.Number, suffix)
	}
}
