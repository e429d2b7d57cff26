package cli

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
)

// tagFlags say whether a new revision gets the traffic, and how else it is reached.
func tagFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "tag", Usage: "`TAG` that leads to the new revision, by a host of its own: TAG in front of the function's"},
		&cli.BoolFlag{Name: "no-traffic", Usage: "leave the traffic where it is: the new revision must answer, and gets none"},
	}
}

// checkTag refuses a tag whose host another function has, and a function of which nothing has traffic.
func (d *deployment) checkTag() error {
	if d.noTraffic && d.rollout > 0 {
		return platform.UsageError(errors.New("--rollout moves traffic, and --no-traffic leaves it where it is: use one of them"))
	}
	if d.noTraffic {
		if _, err := d.store.Route(d.request.name); errors.Is(err, platform.ErrNoFunction) {
			return platform.WithHint(fmt.Errorf("%s has no revision yet that could keep the traffic", d.request.name), "deploy it without --no-traffic first")
		} else if err != nil {
			return err
		}
	}
	if d.tag == "" {
		return nil
	}
	if err := platform.CheckTag(d.tag); err != nil {
		return platform.UsageError(err)
	}
	hosts, err := d.tagHosts(d.request.name, []string{d.tag})
	if err != nil {
		return err
	}
	return d.checkHosts(d.request.name, hosts)
}

// nextRoute is the route with the new revision. Where there is a route, the tags of others stay.
func (d *deployment) nextRoute() (platform.Route, error) {
	before, err := d.store.Route(d.request.name)
	route := platform.RouteTo(d.revision)
	switch {
	case d.noTraffic && err != nil:
		return before, err
	case d.noTraffic:
		route = before
	case err == nil:
		route = route.After(before)
	}
	if d.tag != "" {
		route = route.WithTag(d.tag, d.revision)
	}
	return route, nil
}

// switched says what the new route has changed.
func (d *deployment) switched() string {
	id := d.revision.ID
	switch {
	case !d.noTraffic:
		return fmt.Sprintf("switched the route of %s to %s", id.Function, id)
	case d.tag != "":
		return fmt.Sprintf("%s is reached by its tag %s; the traffic of %s stays where it is", id, d.tag, id.Function)
	}
	return fmt.Sprintf("the traffic of %s stays where it is: fnctl traffic %s %s=100", id.Function, id.Function, id.Label())
}
