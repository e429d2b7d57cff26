package cli

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
)

// store is the service registry of this machine.
func store() platform.Store { return platform.Store{Paths: paths()} }

func paths() platform.Paths { return machine }

// machine is where everything lies; only tests have another one.
var machine = platform.DefaultPaths()

// requireRoot explains what needs root, instead of failing half-way.
func requireRoot(what string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return platform.WithHint(fmt.Errorf("%s needs root: it changes what systemd runs", what), "run it with sudo")
}

// oneArg returns the only argument of a command.
func oneArg(c *cli.Context, what string) (string, error) {
	switch c.NArg() {
	case 1:
		return c.Args().First(), nil
	case 0:
		return "", platform.WithHint(platform.UsageError(fmt.Errorf("%s: %s is missing", c.Command.Name, what)), "usage: %s", c.Command.UsageText)
	}
	return "", platform.UsageError(fmt.Errorf("%s: one %s is allowed, got %q after it", c.Command.Name, what, c.Args().Get(1)))
}
