package cli

import (
	"os"
	"os/signal"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/certificates/acme"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

func acmeCommand() *cli.Command {
	return &cli.Command{
		Name:        "acme",
		Usage:       "run the service that keeps certificates (fnctl-acme.service does)",
		UsageText:   "acme",
		Description: "SIGHUP (systemctl reload fnctl-acme) has it try at once what waits after a failure.",
		Action:      runACME,
	}
}

func runACME(c *cli.Context) error {
	settings, err := platform.LoadSettings(paths())
	if err != nil {
		return err
	}
	log := journal.NewLogger(raw(c.App.ErrWriter))
	manager, err := acme.New(acme.Config{Paths: paths(), Settings: settings, Version: Version(), Log: log})
	if err != nil {
		return err
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, unix.SIGHUP)
	defer signal.Stop(again)
	group, ctx := errgroup.WithContext(c.Context)
	group.Go(func() error { return manager.Run(ctx) })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-again:
				manager.Retry()
			}
		}
	})
	notifyReady(log)
	log.Info("certificates are kept", "version", Version(), "authorities", settings.ACME.Directories)
	return group.Wait()
}
