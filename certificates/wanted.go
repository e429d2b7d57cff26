package certificates

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// Wanted lists the hosts at which functions are reached, and which are to have a certificate therefore: the addresses of public functions
// and of their tags if the endpoint is one of https, and the hosts of their own. A rule for *.NAME wants a wildcard; one for every host
// wants none. Each host is there once, those of functions before those of tags.
func Wanted(settings platform.Settings, routes []platform.Route) []string {
	secure := strings.HasPrefix(settings.Endpoint, "https://")
	hosts, tags := map[string]bool{}, map[string]bool{}
	for _, route := range routes {
		if route.Private {
			continue
		}
		own := settings.HostOf(route.Function)
		if secure {
			hosts[own] = true
			for tag := range route.Tags {
				tags[tag+"."+own] = true
			}
		}
		for _, host := range route.AllHosts() {
			if rule, err := platform.ParseHostRule(host); err == nil && rule.Host != platform.AnyHost {
				hosts[rule.Host] = true
			}
		}
	}
	maps.DeleteFunc(tags, func(host string, _ bool) bool { return hosts[host] })
	wanted := append(slices.Sorted(maps.Keys(hosts)), slices.Sorted(maps.Keys(tags))...)
	return slices.DeleteFunc(wanted, func(host string) bool { return checkName(host) != nil }) // a tag may make one too long
}

// localNames are top-level names that no public authority signs: RFC 6761, RFC 6762, RFC 8375, RFC 2606, and what ICANN keeps for private use.
var localNames = []string{"localhost", "local", "internal", "home.arpa", "lan", "test", "example", "invalid", "localdomain"}

// IsLocal reports whether no public authority signs a certificate for a host: it has one label, or a top-level name for private use, or is
// an address.
func IsLocal(host string) bool {
	host = strings.TrimPrefix(host, "*.")
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	return slices.ContainsFunc(localNames, func(name string) bool { return host == name || strings.HasSuffix(host, "."+name) })
}
