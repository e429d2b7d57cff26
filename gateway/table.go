package gateway

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// table leads from hosts to targets. It is never changed: a new one takes its place.
type table struct {
	hosts  map[string]*target
	routes map[string]platform.Route // those that were good, by function
}

// target is a function to which a host leads. It has no shares if the function is paused, or if its route cannot be read.
type target struct {
	function *function
	paused   bool
	shares   []share
	aside    []share // they get no traffic but by a host of their own
	sticky   *platform.Sticky
	route    platform.Route
}

// share is the part of a function's requests that a revision gets.
type share struct {
	pool          *pool
	percent       int
	timeout       time.Duration
	responseStart time.Duration // 0: no limit of its own
	idle          time.Duration
	maxContent    int64
	http2         bool // the instances speak HTTP/2
}

// find returns the target of a host, nil if there is none, and the label in front of the host if that asks for a revision.
func (t *table) find(host string, hostOf func(function string) string) (found *target, label string) {
	if found = t.hosts[host]; found != nil {
		return found, ""
	}
	label, below, _ := strings.Cut(host, ".")
	if found = t.hosts[below]; found == nil || hostOf(found.function.name) != below {
		return nil, ""
	}
	return found, label
}

// only returns the part of a target that a label in front of its host leads to; nil if there is none.
func (t *target) only(label string) *target {
	id, is := t.route.Tagged(label)
	if !is {
		return nil
	}
	for _, shares := range [][]share{t.shares, t.aside} {
		for i := range shares {
			if shares[i].pool.revision == id {
				return &target{function: t.function, shares: shares[i : i+1]}
			}
		}
	}
	return nil
}

// pick chooses the revision that gets a request, by percent.
func (t *target) pick(r stickyRequest) share {
	if len(t.shares) == 1 {
		return t.shares[0]
	}
	return t.at(draw(r, t.sticky))
}

// at returns the share on which a number below 100 falls. The shares lie in the order of the revisions, so that when a newer one
// of two gets more, all that it had stays with it.
func (t *target) at(drawn int) share {
	for _, s := range t.shares {
		if drawn -= s.percent; drawn < 0 {
			return s
		}
	}
	return t.shares[len(t.shares)-1]
}

// conflict is a host that a function claims and another has.
type conflict struct{ host, owner, claimant string }

// claimHosts returns the function that has each host, and the claims that lost. The host that the platform gives to a function
// is always its own; of several that claim another host, the one that had it before keeps it, and otherwise the first by name
// gets it.
func claimHosts(routes map[string]platform.Route, hostOf func(string) string, before map[string]string) (map[string]string, []conflict) {
	owners := make(map[string]string, len(routes))
	for name, route := range routes {
		if !route.Private {
			owners[hostOf(name)] = name
		}
	}
	var conflicts []conflict
	for _, c := range claims(routes, before) {
		owner, taken := owners[c.host]
		switch {
		case !taken:
			owners[c.host] = c.claimant
		case owner != c.claimant:
			conflicts = append(conflicts, conflict{host: c.host, owner: owner, claimant: c.claimant})
		}
	}
	return owners, conflicts
}

// claims lists the claims of all public functions on hosts of their own, those of earlier owners first.
func claims(routes map[string]platform.Route, before map[string]string) []conflict {
	var all []conflict
	for _, name := range slices.Sorted(maps.Keys(routes)) {
		if routes[name].Private {
			continue
		}
		for _, host := range routes[name].Hosts {
			all = append(all, conflict{host: host, claimant: name})
		}
	}
	rank := func(c conflict) int {
		if before[c.host] == c.claimant {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b conflict) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}
