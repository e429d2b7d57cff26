package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

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
	if err := checkDeployed(name); err != nil {
		return err
	}
	if err := requireRoot("scale"); err != nil {
		return err
	}
	bounds, err := rescale(c, name, change)
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, bounds)
	}
	bounds.print(c.App.Writer)
	return nil
}

// scaleChange is what becomes of the override of a function.
type scaleChange struct {
	given platform.Scale
	reset bool
}

func newScaleChange(c *cli.Context) (scaleChange, error) {
	bounded, replicas, reset := c.IsSet("min") || c.IsSet("max"), c.IsSet("replicas"), c.Bool("reset")
	switch {
	case !bounded && !replicas && !reset:
		return scaleChange{}, platform.WithHint(platform.UsageError(errors.New("scale: what to change is missing")), "usage: %s", c.Command.UsageText)
	case replicas && bounded || reset && (bounded || replicas):
		return scaleChange{}, platform.UsageError(errors.New("scale takes --min and --max, or --replicas, or --reset"))
	case replicas && c.Int("replicas") < 1:
		return scaleChange{}, platform.WithHint(platform.UsageError(fmt.Errorf("--replicas is 1 or more, not %d", c.Int("replicas"))),
			"--min 0 lets the function scale to zero; the next request wakes it")
	}
	change := scaleChange{reset: reset, given: platform.Scale{Min: intFlag(c, "min"), Max: intFlag(c, "max")}}
	if n := intFlag(c, "replicas"); n != nil {
		change.given = platform.Scale{Min: n, Max: n}
	}
	if err := change.given.Check(); err != nil {
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

// apply changes an override: what is not given stays, unless all of it is reset.
func (change scaleChange) apply(old platform.Scale) platform.Scale {
	if change.reset {
		return platform.Scale{}
	}
	return platform.Scale{Min: cmp.Or(change.given.Min, old.Min), Max: cmp.Or(change.given.Max, old.Max)}
}

// rescale changes the override of a function, under its lock, and returns its bounds.
func rescale(c *cli.Context, name string, change scaleChange) (scaleBounds, error) {
	unlock, err := lockFunction(c.Context, store(), name, newProgress(c.App.ErrWriter), c.Bool("no-wait"))
	if err != nil {
		return scaleBounds{}, err
	}
	defer unlock()
	old, err := store().Scale(name)
	if err != nil {
		printWarning(c.App.ErrWriter, err) // a damaged override must not be in the way of a new one
	}
	scale := change.apply(old)
	config, err := checkScale(name, scale)
	if err != nil {
		return scaleBounds{}, err
	}
	if err := store().PutScale(name, scale); err != nil {
		return scaleBounds{}, err
	}
	return boundsOf(name, config.Autoscale, scale), nil
}

// checkScale refuses an override that contradicts a revision with a route, and returns the configuration of the newest.
func checkScale(name string, scale platform.Scale) (platform.Config, error) {
	route, err := store().Route(name)
	if err != nil {
		return platform.Config{}, err
	}
	var newest platform.Revision
	for _, share := range route.Traffic {
		rev, err := store().Revision(share.Revision)
		if err != nil {
			return platform.Config{}, err
		}
		if err := scale.CheckFor(rev.Config); err != nil {
			return platform.Config{}, platform.WithHint(fmt.Errorf("scale %s: %w", rev.ID, err), "--min and --max can be given together")
		}
		if rev.ID == route.Newest() {
			newest = rev
		}
	}
	return newest.Config, nil
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
