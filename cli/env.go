package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/secrets"
	"github.com/fnctl/fnctl/units"
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
		return changeVariables(c, name, func(function *deploy.Function) (deploy.Deployed, error) {
			return function.SetEnv(c.Context, given, c.Bool("verbose"))
		})
	}
	return changeVariables(c, name, func(function *deploy.Function) (deploy.Deployed, error) {
		return function.UnsetEnv(c.Context, args, c.Bool("verbose"))
	})
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

// changeVariables makes a revision that differs in its variables only, and shows it.
func changeVariables(c *cli.Context, name string, change func(*deploy.Function) (deploy.Deployed, error)) error {
	return withFunction(c, name, func(function *deploy.Function) error {
		deployed, err := change(function)
		if err != nil {
			return err
		}
		return printDeployed(c, describeDeployed(c.Context, deployed))
	})
}

// readVariables reads the variables of the revision that serves.
func readVariables(c *cli.Context, name string) (v deploy.Variables, err error) {
	err = withEngine(c, func(engine *deploy.Engine) error {
		v, err = engine.Variables(name)
		return err
	})
	return v, err
}

// shownVariable is what "fnctl env NAME list -o json" prints of each. Its fields are an interface that scripts use.
type shownVariable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func listEnv(c *cli.Context, name string) error {
	v, err := readVariables(c, name)
	if err != nil {
		return err
	}
	secret, err := secrets.Names(paths(), v.Revision)
	if err != nil {
		return err
	}
	list := []shownVariable{}
	values := maps.Clone(v.Config)
	maps.Copy(values, v.Env)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		from := "jcloud.yml"
		if _, is := v.Env[key]; is {
			from = "env"
		}
		if slices.Contains(secret, key) {
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
