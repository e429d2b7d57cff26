package cli

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
)

func validateCommand() *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check a jcloud.yml, and print all that is wrong with it",
		UsageText: "validate [FILE] [--schema] [-o json]",
		Description: "Without FILE, jcloud.yml or jcloud.yaml of this directory is checked. With -o json the configuration is\n" +
			"printed with all defaults.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "schema", Usage: "print the JSON Schema of jcloud.yml, for editors"},
			outputFlag(),
		},
		Action: validate,
	}
}

func validate(c *cli.Context) error {
	if c.Bool("schema") {
		_, err := raw(c.App.Writer).Write(platform.ConfigSchema())
		return err
	}
	if c.NArg() > 1 {
		return platform.UsageError(fmt.Errorf("validate takes one FILE, got %q after it", c.Args().Get(1)))
	}
	explicit := c.Args().First()
	config, file, err := platform.LoadConfig(".", explicit)
	if err != nil {
		return err
	}
	if file == "" {
		return platform.WithHint(fmt.Errorf("no jcloud.yml or jcloud.yaml in this directory"), "an app without one gets the defaults")
	}
	if config.UsersFile() != "" {
		if _, err := auth.ProjectUsers(filepath.Dir(file), config.UsersFile()); err != nil {
			return err
		}
	}
	warnConfig(c.App.ErrWriter, config, nil)
	warnNetwork(c, config)
	if wantsJSON(c) {
		return printJSON(c.App.Writer, config)
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s is valid\n", filepath.Clean(file))
	return err
}

// warnNetwork says it if this machine, if functions are deployed here, cannot keep one in its network.
func warnNetwork(c *cli.Context, config platform.Config) {
	if config.Network != platform.NetworkInternet || !platform.Exists(filepath.Join(platform.DefaultPaths().Root, "usr/lib/systemd/system", platform.InternetUnit)) {
		return
	}
	_ = withEngine(c, func(e *deploy.Engine) error {
		if err := e.CheckNetwork(c.Context, config.Network, deploy.PrivateResolvers(e.Store.Paths)); err != nil {
			printWarning(c.App.ErrWriter, err)
		}
		return nil
	})
}
