package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/backup"
	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Usage:     "take functions from a backup",
		UsageText: "restore FILE [NAME…] [--passphrase-file FILE]",
		Description: "FILE is what fnctl backup has written, on this machine or another one; - is standard input. Without NAME, all of\n" +
			"its functions. Each must answer before it takes a request, as after a deploy. A function that this machine has is\n" +
			"left alone, and so is data that is there already; one that cannot be restored doesn't keep the others from it.",
		Flags:  []cli.Flag{passphraseFlag()},
		Action: restore,
	}
}

func restore(c *cli.Context) error {
	if c.NArg() == 0 {
		return platform.WithHint(platform.UsageError(errors.New("restore: FILE is missing")), "usage: %s", c.Command.UsageText)
	}
	if c.Args().First() == "-" && !c.IsSet("passphrase-file") {
		return platform.UsageError(platform.WithHint(errors.New("standard input cannot give both the backup and the passphrase"), "--passphrase-file FILE"))
	}
	if err := requireRoot("restore"); err != nil {
		return err
	}
	file, err := openBackup(c.Args().First())
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer file.Close()
	passphrase, err := oldPassphrase(c)
	if err != nil {
		return err
	}
	return withEngine(c, func(engine *deploy.Engine) error {
		r, err := backup.NewRestoration(engine)
		if err != nil {
			return err
		}
		defer r.Close()
		err = engine.Progress.Step("unpacking the backup", func() (string, error) {
			return "unpacked the backup", r.Unpack(c.Context, file, passphrase)
		})
		if err != nil {
			return err
		}
		names, err := r.Choose(c.Args().Tail())
		if err != nil {
			return err
		}
		restored, err := r.Run(c.Context, names)
		for _, name := range restored {
			fmt.Fprintf(c.App.Writer, "%s restored successfully!\n", name)
		}
		return err
	})
}

func openBackup(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(path)
}
