package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

// noWaitFlag is on every command that takes the lock of a function.
func noWaitFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-wait", Usage: "fail at once if another command is changing the function, instead of waiting for it"}
}

// withEngine lets a command use the engine, which needs root to change anything.
func withEngine(c *cli.Context, use func(*deploy.Engine) error) error {
	manager := &systemd.Manager{}
	defer manager.Close()
	return use(&deploy.Engine{
		Store: store(), Units: manager, Progress: newProgress(c.App.ErrWriter), Version: Version(), NoWait: c.Bool("no-wait"),
	})
}

// withFunction lets a command change a function, whose lock it holds meanwhile.
func withFunction(c *cli.Context, name string, change func(*deploy.Function) error) error {
	return withEngine(c, func(engine *deploy.Engine) error {
		function, err := engine.Open(c.Context, name)
		if err != nil {
			return err
		}
		defer function.Close()
		return change(function)
	})
}

// changeDeployed is withFunction for a function that there must be, by root.
func changeDeployed(c *cli.Context, name string, change func(*deploy.Function) error) error {
	if err := checkDeployed(name); err != nil {
		return err
	}
	if err := requireRoot(c.Command.Name); err != nil {
		return err
	}
	return withFunction(c, name, change)
}

// checkDeployed refuses a name that no function has.
func checkDeployed(name string) error {
	if err := platform.CheckName(name); err != nil {
		return err
	}
	if !store().Has(name) {
		return platform.NoFunction(name)
	}
	return nil
}
