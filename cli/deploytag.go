package cli

import (
	"github.com/urfave/cli/v2"
)

// tagFlags say whether a new revision gets the traffic, and how else it is reached.
func tagFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "tag", Usage: "`TAG` that leads to the new revision, by a host of its own: TAG in front of the function's"},
		&cli.BoolFlag{Name: "no-traffic", Usage: "leave the traffic where it is: the new revision must answer, and gets none"},
	}
}
