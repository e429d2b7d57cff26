package deploy

import (
	"errors"
	"fmt"

	"github.com/fnctl/fnctl/platform"
)

// checkTag refuses a tag whose host another function has, and a function of which nothing has traffic.
func (d *deployment) checkTag() error {
	if d.request.NoTraffic && d.request.Rollout > 0 {
		return platform.UsageError(errors.New("--rollout moves traffic, and --no-traffic leaves it where it is: use one of them"))
	}
	if d.request.Recreate && (d.request.NoTraffic || d.request.Rollout > 0) {
		return platform.UsageError(errors.New("--recreate ends what has the traffic: it goes with neither --no-traffic nor --rollout"))
	}
	if d.request.NoTraffic {
		if _, err := d.Store.Route(d.Name); errors.Is(err, platform.ErrNoFunction) {
			return platform.WithHint(fmt.Errorf("%s has no revision yet that could keep the traffic", d.Name), "deploy it without --no-traffic first")
		} else if err != nil {
			return err
		}
	}
	if d.request.Tag == "" {
		return nil
	}
	if err := platform.CheckTag(d.request.Tag); err != nil {
		return platform.UsageError(err)
	}
	hosts, err := d.tagHosts([]string{d.request.Tag})
	if err != nil {
		return err
	}
	return d.checkHosts(hosts)
}

// nextRoute is the route with the new revision. Where there is a route, the tags of others stay.
func (d *deployment) nextRoute() (platform.Route, error) {
	before, err := d.Store.Route(d.Name)
	route := platform.RouteTo(d.revision)
	switch {
	case d.request.NoTraffic && err != nil:
		return before, err
	case d.request.NoTraffic:
		route = before
	case err == nil:
		route = route.After(before)
	}
	if d.request.Tag != "" {
		route = route.WithTag(d.request.Tag, d.revision)
	}
	return route, nil
}

// switched says what the new route has changed.
func (d *deployment) switched() string {
	id := d.revision.ID
	switch {
	case !d.request.NoTraffic:
		return fmt.Sprintf("switched the route of %s to %s", id.Function, id)
	case d.request.Tag != "":
		return fmt.Sprintf("%s is reached by its tag %s; the traffic of %s stays where it is", id, d.request.Tag, id.Function)
	}
	return fmt.Sprintf("the traffic of %s stays where it is: fnctl traffic %s %s=100", id.Function, id.Function, id.Label())
}
