package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func upgradeCommand() *cli.Command {
	return &cli.Command{
		Name:      "upgrade",
		Usage:     "give deployed functions the units that this version of fnctl writes",
		UsageText: "upgrade NAME… | --all [--dry-run] [-o json]",
		Description: "The units of a revision never change, so a function keeps the sandbox of the version that has deployed it. This makes\n" +
			"a new revision of each whose units would differ by now, with the same files, variables and secrets. It must answer\n" +
			"before it gets the traffic, as after a deploy; one that does not leaves its function as it was, and the others go on.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "all functions of this machine"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say which would get a new revision, and change nothing"},
			noWaitFlag(), outputFlag(), verboseFlag(),
		},
		BashComplete: completeFunctions,
		Action:       upgrade,
	}
}

// upgraded is what "fnctl upgrade -o json" prints of each function that has units of another version. Its fields are an
// interface that scripts use.
type upgraded struct {
	Name string `json:"name"`
	// From are the revisions with traffic; To is the one that has taken their place, "" if none has.
	From  []platform.RevisionID `json:"from"`
	To    string                `json:"to"`
	Error string                `json:"error,omitempty"`
}

func upgrade(c *cli.Context) error {
	names, err := upgradedNames(c)
	if err != nil {
		return err
	}
	var failed error
	outdated := []upgraded{}
	for _, name := range names {
		from, err := deploy.Outdated(store(), name)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
		if len(from) > 0 {
			outdated = append(outdated, upgraded{Name: name, From: from})
		}
	}
	if !c.Bool("dry-run") {
		failed = errors.Join(failed, upgradeAll(c, outdated))
	}
	if wantsJSON(c) {
		return errors.Join(printJSON(c.App.Writer, outdated), failed)
	}
	printUpgraded(c.App.Writer, outdated)
	return failed
}

// upgradedNames are the functions that are meant.
func upgradedNames(c *cli.Context) ([]string, error) {
	switch {
	case c.Bool("all") && c.NArg() > 0:
		return nil, platform.UsageError(errors.New("--all stands for all functions: name none"))
	case !c.Bool("all") && c.NArg() == 0:
		return nil, platform.WithHint(platform.UsageError(errors.New("upgrade: NAME is missing, or --all")), "usage: %s", c.Command.UsageText)
	}
	if !c.Bool("dry-run") {
		if err := requireRoot("upgrade"); err != nil {
			return nil, err
		}
	}
	if c.Bool("all") {
		return store().Functions()
	}
	for _, name := range c.Args().Slice() {
		if err := checkDeployed(name); err != nil {
			return nil, err
		}
	}
	return c.Args().Slice(), nil
}

// upgradeAll upgrades one function after the other, and notes what came of each.
func upgradeAll(c *cli.Context, outdated []upgraded) error {
	var failed []error
	for i := range outdated {
		one := &outdated[i]
		err := withFunction(c, one.Name, func(function *deploy.Function) error {
			deployed, err := function.Upgrade(c.Context, c.Bool("verbose"))
			if err == nil {
				one.To = deployed.Revision.ID.String()
			}
			return err
		})
		if err != nil {
			one.Error = err.Error()
			failed = append(failed, err)
		}
		if c.Context.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func printUpgraded(w io.Writer, list []upgraded) {
	if len(list) == 0 {
		fmt.Fprintln(w, "Nothing to upgrade")
		return
	}
	t := newTable(w)
	t.AppendHeader(table.Row{"App ID", "Revision", "Upgraded to"})
	for _, one := range list {
		to := one.To
		switch {
		case one.Error != "":
			to = "failed"
		case to == "":
			to = "-"
		}
		for i, from := range one.From {
			name := one.Name
			if i > 0 {
				name, to = "", ""
			}
			t.AppendRow(table.Row{name, from.String(), to})
		}
	}
	t.Render()
}
