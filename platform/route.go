package platform

import (
	"errors"
	"fmt"
	"slices"
)

// Route has the hosts of a function and the split of its traffic over its revisions. It is replaced as a whole.
type Route struct {
	Function string `json:"function"`
	// Hosts are the function's own hosts, each a HostRule, besides the one that the platform gives to each function.
	Hosts []string `json:"hosts,omitempty"`
	// Domains are more such rules, which "fnctl domain" has given the function. No deploy changes them.
	Domains []string `json:"domains,omitempty"`
	// StripPrefix is true if the app gets paths without that of the rule by which a request came.
	StripPrefix bool `json:"strip_prefix,omitempty"`
	// Traffic has the revisions with traffic, and those with a tag, by number.
	Traffic []TrafficShare `json:"traffic"`
	// Tags lead to one revision each, by a host of their own.
	Tags map[string]RevisionID `json:"tags,omitempty"`
	// Sticky tells requests that belong together while traffic is split; nil: each request is on its own.
	Sticky *Sticky `json:"sticky,omitempty"`
	// Admission says who may come in; nil: everybody may. The users are those of the newest revision with traffic.
	Admission *Admission `json:"admission,omitempty"`
	// Private functions are reached by their socket or `fnctl invoke` only.
	Private bool `json:"private,omitempty"`
	// Paused functions answer no request and have no instance.
	Paused bool `json:"paused,omitempty"`
}

// Check returns what is wrong with a route, nil if nothing is.
func (r Route) Check() error {
	if err := CheckName(r.Function); err != nil {
		return err
	}
	total := 0
	for _, share := range r.Traffic {
		if share.Revision.Function != r.Function {
			return fmt.Errorf("route of %s: revision %s belongs to another function", r.Function, share.Revision)
		}
		if err := share.check(); err != nil {
			return fmt.Errorf("route of %s: revision %s: %w", r.Function, share.Revision, err)
		}
		total += share.Percent
	}
	if total != 100 {
		return fmt.Errorf("route of %s: traffic adds up to %d percent instead of 100", r.Function, total)
	}
	for _, host := range r.AllHosts() {
		if err := CheckHostRule(host); err != nil {
			return fmt.Errorf("route of %s: %w", r.Function, err)
		}
	}
	if err := errors.Join(r.checkTags(), r.Sticky.check(), r.Admission.check()); err != nil {
		return fmt.Errorf("route of %s: %w", r.Function, err)
	}
	return nil
}

// AllHosts are the function's own hosts, wherever they are from, each once.
func (r Route) AllHosts() []string {
	hosts := slices.Clone(r.Hosts)
	for _, host := range r.Domains {
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// checkTags returns what is wrong with the tags of a route, nil if nothing is.
func (r Route) checkTags() error {
	for tag, id := range r.Tags {
		if err := CheckTag(tag); err != nil {
			return err
		}
		if !r.Reaches(id) {
			return fmt.Errorf("tag %s: the route has no revision %s", tag, id)
		}
	}
	return nil
}

// Split is the part of a function's traffic that a revision is to get.
type Split struct {
	Revision Revision
	Percent  int
}

// RouteTo sends all traffic of a function to one revision.
func RouteTo(rev Revision) Route { return RouteOver([]Split{{Revision: rev, Percent: 100}}) }

// RouteOver splits the traffic of a function over at least one revision. Those that get none are not in the route. The
// newest of the others, which is the last of the route, decides on the function's hosts.
func RouteOver(splits []Split) Route {
	splits = slices.Clone(splits)
	splits = slices.DeleteFunc(splits, func(s Split) bool { return s.Percent == 0 })
	slices.SortFunc(splits, func(a, b Split) int { return a.Revision.ID.Number - b.Revision.ID.Number })
	var route Route
	for _, split := range splits {
		rev := split.Revision
		route.Function, route.Hosts, route.Private = rev.ID.Function, rev.Config.Hosts, !rev.Config.Expose
		route.StripPrefix, route.Admission = rev.Config.StripPrefix, rev.Config.Admission.routed()
		route.Traffic = append(route.Traffic, shareOf(rev, split.Percent))
	}
	return route
}

// Newest returns the newest revision with traffic, whose configuration is that of the function. It is the zero value if none
// has any.
func (r Route) Newest() RevisionID {
	var newest RevisionID
	for _, share := range r.Traffic {
		if share.Percent > 0 && share.Revision.Number > newest.Number {
			newest = share.Revision
		}
	}
	return newest
}

// PercentOf returns the part of the function's requests that a revision gets.
func (r Route) PercentOf(id RevisionID) int {
	for _, share := range r.Traffic {
		if share.Revision == id {
			return share.Percent
		}
	}
	return 0
}

// Reaches reports whether the route has a revision, be it for its tag only.
func (r Route) Reaches(id RevisionID) bool {
	return slices.ContainsFunc(r.Traffic, func(share TrafficShare) bool { return share.Revision == id })
}

// Serves reports whether requests reach a revision: none does while the function is paused.
func (r Route) Serves(id RevisionID) bool { return !r.Paused && r.Reaches(id) }
