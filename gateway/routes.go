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

// routes follows the routes in the store and keeps the fleet's table up to date. A route that cannot be read stays as it
// was last good, and one that vanished, too: a route is removed with RemoveRoute, or with the function's directory.
type routes struct {
	store  platform.Store
	hostOf func(function string) string
	fleet  *fleet
	log    *slog.Logger

	good      map[string]platform.Route
	bad       map[string]string // function → why its route cannot be read
	owners    map[string]string // host → function
	conflicts map[conflict]bool

	badCount, conflictCount atomic.Int64 // for the metrics
}

func newRoutes(cfg Config, fleet *fleet) *routes {
	return &routes{
		store:  platform.Store{Paths: cfg.Paths},
		hostOf: cfg.Host,
		fleet:  fleet,
		log:    cfg.Logger,
		good:   make(map[string]platform.Route),
		bad:    make(map[string]string),
	}
}

// follower follows the routes.
func (r *routes) follower() *platform.FunctionsFollower {
	return &platform.FunctionsFollower{Paths: r.store.Paths, Changes: r.reload, Log: r.log}
}

// reload reads the routes of some functions, or of all that there are, and installs a new table if anything is different.
func (r *routes) reload(names []string, all bool) {
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

// install makes a table of the good routes. A function whose route was never good has its own host nevertheless, so that
// whoever asks there is told.
func (r *routes) install() {
	routes := maps.Clone(r.good)
	for name := range r.bad {
		if _, ok := routes[name]; !ok {
			routes[name] = platform.Route{Function: name}
		}
	}
	owners, conflicts := claimHosts(routes, r.hostOf, r.owners)
	r.owners = owners
	r.report(conflicts)
	r.fleet.install(routes, owners)
}

// read reads one route and says whether it is another one than before.
func (r *routes) read(name string) (changed bool) {
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
	return !had || !reflect.DeepEqual(before, route)
}

func (r *routes) unreadable(name string, err error) (changed bool) {
	_, had := r.good[name]
	why, was := r.bad[name]
	if errors.Is(err, platform.ErrNoFunction) {
		delete(r.bad, name)
		delete(r.good, name)
		return had || was
	}
	if why != err.Error() {
		r.bad[name] = err.Error()
		r.log.Error("the route cannot be read, the last good one stays", "function", name, "err", err)
	}
	return !had && !was
}

func (r *routes) report(conflicts []conflict) {
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
