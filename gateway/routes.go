package gateway

import (
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/fnctl/fnctl/platform"
)

// routeFollower follows the routes in the store and keeps the fleet's table up to date. A route that cannot be read, or whose file
// vanished, stays as it was last good: a route is removed with RemoveRoute, or with the function's directory.
type routeFollower struct {
	store  platform.Store
	hostOf func(function string) string
	fleet  *fleet
	log    *slog.Logger

	policies  *policies
	good      map[string]platform.Route
	bad       map[string]string // function → the error of reading its route
	owners    map[string]string // host → function
	conflicts map[conflict]bool

	badCount, conflictCount atomic.Int64 // for the metrics
}

func newRouteFollower(cfg Config, fleet *fleet) *routeFollower {
	return &routeFollower{
		store:  platform.Store{Paths: cfg.Paths},
		hostOf: cfg.Host,
		fleet:  fleet,
		log:    cfg.Logger,

		policies: newPolicies(cfg),
		good:     make(map[string]platform.Route),
		bad:      make(map[string]string),
	}
}

// follower follows the routes.
func (r *routeFollower) follower() *platform.FunctionsFollower {
	return &platform.FunctionsFollower{Paths: r.store.Paths, Changes: r.reload, Log: r.log}
}

// reload reads the routes of some functions, or of all that there are, and installs a new table if anything is different.
func (r *routeFollower) reload(names []string, all bool) {
	if all {
		names = slices.AppendSeq(slices.AppendSeq(names, maps.Keys(r.good)), maps.Keys(r.bad))
	}
	changed := false
	for _, name := range names {
		if r.read(name) {
			changed = true
		}
	}
	r.badCount.Store(int64(len(r.bad)))
	if changed {
		r.install()
	}
}

// install makes a table of the good routes. A function whose route was never good has its own host nevertheless, where requests
// are refused with the reason.
func (r *routeFollower) install() {
	routes := maps.Clone(r.good)
	for name := range r.bad {
		if _, ok := routes[name]; !ok {
			routes[name] = platform.Route{Function: name}
		}
	}
	owners, conflicts := claimHosts(routes, r.hostOf, r.owners)
	r.owners = owners
	r.report(conflicts)
	r.fleet.install(routes, owners, r.policies.all())
}

// read reads one route and reports whether it is another one than before.
func (r *routeFollower) read(name string) (changed bool) {
	before, had := r.good[name]
	route, err := r.store.Route(name)
	if err != nil {
		return r.unreadable(name, err)
	}
	if _, was := r.bad[name]; was {
		delete(r.bad, name)
		r.log.Info("the route can be read again", "function", name)
	}
	r.good[name] = route
	admits := r.policies.read(route)
	return !had || admits || !reflect.DeepEqual(before, route)
}

// unreadable notes that a route cannot be read, and reports whether that changes the table.
func (r *routeFollower) unreadable(name string, err error) (changed bool) {
	_, had := r.good[name]
	text, was := r.bad[name]
	if errors.Is(err, platform.ErrNoFunction) {
		delete(r.bad, name)
		delete(r.good, name)
		r.policies.forget(name)
		return had || was
	}
	admits := had && r.policies.read(r.good[name]) // the files beside the route may have changed
	if text != err.Error() {
		r.bad[name] = err.Error()
		r.log.Error("the route cannot be read, the last good one stays", "function", name, "err", err)
	}
	return admits || !had && !was
}

// report logs the conflicts that are new.
func (r *routeFollower) report(conflicts []conflict) {
	now := make(map[conflict]bool, len(conflicts))
	for _, c := range conflicts {
		now[c] = true
		if !r.conflicts[c] {
			r.log.Warn("another function has this host", "function", c.claimant, "host", c.host, "owner", c.owner)
		}
	}
	r.conflicts = now
	r.conflictCount.Store(int64(len(now)))
}
