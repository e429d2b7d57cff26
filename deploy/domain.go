package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// Domains are the hosts of a function, whose lock is held, besides those of its jcloud.yml.
type Domains struct{ Function *Function }

// Add gives the function hosts besides those of its jcloud.yml. They are its own at once, and stay through all further deploys. Ones
// that it has are left as they are; one that another function has is refused, and then nothing changes.
func (d Domains) Add(hosts []string) error {
	f := d.Function
	return d.change(func(route *platform.Route) error {
		for _, host := range hosts {
			if err := platform.CheckHostRule(host); err != nil {
				return platform.UsageError(err)
			}
			if slices.Contains(route.AllHosts(), host) {
				f.Progress.Note("nothing to change: %s has %s already", f.Name, host)
				continue
			}
			route.Domains = append(route.Domains, host)
		}
		return f.checkHosts(route.AllHosts())
	}, "added "+strings.Join(hosts, ", "))
}

// Remove takes hosts away that Add has given.
func (d Domains) Remove(hosts []string) error {
	f := d.Function
	return d.change(func(route *platform.Route) error {
		for _, host := range hosts {
			i := slices.Index(route.Domains, host)
			switch {
			case i >= 0:
				route.Domains = slices.Delete(slices.Clone(route.Domains), i, i+1)
			case slices.Contains(route.Hosts, host):
				return platform.WithHint(fmt.Errorf("%s stands in the jcloud.yml of %s", host, f.Name), "take it out of hosts: there, and deploy again")
			default:
				return platform.WithHint(fmt.Errorf("%s does not have the host %s", f.Name, host), "fnctl domain %s list", f.Name)
			}
		}
		return nil
	}, "removed "+strings.Join(hosts, ", "))
}

func (d Domains) change(change func(*platform.Route) error, done string) error {
	f := d.Function
	route, err := f.route()
	if err != nil {
		return err
	}
	before := slices.Clone(route.Domains)
	if err := change(&route); err != nil {
		return err
	}
	if slices.Equal(before, route.Domains) {
		return nil
	}
	return f.Progress.Step("switching the route", func() (string, error) { return done, f.Store.PutRoute(route) })
}
