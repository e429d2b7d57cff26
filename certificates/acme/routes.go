package acme

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/fnctl/fnctl/platform"
)

// routes are those of all functions, each as it was last good.
type routes struct {
	store platform.Store
	log   *slog.Logger

	mu    sync.Mutex
	good  map[string]platform.Route // by function
	bad   map[string]bool           // those whose route cannot be read
	reads int                       // how often some were read
	known bool                      // all of them have been
}

// read reads the routes of functions. all reports whether there are no others.
func (r *routes) read(functions []string, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if all {
		r.known = true
		gone := func(name string, _ platform.Route) bool { return !slices.Contains(functions, name) }
		maps.DeleteFunc(r.good, gone)
		maps.DeleteFunc(r.bad, func(name string, _ bool) bool { return gone(name, platform.Route{}) })
	}
	for _, name := range functions {
		route, err := r.store.Route(name)
		switch {
		case err == nil:
			r.good[name] = route
		case errors.Is(err, platform.ErrNoFunction):
			delete(r.good, name)
		default:
			if !r.bad[name] {
				r.log.Error("a route cannot be read, the last good one stays", "function", name, "err", err)
			}
			r.bad[name] = true
			continue
		}
		delete(r.bad, name)
	}
}

// changedSince reports whether routes were read since a number of reads, and returns the number now.
func (r *routes) changedSince(reads int) (now int, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads, r.reads != reads
}

// all returns the routes. known is false as long as none was read, and complete as long as some may be missing.
func (r *routes) all() (all []platform.Route, known, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	complete = r.known
	for name := range r.bad {
		if _, is := r.good[name]; !is {
			complete = false
		}
	}
	return slices.Collect(maps.Values(r.good)), r.known, complete
}
