package gateway

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/gateway/admission"
	"github.com/fnctl/fnctl/platform"
)

// table leads from hosts and paths to targets. It is never changed: a new one takes its place.
type table struct {
	hosts    map[string]*site             // by the host of a rule: a name, *.NAME or *
	routes   map[string]platform.Route    // those that were good, by function
	policies map[string]*admission.Policy // by function, of those that not everybody comes in to
}

// site is what the rules of one host lead to.
type site struct {
	whole *target // nil: no rule has every path
	below []place // the longest path first
}

// place is what a rule with a path leads to.
type place struct {
	path   string
	target *target
}

// at returns the target of a path, nil if there is none, and the path of the rule.
func (s *site) at(path string) (found *target, rule string) {
	if s == nil {
		return nil, ""
	}
	for _, p := range s.below {
		if rest, is := strings.CutPrefix(path, p.path); is && (rest == "" || rest[0] == '/') {
			return p.target, p.path
		}
	}
	return s.whole, ""
}

// newTable makes the table of the rules that functions have.
func newTable(targets map[string]*target, routes map[string]platform.Route, owners map[string]string) *table {
	t := &table{hosts: make(map[string]*site, len(owners)), routes: routes}
	for rule, name := range owners {
		host, path := splitRule(rule)
		s := t.hosts[host]
		if s == nil {
			s = &site{}
			t.hosts[host] = s
		}
		if path == "" {
			s.whole = targets[name]
		} else {
			s.below = append(s.below, place{path, targets[name]})
		}
	}
	for _, s := range t.hosts {
		slices.SortFunc(s.below, func(a, b place) int { return cmp.Compare(len(b.path), len(a.path)) })
	}
	return t
}

// splitRule takes a platform.HostRule apart that was checked.
func splitRule(rule string) (host, path string) {
	if slash := strings.IndexByte(rule, '/'); slash >= 0 {
		return rule[:slash], rule[slash:]
	}
	return rule, ""
}

// target is a function to which a host leads. It has no shares if the function is paused, or if its route cannot be read.
type target struct {
	function *function
	paused   bool
	shares   []share
	aside    []share // they get no traffic but by a host of their own
	sticky   *platform.Sticky
	route    platform.Route
	policy   *admission.Policy // nil: everybody comes in
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

// destination is where a request goes.
type destination struct {
	*target
	label string // in front of the function's own host: it asks for a revision
	rule  string // the path of the rule by which the request goes there
}

// prefix is what of a path the app does not get.
func (d destination) prefix() string {
	if d.route.StripPrefix {
		return d.rule
	}
	return ""
}

// find returns where a request goes, without a target if nowhere. The rule with the exact host comes before the hosts of revisions, those
// before *.NAME, and that before *.
func (t *table) find(host, path string, hostOf func(function string) string) destination {
	if found, rule := t.hosts[host].at(path); found != nil {
		return destination{target: found, rule: rule}
	}
	label, below, _ := strings.Cut(host, ".")
	if own := t.hosts[below]; own != nil && own.whole != nil && hostOf(own.whole.function.name) == below {
		return destination{target: own.whole, label: label}
	}
	if found, rule := t.hosts["*."+below].at(path); found != nil {
		return destination{target: found, rule: rule}
	}
	found, rule := t.hosts[platform.AnyHost].at(path)
	return destination{target: found, rule: rule}
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
				return &target{function: t.function, shares: shares[i : i+1], policy: t.policy}
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
		for _, host := range routes[name].AllHosts() {
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

// parseHost reads the Host of a request as a key of the routing table: in lower case, without port and trailing dot.
// It reports false for what is not a host at all, so that nothing strange reaches a map, a log or an error message.
func parseHost(s string) (host string, ok bool) {
	host, port := splitPort(s)
	if strings.Trim(port, "0123456789") != "" || len(port) > 5 {
		return "", false
	}
	host = strings.TrimSuffix(host, ".")
	if literal, found := strings.CutPrefix(host, "["); found {
		return strings.ToLower(host), isIPv6Literal(literal)
	}
	return strings.ToLower(host), isName(host)
}

func splitPort(s string) (host, port string) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || colon < strings.LastIndexByte(s, ']') {
		return s, ""
	}
	return s[:colon], s[colon+1:]
}

func isIPv6Literal(s string) bool {
	s, found := strings.CutSuffix(s, "]")
	return found && s != "" && len(s) <= 45 && strings.Trim(s, "0123456789abcdefABCDEF:.") == ""
}

func isName(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
