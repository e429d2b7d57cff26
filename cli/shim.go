package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/shim"
)

// shimCommand is what the units of programs that listen on $PORT start.
func shimCommand() *cli.Command {
	return &cli.Command{
		Name:        "shim",
		Hidden:      true,
		Usage:       "run a program that listens on $PORT behind a socket from systemd",
		UsageText:   "shim [--wait TIME] -- PROGRAM [ARG…]",
		Description: "The units of functions with runtime: port start it.",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "wait", Usage: "`TIME` in which the port must be open; 0: no limit"},
		},
		Action: runShim,
	}
}

func runShim(c *cli.Context) error {
	if c.NArg() == 0 {
		return platform.WithHint(platform.UsageError(errors.New("shim: PROGRAM is missing")), "usage: %s", c.Command.UsageText)
	}
	patience := shim.Patience{Limit: c.Duration("wait"), Late: func(port int, waited time.Duration) {
		fmt.Fprintf(c.App.ErrWriter, "fnctl: it does not listen on port %d ($PORT) yet, after %v\n", port, waited)
	}}
	err := shim.Run(c.Context, patience, c.Args().First(), c.Args().Tail()...)
	var start *shim.StartError
	var port *shim.PortError
	switch {
	case errors.As(err, &start):
		printError(c.App.ErrWriter, err)
		os.Exit(shim.ExitExec)
	case errors.As(err, &port):
		return platform.WithHint(err, "a program with runtime: port must listen where the variable PORT says; one that takes a socket has runtime: socket")
	case errors.Is(err, shim.ErrNoSocket):
		return platform.WithHint(err, "systemd starts this, in the units of functions with runtime: port")
	}
	return err
}
