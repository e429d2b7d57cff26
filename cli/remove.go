package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
	"github.com/fnctl/fnctl/workspace"
)

func removeCommand() *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Aliases:   []string{"rm"},
		Usage:     "remove a function; its persistent data stays unless --purge is given",
		UsageText: "remove NAME [--purge] [--yes]",
		Description: "New requests are refused, those that run are finished; then its revisions and units go, and its logs stay. On a\n" +
			"terminal it asks first.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "purge", Usage: "remove the function's persistent data, too"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "don't ask"},
			noWaitFlag(),
		},
		BashComplete: completeFunctions,
		Action: func(c *cli.Context) error {
			name, err := oneArg(c, "NAME")
			if err != nil {
				return err
			}
			if err := platform.CheckName(name); err != nil {
				return err
			}
			if err := requireRoot("remove"); err != nil {
				return err
			}
			manager := &systemd.Manager{}
			defer manager.Close()
			r := remover{paths: paths(), store: store(), units: manager}
			return removeFunction(c.Context, c, r, name)
		},
	}
}

// defaultDrain bounds the drain of a function whose route cannot be read.
const defaultDrain = 120 * time.Second

func removeFunction(ctx context.Context, c *cli.Context, r remover, name string) error {
	p := newProgress(c.App.ErrWriter)
	if !r.removable(c, name) {
		return noFunction(name)
	}
	if err := confirmRemoval(ctx, c, r, name); err != nil {
		return err
	}
	unlock, err := lockFunction(ctx, r.store, name, p, c.Bool("no-wait"))
	if err != nil {
		return err
	}
	defer unlock()
	if !r.removable(c, name) { // another command was faster
		return noFunction(name)
	}
	timeout := defaultDrain
	if route, err := r.store.Route(name); err == nil {
		timeout = longestTimeout(route)
	}
	// Without a route no new request reaches the function; those that it has are finished. What they need stays till then.
	if err := r.store.RemoveRoute(name); err != nil {
		return err
	}
	err = p.run("finishing the requests of "+name, func() (string, error) {
		return "finished the requests of " + name, r.drain(ctx, name, timeout)
	})
	if err != nil && ctx.Err() != nil {
		return platform.WithHint(fmt.Errorf("remove %s: interrupted", name), "it takes no requests any more; \"fnctl remove %s\" removes the rest", name)
	}
	if err := r.all(ctx, name); err != nil {
		return err
	}
	if err := disposeData(c, r.paths, p, name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s removed successfully!\n", name)
	return err
}

// removable tells whether there is anything of a function that could be removed.
func (r remover) removable(c *cli.Context, name string) bool {
	return exists(r.paths.Function(name)) || c.Bool("purge") && exists(r.paths.Workspace(name))
}

// confirmRemoval asks whoever sits at a terminal.
func confirmRemoval(ctx context.Context, c *cli.Context, r remover, name string) error {
	if c.Bool("yes") || !isTerminal(c.App.ErrWriter) || !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	question := fmt.Sprintf("remove %s, with all its revisions?", name)
	switch data := r.paths.Workspace(name); {
	case !exists(data):
	case c.Bool("purge"):
		question = fmt.Sprintf("remove %s, with all its revisions and its data in %s?", name, data)
	default:
		question += fmt.Sprintf(" Its data stays in %s.", data)
	}
	yes, err := confirm(ctx, os.Stdin, c.App.ErrWriter, question)
	if err == nil && !yes {
		err = fmt.Errorf("%s is not removed", name)
	}
	return err
}

// all stops and removes everything of a function but its data.
func (r remover) all(ctx context.Context, name string) error {
	ids, err := r.store.Revisions(name)
	if err != nil {
		return err
	}
	instances, err := r.instances(ctx, name)
	if err != nil {
		return err
	}
	for id := range instances {
		ids = append(ids, id.Revision)
	}
	for _, id := range ids {
		if err := r.revision(ctx, id); err != nil {
			return err
		}
	}
	return r.registry(ctx, name)
}

func longestTimeout(route platform.Route) time.Duration {
	var longest time.Duration
	for _, share := range route.Traffic {
		longest = max(longest, share.Timeout())
	}
	return longest
}

// disposeData removes a function's persistent data, or says where it is.
func disposeData(c *cli.Context, paths platform.Paths, p *progress, name string) error {
	data := paths.Workspace(name)
	if !exists(data) {
		return nil
	}
	if !c.Bool("purge") {
		p.note("its data stays in %s; --purge removes it", data)
		return nil
	}
	if err := workspace.Remove(paths, name, os.RemoveAll); err != nil {
		return fmt.Errorf("remove the data of %s: %w", name, err)
	}
	return nil
}

func noFunction(name string) error {
	return platform.WithHint(fmt.Errorf("%w: %s", platform.ErrNoFunction, name), "\"fnctl list\" shows the functions of this machine")
}
