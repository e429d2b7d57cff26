package cli

import (
	"io"

	"github.com/urfave/cli/v2"
)

// Manual returns the command line as it is described, in the manual pages for instance: its commands with their flags and
// texts. Nothing can be run with it.
func Manual() *cli.App { return newApp(io.Discard, io.Discard) }
