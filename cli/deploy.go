package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
	"github.com/fnctl/fnctl/units/systemd"
)

func deployCommand() *cli.Command {
	return &cli.Command{
		Name:      "deploy",
		Usage:     "deploy an app, or a new version of it",
		UsageText: "deploy APP [--name NAME] [--app-dir DIR] [--config FILE] [--env FILE] [--secret FILE] [--host HOST] [--tag TAG] [--no-traffic | --rollout TIME]",
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
			&cli.StringSliceFlag{Name: "host", Usage: "`HOST` name that reaches the function, besides hosts in jcloud.yml; may be repeated"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the units that would be written, and change nothing"},
			&cli.BoolFlag{Name: "force", Usage: "make a revision also if nothing changed: neither the app nor its configuration and variables"},
			rolloutFlag(),
			noWaitFlag(),
			verboseFlag(),
			outputFlag(),
		}, tagFlags()...),
		Action: deploy,
	}
}

func deploy(c *cli.Context) error {
	request, err := newRequest(c)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return dryRun(c, request)
	}
	if err := requireRoot("deploy"); err != nil {
		return err
	}
	manager := &systemd.Manager{}
	defer manager.Close()
	d := &deployment{launcher: newLauncher(c, manager), request: request, force: c.Bool("force"), verbose: c.Bool("verbose")}
	d.tag, d.noTraffic, d.rollout = c.String("tag"), c.Bool("no-traffic"), c.Duration("rollout")
	if err := d.run(c.Context); err != nil {
		return err
	}
	return printDeployed(c, d.status)
}

// request is what the user asks to be deployed, checked as far as it can be without changing anything.
type request struct {
	name    string
	dir     string
	config  platform.Config
	app     app
	from    platform.RevisionID // whose files are taken instead of those in dir, unless it is empty
	env     map[string]string   // nil: keep that of the revision that serves
	secrets map[string]string   // nil: keep those of the revision that serves
	secretPlan
}

func newRequest(c *cli.Context) (request, error) {
	var r request
	if c.NArg() > 1 {
		return r, platform.UsageError(fmt.Errorf("deploy takes one APP, got %q after it", c.Args().Get(1)))
	}
	dir, err := appDir(c.String("app-dir"))
	if err != nil {
		return r, err
	}
	r.dir = dir
	if r.config, _, err = platform.LoadConfig(dir, c.String("config")); err != nil {
		return r, err
	}
	if r.name, err = functionName(c, r.config.Name, dir); err != nil {
		return r, err
	}
	if err := platform.CheckDevices(r.config.Devices); err != nil {
		return r, platform.WithHint(err, "leave it out of devices, or load its driver")
	}
	for _, host := range c.StringSlice("host") {
		host = strings.ToLower(host)
		if err := platform.CheckHost(host); err != nil {
			return r, platform.UsageError(err)
		}
		if !slices.Contains(r.config.Hosts, host) {
			r.config.Hosts = append(r.config.Hosts, host)
		}
	}
	if r.app, err = findApp(c.Args().First(), dir, r.config); err != nil {
		return r, err
	}
	if err := r.config.Protocol.CheckFor(r.app.runtime); err != nil {
		return r, fmt.Errorf("protocol: %w", err)
	}
	if r.env, err = readEnv(c.String("env")); err != nil {
		return r, err
	}
	r.secrets, err = readEnv(c.String("secret"))
	return r, err
}

func appDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the app's directory: %w", err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", platform.WithHint(fmt.Errorf("find the app's directory: %w", err), "--app-dir names the directory of the app")
	}
	if !info.IsDir() {
		return "", platform.WithHint(fmt.Errorf("%s is not a directory", abs), "--app-dir names the directory of the app")
	}
	return abs, nil
}

// functionName is the name that the user gave, or that of the app's directory.
func functionName(c *cli.Context, config, dir string) (string, error) {
	if c.IsSet("name") {
		return c.String("name"), platform.CheckName(c.String("name"))
	}
	if config != "" {
		return config, nil
	}
	name := strings.ToLower(strings.NewReplacer("_", "-", ".", "-", " ", "-").Replace(filepath.Base(dir)))
	if err := platform.CheckName(name); err != nil {
		return "", platform.WithHint(fmt.Errorf("the directory's name cannot name the function: %w", err), "choose one with --name")
	}
	return name, nil
}

// envLimit bounds an environment file: the kernel takes no more for all arguments and variables together.
const envLimit = 2 << 20

// readEnv reads a file of variables; no file means nil.
func readEnv(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the environment file: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, envLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read the environment file: %w", err)
	}
	if len(data) > envLimit {
		return nil, fmt.Errorf("%s: the file is larger than %d bytes", path, envLimit)
	}
	env, err := platform.ParseEnvFile(path, data)
	if err != nil {
		return nil, err
	}
	// What systemd cannot pass on must be refused now, not dropped when the instance starts.
	if _, err := units.EnvFile(env); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return env, nil
}

// dryRun prints what a deploy would write. The number of the revision is the one that it would get now.
func dryRun(c *cli.Context, r request) error {
	number, err := nextNumber(store(), r.name, nil)
	if err != nil {
		return err
	}
	if r.described, err = describeSecrets(r); err != nil {
		return err
	}
	rev := r.revisionOf(number)
	files, err := units.Files(paths(), rev)
	if err != nil {
		return err
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
}
