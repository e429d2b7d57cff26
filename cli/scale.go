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

func scaleCommand() *cli.Command {
	return &cli.Command{
		Name:      "scale",
		Usage:     "change how many instances a function has, without a new revision",
		UsageText: "scale NAME [--min N] [--max N] | --replicas N | --reset [-o json]",
		Description: "What is given overrides autoscale.min and autoscale.max of jcloud.yml within a second, and through all further\n" +
			"deploys, until --reset. Where traffic is split, they hold for each revision with traffic by itself.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "min", Usage: "at least `N` instances; 0 lets the function scale to zero"},
			&cli.IntFlag{Name: "max", Usage: "at most `N` instances"},
			&cli.IntFlag{Name: "replicas", Usage: "exactly `N` instances: the same as --min N --max N"},
			&cli.BoolFlag{Name: "reset", Usage: "what jcloud.yml says, again"},
			noWaitFlag(),
			outputFlag(),
		},
		BashComplete: completeFunctions,
		Action:       scale,
	}
}

func scale(c *cli.Context) error {
	name, err := oneArg(c, "NAME")
	if err != nil {
		return err
	}
	change, err := newScaleChange(c)
	if err != nil {
		return err
	}
	return changeDeployed(c, name, func(function *deploy.Function) error {
		auto, scale, err := function.SetScale(change)
		if err != nil {
			return err
		}
		bounds := boundsOf(name, auto, scale)
		if wantsJSON(c) {
			return printJSON(c.App.Writer, bounds)
		}
		bounds.print(c.App.Writer)
		return nil
	})
}

func newScaleChange(c *cli.Context) (deploy.ScaleChange, error) {
	bounded, replicas, reset := c.IsSet("min") || c.IsSet("max"), c.IsSet("replicas"), c.Bool("reset")
	switch {
	case !bounded && !replicas && !reset:
		return deploy.ScaleChange{}, platform.WithHint(platform.UsageError(errors.New("scale: what to change is missing")), "usage: %s", c.Command.UsageText)
	case replicas && bounded || reset && (bounded || replicas):
		return deploy.ScaleChange{}, platform.UsageError(errors.New("scale takes --min and --max, or --replicas, or --reset"))
	case replicas && c.Int("replicas") < 1:
		return deploy.ScaleChange{}, platform.WithHint(platform.UsageError(fmt.Errorf("--replicas is 1 or more, not %d", c.Int("replicas"))),
			"--min 0 lets the function scale to zero; the next request wakes it")
	}
	change := deploy.ScaleChange{Reset: reset, Given: platform.Scale{Min: intFlag(c, "min"), Max: intFlag(c, "max")}}
	if n := intFlag(c, "replicas"); n != nil {
		change.Given = platform.Scale{Min: n, Max: n}
	}
	if err := change.Given.Check(); err != nil {
		return change, platform.UsageError(fmt.Errorf("scale: %w", err))
	}
	return change, nil
}

// intFlag is the value of a flag, nil if it is not given.
func intFlag(c *cli.Context, name string) *int {
	if !c.IsSet(name) {
		return nil
	}
	n := c.Int(name)
	return &n
}

// scaleBounds is what "fnctl scale NAME -o json" prints. Its fields are an interface that scripts use.
type scaleBounds struct {
	Name string `json:"name"`
	Min  int    `json:"min"`
	Max  int    `json:"max"`
	// Override has what doesn't come from jcloud.yml; Config is what jcloud.yml says.
	Override platform.Scale `json:"override"`
	Config   struct {
		Min int `json:"min"`
		Max int `json:"max"`
	} `json:"config"`
}

func boundsOf(name string, auto platform.Autoscale, scale platform.Scale) scaleBounds {
	applied := scale.Apply(auto)
	b := scaleBounds{Name: name, Min: applied.Min, Max: applied.Max, Override: scale}
	b.Config.Min, b.Config.Max = auto.Min, auto.Max
	return b
}

func (b scaleBounds) print(w io.Writer) {
	t := newTable(w)
	t.AppendHeader(table.Row{"App ID", "Min", "Max", "In jcloud.yml"})
	t.AppendRow(table.Row{b.Name, b.Min, b.Max, fmt.Sprintf("%d to %d", b.Config.Min, b.Config.Max)})
	t.Render()
}
