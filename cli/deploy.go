package cli

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func deployCommand() *cli.Command {
	return &cli.Command{
		Name:      "deploy",
		Usage:     "deploy an app, or a new version of it",
		UsageText: "deploy APP [--name NAME] [--app-dir DIR] [--config FILE] [--env FILE] [--secret FILE] [--host HOST] [--tag TAG] [--no-traffic | --rollout TIME | --recreate]",
		Description: "APP is module:attr, a Python application that uvicorn (ASGI) or gunicorn (WSGI) runs, or the path of an\n" +
			"executable in the app's directory that takes its listening socket as file descriptor 3 (LISTEN_FDS), or listens\n" +
			"on $PORT. Which of them it is, is found out, and said; runtime: in jcloud.yml overrides it (docs/runtimes.md).\n" +
			"APP may also stand in jcloud.yml, as app: or command:. What .gitignore and .fnctlignore files name is not\n" +
			"deployed; -v says what that is. Until the new revision is healthy, and takes the traffic, the old one serves. One\n" +
			"that isn't is kept for inspection and gets no traffic.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the function (default: name in jcloud.yml, else that of the app's directory)"},
			&cli.StringFlag{Name: "app-dir", Value: ".", Usage: "`DIR` of the app: all of it is deployed"},
			&cli.StringFlag{Name: "config", Usage: "configuration `FILE` (default: jcloud.yml or jcloud.yaml in the app's directory)"},
			&cli.StringFlag{Name: "env", Usage: "`FILE` with environment variables, NAME=value a line (default: those of the last deploy)"},
			&cli.StringFlag{Name: "secret", Usage: "`FILE` with secret environment variables (default: those of the last deploy)"},
			&cli.StringSliceFlag{Name: "host", Usage: "`HOST` that reaches the function, besides hosts in jcloud.yml: a name, *.NAME or *, also with a path (shop.example.com/api); may be repeated"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the units that would be written, and change nothing"},
			&cli.BoolFlag{Name: "force", Usage: "make a revision also if nothing changed: neither the app nor its configuration and variables"},
			&cli.BoolFlag{Name: "recreate", Usage: "end what runs before the new revision starts, for an app that holds what only one can hold: " +
				"a port, a lock; requests wait meanwhile"},
			rolloutFlag(),
			noWaitFlag(),
			verboseFlag(),
			outputFlag(),
		}, tagFlags()...),
		Action: deployApp,
	}
}

func deployApp(c *cli.Context) error {
	request, err := newRequest(c)
	if err != nil {
		return err
	}
	warn := func() { warnConfig(c.App.ErrWriter, request.Config, thisMachine(store().Paths)) }
	if c.Bool("dry-run") {
		warn()
		return dryRun(c, request)
	}
	if err := requireRoot("deploy"); err != nil {
		return err
	}
	warn()
	return withFunction(c, request.Name, func(function *deploy.Function) error {
		deployed, err := function.Deploy(c.Context, request)
		if err != nil {
			return err
		}
		return printDeployed(c, describeDeployed(c.Context, deployed))
	})
}

func newRequest(c *cli.Context) (deploy.Request, error) {
	if c.NArg() > 1 && c.Args().First() == "jcloud" {
		return deploy.Request{}, platform.WithHint(platform.UsageError(fmt.Errorf("deploy takes one APP, got %q after it", c.Args().Get(1))),
			"leave jcloud out: fnctl deploy %s", c.Args().Get(1))
	}
	if c.NArg() > 1 {
		return deploy.Request{}, platform.UsageError(fmt.Errorf("deploy takes one APP, got %q after it", c.Args().Get(1)))
	}
	if c.IsSet("name") {
		if err := platform.CheckName(c.String("name")); err != nil {
			return deploy.Request{}, err
		}
	}
	request, err := deploy.NewRequest(deploy.Source{
		Dir: c.String("app-dir"), App: c.Args().First(), Name: c.String("name"), ConfigFile: c.String("config"),
		EnvFile: c.String("env"), SecretFile: c.String("secret"), Hosts: c.StringSlice("host"),
	})
	request.Force, request.Verbose = c.Bool("force"), c.Bool("verbose")
	request.Recreate = c.Bool("recreate")
	request.Tag, request.NoTraffic, request.Rollout = c.String("tag"), c.Bool("no-traffic"), c.Duration("rollout")
	return request, err
}

// dryRun prints what a deploy would write. The number of the revision is the one that it would get now.
func dryRun(c *cli.Context, request deploy.Request) error {
	return withEngine(c, func(engine *deploy.Engine) error {
		rev, files, err := engine.Preview(c.Context, request)
		if err != nil {
			return err
		}
		if request.App.IsGuess() {
			printWarning(c.App.ErrWriter, platform.WithHint(fmt.Errorf("%s is taken for ASGI, as nothing says otherwise: a deploy asks it what it is", request.App.Text),
				"runtime in jcloud.yml says what runs it"))
		}
		if wantsJSON(c) {
			return printJSON(c.App.Writer, map[string]any{"revision": rev, "units": files})
		}
		for i, file := range files {
			if i > 0 {
				fmt.Fprintln(c.App.Writer)
			}
			fmt.Fprintf(c.App.Writer, "# %s\n%s", filepath.Join(paths().Units(), file.Name), file.Text)
		}
		return nil
	})
}
