package deploy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fnctl/fnctl/platform"
)

// checkHosts refuses a host that another function has.
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
		if err := checkAddresses(settings, f.Name, host); err != nil {
			return err
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
		for _, taken := range slices.Concat(route.AllHosts(), hostsOfTags(settings, name, slices.Collect(maps.Keys(route.Tags)))) {
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

// checkAddresses refuses a host that the platform gives to other functions than this one, or to tags.
func checkAddresses(settings platform.Settings, function, host string) error {
	rule, err := platform.ParseHostRule(host)
	if err != nil {
		return err
	}
	below, wild := rule.Below()
	if owner, is := settings.FunctionOf(rule.Host); is && owner != function && rule.Path == "" {
		return platform.WithHint(fmt.Errorf("host %s is the address of the function %s", host, owner), "each function has the host of endpoint: in fnctl.yml anyway")
	}
	if _, is := settings.FunctionOf("any." + below); wild && is {
		return platform.WithHint(fmt.Errorf("host %s has the addresses of all functions in it", host), "endpoint in fnctl.yml says what those are; take another domain")
	}
	if owner, is := settings.FunctionOf(below); wild && is {
		return fmt.Errorf("host %s has the addresses of the tags of the function %s in it", host, owner)
	}
	return nil
}
