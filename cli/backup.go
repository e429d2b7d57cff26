package cli

import (
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/backup"
	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func backupCommand() *cli.Command {
	return &cli.Command{
		Name:      "backup",
		Usage:     "write functions, with all that belongs to them, into one encrypted file",
		UsageText: "backup FILE [NAME…] [--data] [--passphrase-file FILE]",
		Description: "Without NAME, all functions: their revisions, routes, scale, variables and secrets. With --data also what they keep\n" +
			"in JCLOUD_WORKSPACE; pause a function first if it must not write meanwhile. FILE is replaced as a whole; - is\n" +
			"standard output. It is encrypted with a passphrase, in age's format: \"age -d FILE | tar -tz\" lists what it has.\n" +
			"fnctl restore takes it, on this machine or another one.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "data", Usage: "also what the functions keep in JCLOUD_WORKSPACE"},
			passphraseFlag(),
		},
		BashComplete: func(c *cli.Context) {
			if c.NArg() > 0 {
				printFunctions(c)
			}
		},
		Action: writeBackup,
	}
}

func writeBackup(c *cli.Context) error {
	if c.NArg() == 0 {
		return platform.WithHint(platform.UsageError(errors.New("backup: FILE is missing")), "usage: %s", c.Command.UsageText)
	}
	if err := requireRoot("backup"); err != nil {
		return err
	}
	names, err := functionsToBackUp(c.Args().Tail())
	if err != nil {
		return err
	}
	passphrase, err := newPassphrase(c)
	if err != nil {
		return err
	}
	return withEngine(c, func(engine *deploy.Engine) error {
		writer := backup.Writer{Engine: engine, Data: c.Bool("data")}
		file := c.Args().First()
		if file == "-" {
			return writer.Write(c.Context, raw(c.App.Writer), names, passphrase)
		}
		return platform.ReplaceFile(file, 0o600, func(to io.Writer) error { return writer.Write(c.Context, to, names, passphrase) })
	})
}

func functionsToBackUp(given []string) ([]string, error) {
	if len(given) == 0 {
		return store().Functions()
	}
	for _, name := range given {
		if err := checkDeployed(name); err != nil {
			return nil, err
		}
	}
	return given, nil
}
