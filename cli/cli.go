// Package cli is the command line of fnctl: one file per command, and the place where the parts are wired together.
package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

// Main runs the command line and returns its exit status: 0, 1 for a failure, 2 for wrong usage.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := newApp(stdout, stderr)
	err := app.RunContext(ctx, intersperse(app, args))
	if err == nil {
		return 0
	}
	printError(screen{stderr}, hintAtFullDisk(err))
	if platform.IsUsageError(err) {
		return 2
	}
	return 1
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:                 "fnctl",
		Usage:                "a serverless function platform on one Linux machine, on systemd",
		Version:              Version(),
		Writer:               screen{stdout},
		ErrWriter:            screen{stderr},
		EnableBashCompletion: true,
		// Errors are printed in one place, Main.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		CommandNotFound: func(c *cli.Context, name string) {
			printError(screen{stderr}, unknownCommand(c, name))
			os.Exit(2)
		},
		Commands: []*cli.Command{
			deployCommand(), listCommand(), statusCommand(), revisionsCommand(), rollbackCommand(), trafficCommand(), gcCommand(), pauseCommand(), resumeCommand(), restartCommand(), upgradeCommand(), envCommand(), domainCommand(), secretCommand(), tokenCommand(), logsCommand(), eventsCommand(), invokeCommand(), scaleCommand(),
			removeCommand(), validateCommand(), simulateCommand(), doctorCommand(), publicCommand(), backupCommand(), restoreCommand(), trustCommand(), versionCommand(), completionCommand(), gatewayCommand(),
			activatorCommand(), acmeCommand(), shimCommand(), filterCheckCommand(),
		},
	}
	for _, command := range app.Commands {
		command.OnUsageError = onUsageError
		completeFlags(command)
		command.UsageText = "fnctl " + cmp.Or(command.UsageText, command.Name)
	}
	return app
}

func unknownCommand(c *cli.Context, name string) error {
	err := platform.UsageError(fmt.Errorf("there is no command %q", name))
	if nearest := nearestCommand(c.App.Commands, name); nearest != "" {
		return platform.WithHint(err, "did you mean \"fnctl %s\"?", nearest)
	}
	return platform.WithHint(err, "\"fnctl help\" lists the commands")
}

// nearestCommand is the command that was probably meant.
func nearestCommand(commands []*cli.Command, name string) string {
	names := make([]string, len(commands))
	for i, command := range commands {
		names[i] = command.Name
	}
	return keys.Nearest(name, names)
}
