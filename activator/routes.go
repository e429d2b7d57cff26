package activator

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/fnctl/fnctl/platform"
)

// routes are those of all functions, as their files had them when they could last be read.
type routes struct {
	store platform.Store
	log   *slog.Logger
	good  map[string]platform.Route
	// damaged has the functions whose route cannot be read.
	damaged map[string]bool
}

func newRoutes(store platform.Store, log *slog.Logger) *routes {
	return &routes{store: store, log: log, good: map[string]platform.Route{}, damaged: map[string]bool{}}
}

// read reads the route of a function again. It returns the revisions that have, or had, a share of its traffic, and whether
// the route was damaged before.
func (r *routes) read(function string) (concerned []platform.RevisionID, wasDamaged bool) {
	before, wasDamaged := r.good[function], r.damaged[function]
	route, err := r.store.Route(function)
	delete(r.damaged, function)
	switch {
	case err == nil:
		r.good[function] = route
	case errors.Is(err, platform.ErrNoFunction):
		delete(r.good, function)
	default:
		r.damaged[function] = true
		// Revisions that were reachable stay so: a file that is damaged or lost must not end a function.
		r.log.Error("read the route: the last good one stays", "function", function, "err", err)
	}
	for _, share := range slices.Concat(route.Traffic, before.Traffic) {
		concerned = append(concerned, share.Revision)
	}
	return concerned, wasDamaged
}

// reach reports whether a route can reach a revision. A route that cannot be read may reach every one.
func (r *routes) reach(id platform.RevisionID) bool {
	return r.damaged[id.Function] || r.serve(id)
}

// serve reports whether the last good route sends requests to a revision.
func (r *routes) serve(id platform.RevisionID) bool {
	return r.good[id.Function].Serves(id)
}
