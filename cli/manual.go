package cli

import (
	"io"

	"github.com/urfave/cli/v2"
)

// Manual returns the command line for whoever describes it, such as the manual pages: its commands with their flags and
// texts. Nothing can be run with it.
func Manual() *cli.App { return newApp(io.Discard, io.Discard) }
