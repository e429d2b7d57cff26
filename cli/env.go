package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
	"github.com/fnctl/fnctl/units/systemd"
)

func envCommand() *cli.Command {
	return &cli.Command{
		Name:      "env",
		Usage:     "show or change the environment variables of a function",
		UsageText: "env NAME list | set KEY=VALUE… | unset KEY… [-o json]",
		Description: "A change makes a new revision that has its files in common with the one that serves. It must answer before it\n" +
			"gets the traffic, as after a deploy. What is set overrides env: in jcloud.yml, also through all further deploys,\n" +
			"until it is unset or a deploy has --env. Secrets are not shown: see fnctl secret.",
		Flags:        []cli.Flag{noWaitFlag(), outputFlag(), verboseFlag()},
		BashComplete: completeVariables,
		Action:       env,
	}
}

func verboseFlag() cli.Flag {
	return &cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say more about each step"}
}

// completeVariables completes the name of a function, then what can be done with its variables.
func completeVariables(c *cli.Context) {
	completeFunctions(c)
	if c.NArg() == 1 {
		fmt.Fprintln(c.App.Writer, "list\nset\nunset")
	}
}

func env(c *cli.Context) error {
	name, verb, args, err := parseVariables(c)
	if err != nil {
		return err
	}
	switch verb {
	case "list":
		return listEnv(c, name)
	case "set":
		given, err := parseAssignments(args)
		if err != nil {
			return err
		}
		return changeVariables(c, name, func(v *variables) error {
			maps.Copy(v.env, given)
			return nil
		})
	}
	return changeVariables(c, name, func(v *variables) error { return unset(*v, v.env, args) })
}

// parseVariables reads the arguments of env and secret: NAME, what to do, and with what.
func parseVariables(c *cli.Context) (name, verb string, args []string, err error) {
	if c.NArg() < 2 {
		return "", "", nil, platform.WithHint(platform.UsageError(fmt.Errorf("%s: NAME and list, set or unset are needed", c.Command.Name)), "usage: %s", c.Command.UsageText)
	}
	name, verb, args = c.Args().Get(0), c.Args().Get(1), c.Args().Slice()[2:]
	switch {
	case !slices.Contains([]string{"list", "set", "unset"}, verb):
		err = platform.WithHint(platform.UsageError(fmt.Errorf("%s: there is no %q: use list, set or unset", c.Command.Name, verb)), "usage: %s", c.Command.UsageText)
	case verb == "list" && len(args) > 0:
		err = platform.UsageError(fmt.Errorf("%s: list takes nothing after it", c.Command.Name))
	case verb != "list" && len(args) == 0:
		err = platform.WithHint(platform.UsageError(fmt.Errorf("%s: KEY is missing", c.Command.Name)), "usage: %s", c.Command.UsageText)
	default:
		if err = checkDeployed(name); err == nil {
			err = requireRoot(c.Command.Name) // only root can read them, too
		}
	}
	return name, verb, args, err
}

func parseAssignments(args []string) (map[string]string, error) {
	given := map[string]string{}
	for _, arg := range args {
		key, value, found := strings.Cut(arg, "=")
		if !found {
			return nil, platform.UsageError(fmt.Errorf("env: %q is not KEY=VALUE", arg))
		}
		if err := platform.CheckEnvName(key); err != nil {
			return nil, platform.UsageError(fmt.Errorf("env: %q: %w", key, err))
		}
		if _, twice := given[key]; twice {
			return nil, platform.UsageError(fmt.Errorf("env: %s is given twice", key))
		}
		given[key] = value
	}
	if _, err := units.EnvFile(given); err != nil { // what systemd cannot pass on
		return nil, platform.UsageError(fmt.Errorf("env: %w", err))
	}
	return given, nil
}

// variables are those of a revision, by where they come from.
type variables struct {
	revision platform.Revision
	config, env,
	secrets map[string]string // secrets are nil until they are needed: reading them may take decrypting them
}

