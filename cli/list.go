package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/inspect"
	"github.com/fnctl/fnctl/platform"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name:      "list",
		Aliases:   []string{"ls"},
		Usage:     "list the functions of this machine",
		UsageText: "list [--phase PHASE,…] [--name NAME] [-o json]",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "phase", Usage: "only functions in one of these `PHASE`s: Serving, Failed, Starting, Updating, Paused"},
			&cli.StringFlag{Name: "name", Usage: "only functions whose name has `NAME` in it"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return platform.UsageError(fmt.Errorf("list takes no argument, got %q", c.Args().First()))
			}
			phases, err := parsePhases(c.StringSlice("phase"))
			if err != nil {
				return err
			}
			list, err := listFunctions(c, phases)
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return printJSON(c.App.Writer, list)
			}
			printList(c, list)
			return nil
		},
	}
}

func parsePhases(given []string) ([]inspect.Phase, error) {
	known := []inspect.Phase{inspect.PhaseServing, inspect.PhaseFailed, inspect.PhaseStarting, inspect.PhaseUpdating, inspect.PhasePaused}
	var phases []inspect.Phase
	for _, text := range given {
		i := slices.IndexFunc(known, func(p inspect.Phase) bool { return strings.EqualFold(string(p), text) })
		if i < 0 {
			return nil, platform.UsageError(fmt.Errorf("there is no phase %q: use Serving, Failed, Starting, Updating or Paused", text))
		}
		phases = append(phases, known[i])
	}
	return phases, nil
}

// listFunctions describes the functions that were asked for. One that cannot be read doesn't hide the others.
func listFunctions(c *cli.Context, phases []inspect.Phase) ([]inspect.Function, error) {
	in, err := inspect.All(c.Context, store(), "")
	if err != nil {
		return nil, err
	}
	names, err := in.Store.Functions()
	if err != nil {
		return nil, err
	}
	list := []inspect.Function{}
	for _, name := range names {
		if !strings.Contains(name, c.String("name")) {
			continue
		}
		status, err := in.Function(name)
		if err != nil {
			printWarning(c.App.ErrWriter, err)
			continue
		}
		if len(phases) == 0 || slices.Contains(phases, status.Phase) {
			list = append(list, status)
		}
	}
	printProblems(c.App.ErrWriter, in)
	return list, nil
}

func printList(c *cli.Context, list []inspect.Function) {
	if len(list) == 0 {
		fmt.Fprintln(c.App.Writer, "No apps found")
		return
	}
	t := newTable(c.App.Writer)
	t.AppendHeader(table.Row{"AppID", "Phase", "Endpoint", "Ready", "Created"})
	for _, s := range list {
		t.AppendRow(table.Row{s.Name, s.Phase, endpointText(s), s.Scale.Ready, s.Created.Local().Format(time.DateTime)})
	}
	t.Render()
}
