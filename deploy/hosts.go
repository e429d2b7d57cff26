package deploy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fnctl/fnctl/platform"
)

// checkHosts refuses a host name that another function has.
func (f *Function) checkHosts(hosts []string) error {
	if len(hosts) == 0 {
		return nil // the usual case costs nothing, however many functions there are
	}
	names, err := f.Store.Functions()
	if err != nil {
		return err
	}
	settings, err := platform.LoadSettings(f.Store.Paths)
	if err != nil {
		return err
	}
	for _, host := range hosts {
		if owner, is := settings.FunctionOf(host); is && owner != f.Name {
			return platform.WithHint(fmt.Errorf("host %s is the address of the function %s", host, owner), "each function has the host of endpoint: in fnctl.yml anyway")
		}
	}
	for _, name := range names {
		if name == f.Name {
			continue
		}
		route, err := f.Store.Route(name)
		if err != nil {
			continue // a damaged route has no host
		}
		for _, taken := range slices.Concat(route.Hosts, hostsOfTags(settings, name, slices.Collect(maps.Keys(route.Tags)))) {
			for _, host := range hosts {
				if host == taken {
					return fmt.Errorf("host %s belongs to the function %s", host, name)
				}
			}
		}
	}
	return nil
}

// tagHosts are the hosts of tags of the function.
func (f *Function) tagHosts(tags []string) ([]string, error) {
	settings, err := platform.LoadSettings(f.Store.Paths)
	return hostsOfTags(settings, f.Name, tags), err
}

func hostsOfTags(settings platform.Settings, function string, tags []string) []string {
	var hosts []string
	for _, tag := range tags {
		hosts = append(hosts, tag+"."+settings.HostOf(function))
	}
	return hosts
}