// readVariables reads those of the revision that serves.
func readVariables(name string) (variables, error) {
	var v variables
	route, err := store().Route(name)
	if err != nil {
		return v, platform.WithHint(err, "deploy %s again to write a new one", name)
	}
	id := route.Newest()
	v.revision, err = store().Revision(id)
	if err == nil && len(v.revision.Command) == 0 {
		err = errors.New("it has no command")
	}
	if err != nil {
		return v, fmt.Errorf("revision %s: %w", id, err)
	}
	for _, part := range []struct {
		file string
		into *map[string]string
	}{
		{platform.ConfigEnvFile, &v.config}, {platform.EnvFile, &v.env},
	} {
		data, err := os.ReadFile(filepath.Join(paths().Revision(id), part.file))
		if err != nil {
			return v, fmt.Errorf("read the variables of %s: %w", id, err)
		}
		if *part.into, err = units.ParseEnvFile(data); err != nil {
			return v, fmt.Errorf("read the variables of %s: %s: %w", id, part.file, err)
		}
	}
	return v, nil
}

// checkOneServes refuses a change while the traffic is split: which revision is to be changed is not known then.
func checkOneServes(name string) error {
	route, err := store().Route(name)
	if err != nil {
		return platform.WithHint(err, "deploy %s again to write a new one", name)
	}
	if route.PercentOf(route.Newest()) != 100 {
		return platform.WithHint(fmt.Errorf("the traffic of %s is split: which revision is meant is not known", name),
			"\"fnctl traffic %s REVISION=100\" first", name)
	}
	return nil
}

// unset takes variables away from those that can be changed.
func unset(v variables, from map[string]string, keys []string) error {
	for _, key := range keys {
		_, there := from[key]
		_, fixed := v.config[key]
		switch {
		case there:
		case fixed:
			return platform.WithHint(fmt.Errorf("%s of %s comes from jcloud.yml", key, v.revision.ID.Function), "change it there and deploy again")
		default:
			return fmt.Errorf("%s has no %s to unset", v.revision.ID.Function, key)
		}
	}
	for _, key := range keys {
		delete(from, key)
	}
	return nil
}

// request is what makes a revision like the one at hand, with the variables as they are now.
func (v variables) request() (request, error) {
	rev := v.revision
	r := request{name: rev.ID.Function, from: rev.ID, config: rev.Config, env: v.env, secrets: v.secrets}
	r.config.Env = v.config
	var err error
	r.app, err = appOf(rev, paths().Snapshot(rev.ID))
	return r, err
}

// changeVariables makes a revision that differs in its variables only.
func changeVariables(c *cli.Context, name string, change func(*variables) error) error {
	manager := &systemd.Manager{}
	defer manager.Close()
	d := &deployment{launcher: newLauncher(c, manager), request: request{name: name}, verbose: c.Bool("verbose")}
	d.revise = func() (request, error) {
		if err := checkOneServes(name); err != nil {
			return request{}, err
		}
		v, err := readVariables(name)
		if err != nil {
			return request{}, err
		}
		if err := change(&v); err != nil {
			return request{}, err
		}
		return v.request()
	}
	if err := d.run(c.Context); err != nil {
		return err
	}
	return printDeployed(c, d.status)
}

// shownVariable is what "fnctl env NAME list -o json" prints of each. Its fields are an interface that scripts use.
type shownVariable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func listEnv(c *cli.Context, name string) error {
	v, err := readVariables(name)
	if err != nil {
		return err
	}
	secrets, err := secretNames(paths(), v.revision)
	if err != nil {
		return err
	}
	list := []shownVariable{}
	values := maps.Clone(v.config)
	maps.Copy(values, v.env)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		from := "jcloud.yml"
		if _, is := v.env[key]; is {
			from = "env"
		}
		if slices.Contains(secrets, key) {
			continue // the app sees the secret of that name
		}
		list = append(list, shownVariable{Name: key, Value: values[key], From: from})
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, list)
	}
	printVariables(c.App.Writer, list)
	return nil
}

func printVariables(w io.Writer, list []shownVariable) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No variables")
		return
	}
	t := newTable(w)
	t.AppendHeader(table.Row{"Name", "Value", "From"})
	for _, one := range list {
		t.AppendRow(table.Row{one.Name, one.Value, one.From})
	}
	t.Render()
}
