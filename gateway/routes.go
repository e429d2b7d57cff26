package gateway

import (
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"

	"github.com/fnctl/fnctl/platform"
)

// routes follows the routes in the store and keeps the fleet's table up to date. A route that cannot be read stays as it
// was last good. One that is not there is no route: routes are replaced by renaming, so a good one is never missing.
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

func (r *routes) dir() string { return r.store.Paths.Functions() }

func (r *routes) watch(w *fsnotify.Watcher) error {
	if err := w.Add(r.dir()); err != nil {
		return err
	}
	names, err := r.list()
	for _, name := range names {
		// One that vanishes meanwhile is not missed.
		if err := w.Add(r.store.Paths.Function(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// list names the directories of functions, also those without a route yet.
func (r *routes) list() ([]string, error) {
	entries, err := os.ReadDir(r.dir())
	var names []string
	for _, entry := range entries {
		if platform.CheckName(entry.Name()) == nil {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

func (r *routes) resync() {
	names, err := r.list()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.log.Error("list functions", "err", err)
		return
	}
	dirty := make(map[string]bool)
	for _, name := range names {
		dirty[name] = true
	}
	for name := range r.good {
		dirty[name] = true
	}
	r.reload(dirty)
}

func (r *routes) changed(w *fsnotify.Watcher, events []fsnotify.Event) {
	dirty := make(map[string]bool)
	for _, event := range events {
		r.note(w, event, dirty)
	}
	r.reload(dirty)
}

// note finds out which function an event is about.
func (r *routes) note(w *fsnotify.Watcher, event fsnotify.Event, dirty map[string]bool) {
	dir, base := filepath.Dir(event.Name), filepath.Base(event.Name)
	switch {
	case dir == r.dir():
		dirty[base] = true
		if !event.Has(fsnotify.Create) || platform.CheckName(base) != nil {
			return
		}
		// It is watched before the route is read, so that none is missed in between.
		if err := w.Add(event.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.log.Error("watch a function", "function", base, "err", err)
		}
	case event.Name == r.store.Paths.Route(filepath.Base(dir)):
		dirty[filepath.Base(dir)] = true
	}
}

// reload reads the routes of some functions and installs a new table if anything is different.
func (r *routes) reload(dirty map[string]bool) {
	changed := false
	for name := range dirty {
		if platform.CheckName(name) == nil && r.read(name) {
			changed = true
		}
	}
	r.badCount.Store(int64(len(r.bad)))
	if !changed {
		return
	}
	owners, conflicts := claimHosts(r.good, r.hostOf, r.owners)
	r.owners = owners
	r.report(conflicts)
	r.fleet.install(maps.Clone(r.good), owners)
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
	if errors.Is(err, platform.ErrNoFunction) {
		_, changed = r.good[name]
		delete(r.bad, name)
		delete(r.good, name)
		return changed
	}
	if r.bad[name] != err.Error() {
		r.bad[name] = err.Error()
		r.log.Error("the route cannot be read, the last good one stays", "function", name, "err", err)
	}
	return false
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
