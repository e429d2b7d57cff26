package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/accesslog"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

func logsCommand() *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "show what a function's instances print, what systemd says of them, and which answers were refused; or the requests",
		UsageText: "logs NAME [--revision REVISION] [--requests] [--request-id ID] [-f] [--since TIME] [-n LINES] [-o json]",
		Description: "With --requests it is the access log: a line for each request that has ended, with the time of its arrival. With\n" +
			"-o json each is an object on a line of its own. With --request-id it is what the gateway says of one request, and what its\n" +
			"instance and systemd said meanwhile. With either, NAME may be left out: then it is the requests of all functions, and\n" +
			"those that reached none. The journal outlives revisions and functions: one that failed, or is gone, has logs, too.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "revision", Usage: "only those of `REVISION`, named as 2, 00002 or NAME-00002"},
			&cli.BoolFlag{Name: "requests", Usage: "the access log instead"},
			&cli.StringFlag{Name: "request-id", Usage: "only the request whose X-Request-ID is `ID`"},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on with what comes"},
			&cli.StringFlag{Name: "since", Usage: "only since `TIME`, as journalctl takes it: \"-10min\", \"today\", \"2026-01-31 12:00\""},
			&cli.IntFlag{Name: "lines", Aliases: []string{"n"}, Value: 100, Usage: "at most so many `LINES`, the last ones, or the first with --since; 0 means all"},
			outputFlag(),
		},
		BashComplete: completeLogs,
		Action:       logs,
	}
}

func logs(c *cli.Context) error {
	requests, id := c.Bool("requests"), c.String("request-id")
	name, err := loggedFunction(c)
	if err != nil {
		return err
	}
	revision, err := loggedRevision(c, name)
	if err != nil {
		return err
	}
	switch {
	case c.Int("lines") < 0:
		return platform.UsageError(fmt.Errorf("--lines is 0 or more, not %d", c.Int("lines")))
	case c.IsSet("request-id") && id == "":
		return platform.UsageError(errors.New("--request-id is empty"))
	case id != "" && revision.Number > 0:
		return platform.UsageError(errors.New("--revision doesn't go with --request-id: a request has one"))
	case requests:
		return showRequests(c, name, revision, id)
	case id == "":
		return showInstances(c, name, revision)
	case c.Bool("follow"):
		return platform.WithHint(platform.UsageError(errors.New("--follow doesn't go with --request-id")), "--requests shows requests while they end")
	}
	return showRequest(c, name, id)
}

// loggedFunction is the function whose logs are asked for. Requests may be asked for without one.
func loggedFunction(c *cli.Context) (string, error) {
	if c.NArg() == 0 && (c.Bool("requests") || c.IsSet("request-id")) {
		return "", nil
	}
	name, err := oneArg(c, "NAME")
	if err != nil {
		return "", err
	}
	// The journal outlives the function, so a removed one has logs, too.
	return name, platform.CheckName(name)
}

// loggedRevision is the revision whose logs are asked for; its number is 0 if it is all.
func loggedRevision(c *cli.Context, function string) (platform.RevisionID, error) {
	switch {
	case !c.IsSet("revision"):
		return platform.RevisionID{}, nil
	case function == "":
		return platform.RevisionID{}, platform.UsageError(errors.New("--revision needs the NAME of its function"))
	}
	return parseRevision(function, c.String("revision"))
}

// completeLogs completes the name of a function, and the revision that --revision asks for.
func completeLogs(c *cli.Context) {
	if args := os.Args; len(args) > 2 && args[len(args)-2] == "--revision" {
		printRevisions(c, "")
		return
	}
	completeFunctions(c)
}

// showInstances prints what the instances of a function, or of one revision, print, what systemd says of them, and why the gateway refused
// what they answered.
func showInstances(c *cli.Context, name string, revision platform.RevisionID) error {
	what, refused := name, append(accesslog.GatewayMatches(name, ""), "SYSLOG_IDENTIFIER="+journal.Identifier)
	if revision.Number > 0 {
		what, refused = revision.String(), append(refused, "FNCTL_REVISION="+revision.String())
	}
	matches, err := journal.InstanceMatches(c.Context, platform.RevisionID{Function: name, Number: revision.Number}, refused...)
	switch {
	case err != nil:
		return err
	case matches == nil:
		err = errNoUnit
	default:
		err = showJournal(c, append(journalRange(c), matches...))
	}
	if errors.Is(err, errNoUnit) && revision.Number > 0 && store().Has(name) {
		return platform.WithHint(fmt.Errorf("%s has no logs", what), "\"fnctl revisions %s\" shows those that are kept", name)
	}
	if errors.Is(err, errNoUnit) {
		return platform.WithHint(fmt.Errorf("%s has no logs", what), "\"fnctl list\" shows the functions of this machine")
	}
	return err
}

// journalRange says to journalctl how much is asked for.
func journalRange(c *cli.Context) []string {
	var args []string
	// journalctl shows the first lines since some time, not the last: then all are shown, unless asked otherwise.
	if c.IsSet("lines") || !c.IsSet("since") {
		args = append(args, linesFlag(c.Int("lines")))
	}
	if c.Bool("follow") {
		args = append(args, "--follow")
	}
	if since := c.String("since"); since != "" {
		args = append(args, "--since="+since)
	}
	return args
}

// linesFlag bounds the number of entries; 0 means all.
func linesFlag(n int) string {
	if n == 0 {
		return "--lines=all"
	}
	return "--lines=" + strconv.Itoa(n)
}

// errNoUnit reports that a pattern matches no unit that has ever logged.
var errNoUnit = errors.New("no such unit")

// showJournal prints entries of the journal.
func showJournal(c *cli.Context, args []string) error {
	var problems strings.Builder
	printer := newLogPrinter(c.App.Writer, wantsJSON(c))
	err := printer.read(c.Context, &problems, append(args, "--all"))
	switch {
	case c.Context.Err() != nil:
		return nil // following ends with an interrupt
	case strings.Contains(problems.String(), "No data available"):
		return errNoUnit
	}
	fmt.Fprint(c.App.ErrWriter, problems.String())
	return err
}
