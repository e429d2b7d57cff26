package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
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
	manager := &systemd.Manager{}
	defer manager.Close()
	r, err := newRestoration(newLauncher(c, manager))
	if err != nil {
		return err
	}
	defer r.close()
	err = r.progress.run("unpacking the backup", func() (string, error) {
		return "unpacked the backup", r.unpack(c.Context, file, passphrase)
	})
	if err != nil {
		return err
	}
	names, err := r.choose(c.Args().Tail())
	if err != nil {
		return err
	}
	restored, err := r.run(c.Context, names)
	for _, name := range restored {
		fmt.Fprintf(c.App.Writer, "%s restored successfully!\n", name)
	}
	return err
}

func openBackup(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(path)
}

// choose are the functions of the backup that are asked for.
func (r *restoration) choose(asked []string) ([]string, error) {
	if len(asked) == 0 {
		return r.manifest.Functions, nil
	}
	for _, name := range asked {
		if !slices.Contains(r.manifest.Functions, name) {
			return nil, platform.WithHint(fmt.Errorf("the backup has no function %q", name), "it has %s", strings.Join(r.manifest.Functions, ", "))
		}
	}
	return asked, nil
}

// decryptError explains what age says of a passphrase that is wrong and of a file that is not its.
func decryptError(err error) error {
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return errors.New("decrypt the backup: the passphrase is wrong")
	}
	return platform.WithHint(fmt.Errorf("decrypt the backup: %w", err), "it is not a file that fnctl backup has written, or it is damaged")
}
