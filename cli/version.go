package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:      "version",
		Usage:     "print the version",
		UsageText: "version [-o json]",
		Flags:     []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if wantsJSON(c) {
				return printJSON(c.App.Writer, map[string]string{"version": Version()})
			}
			_, err := fmt.Fprintf(c.App.Writer, "fnctl %s\n", Version())
			return err
		},
	}
}
