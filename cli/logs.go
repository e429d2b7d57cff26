package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
)

func logsCommand() *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "show what a function's instances print, and what systemd says of them",
		UsageText: "logs NAME [-f] [--since TIME] [-n LINES] [-o json]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on with what comes"},
			&cli.StringFlag{Name: "since", Usage: "only since `TIME`, as journalctl takes it: \"-10min\", \"today\", \"2026-01-31 12:00\""},
			&cli.IntFlag{Name: "lines", Aliases: []string{"n"}, Value: 100, Usage: "at most so many `LINES`, the last ones, or the first with --since; 0 means all"},
			outputFlag(),
		},
		BashComplete: completeFunctions,
		Action:       logs,
	}
}

func logs(c *cli.Context) error {
	name, err := oneArg(c, "NAME")
	if err != nil {
		return err
	}
	// The journal outlives the function, so a removed one has logs, too.
	if err := platform.CheckName(name); err != nil {
		return err
	}
	if c.Int("lines") < 0 {
		return usageError{fmt.Errorf("--lines is 0 or more, not %d", c.Int("lines"))}
	}
	args := []string{"--no-pager", "--unit=" + journalPattern(name)}
	// journalctl shows the first lines since some time, not the last: then all are shown, unless asked otherwise.
	if n := c.Int("lines"); n > 0 && (c.IsSet("lines") || !c.IsSet("since")) {
		args = append(args, "--lines="+strconv.Itoa(n))
	}
	if c.Bool("follow") {
		args = append(args, "--follow")
	}
	if since := c.String("since"); since != "" {
		args = append(args, "--since="+since)
	}
	if wantsJSON(c) {
		args = append(args, "--output=json")
	} else {
		args = append(args, "--output=short-iso")
	}
	cmd := exec.CommandContext(c.Context, "journalctl", args...)
	var complaint strings.Builder
	cmd.Stdout, cmd.Stderr = c.App.Writer, &complaint
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err = cmd.Run()
	if c.Context.Err() != nil {
		return nil // following ends with an interrupt
	}
	if strings.Contains(complaint.String(), "No data available") { // no unit has the function's name
		return withHint(fmt.Errorf("%s has no logs", name), "\"fnctl list\" shows the functions of this machine")
	}
	fmt.Fprint(c.App.ErrWriter, complaint.String())
	return explainJournalctl(err, args)
}
