package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is set by the build.
var version = ""

// Version is the version of this binary: what the build was told, or the commit that it was built from.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

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
